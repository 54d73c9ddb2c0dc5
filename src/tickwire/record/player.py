"""Plays a recording into a feed: where it begins, when the next row is due, when it ends or begins again.

Files are read by a thread, one batch ahead.
"""

import asyncio
import concurrent.futures
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from itertools import takewhile

import msgspec

from tickwire.record.format import FRAME, REPLY, REST, STATE, Row
from tickwire.record.reader import Recording
from tickwire.record.replay_feed import ReplayFeed
from tickwire.record.replay_state import ReplayState

__all__ = ["Player", "PlayerSettings"]

SECOND = 1_000_000_000

# How far the beginning of a recording is looked at for the first SNAPSHOTs of all topics and the first REST replies: a
# recorder's requests are answered within this time and number of rows.
_OPENING = 2 * SECOND
_OPENING_ROWS = 20_000

# What is published in one turn of the loop: a reader's outbox takes four times as much before it writes early.
_TURN_BYTES = 64 * 1024
_TURN_ROWS = 256
# How often readers that are behind are looked at when all is to be played as fast as they take it.
_WAIT_SECONDS = 0.002


class PlayerSettings(msgspec.Struct, frozen=True):
    """What is played and how. Times in ns since the epoch, both inclusive."""

    speed: float | None = 1.0  # None: as fast as the readers take it
    start: int | None = None
    end: int | None = None
    loop: bool = False
    shift_time: bool = False  # let ``ts`` be as if it happened now


class Player:
    """One replay.

    ``behind`` says whether a reader has not taken what it was sent; ``clock`` is the machine's, in ns since the epoch.
    """

    def __init__(
        self,
        recording: Recording,
        feed: ReplayFeed,
        settings: PlayerSettings,
        *,
        behind: Callable[[], bool],
        clock: Callable[[], int],
    ) -> None:
        self.ended = False
        self.rounds = 0  # played to their end
        self._recording = recording
        self._feed = feed
        self._settings = settings
        self._behind = behind
        self._clock = clock
        self._newest = 0  # the newest ``ts`` that was published, in ns
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "replay")

    async def run(self, ready: Callable[[], None]) -> None:
        """Play to the end, from the moment somebody subscribes. ``ready`` is called once that is possible.

        Raises ``RecordingError`` at a damaged file.
        """
        try:
            while True:
                async with aclosing(self._rows()) as rows:
                    state, first = await self._open(rows)
                    self._feed.restart(state, self._shift)
                    if not self.rounds:
                        ready()
                        await self._feed.subscribed.wait()
                    played = await self._play(first, rows)
                    self._feed.catch_up()
                    self._newest = self._feed.state.topics.time + self._feed.shift
                self.rounds += 1
                if not self._settings.loop or not played:
                    self.ended = True
                    return
        finally:
            self._thread.shutdown(wait=False)

    def _shift(self, state: ReplayState) -> int:
        begin = state.topics.time
        if not self._settings.shift_time or not begin:
            return 0
        # Played fast, the last round has come further than the clock.
        return max(self._clock(), self._newest + 1) - begin

    async def _rows(self) -> AsyncGenerator[list[Row], None]:
        """Batches of the recording up to the end that is wanted."""
        loop = asyncio.get_running_loop()
        start, end = self._settings.start, self._settings.end
        batches = self._recording.batches(start, whole_file=True)
        ahead = loop.run_in_executor(self._thread, next, batches, None)
        try:
            while (batch := await ahead) is not None:
                ahead = loop.run_in_executor(self._thread, next, batches, None)
                if end is not None and batch[-1].received > end:
                    kept = [row for row in batch if row.received <= end]
                    yield kept
                    if len(kept) < len(batch):
                        return
                else:
                    yield batch
        finally:
            # The thread is in the midst of the next one: it can't be closed before.
            await asyncio.wait([ahead])
            if not ahead.cancelled():
                ahead.exception()

    async def _open(self, rows: AsyncGenerator[list[Row], None]) -> tuple[ReplayState, list[Row]]:
        """The state where the replay begins, and rows that have been read beyond it."""
        state = ReplayState()
        start = self._settings.start
        if start is not None:
            async for batch in rows:
                for place, row in enumerate(batch):
                    if row.received >= start and row.kind != STATE:
                        return state, batch[place:]
                    state.apply(row)
            return state, []
        # From the beginning: behind the last of the SNAPSHOTs that the subscriptions brought.
        opening: list[Row] = []
        async for batch in rows:
            opening += batch
            if len(opening) > _OPENING_ROWS or opening[-1].received > opening[0].received + _OPENING:
                break
        early = list(takewhile(lambda row: row.received <= opening[0].received + _OPENING, opening))
        for row in early:
            if row.kind == REPLY:
                self._feed.topics.difference_update(_refused(row.data))
            elif row.kind == REST:
                # Asked for at the same time, answered a little later: of use from the beginning.
                state.apply(row)
        behind = _behind_snapshots(early)
        for row in opening[:behind]:
            state.apply(row)
        return state, opening[behind:]

    async def _play(self, first: list[Row], rows: AsyncGenerator[list[Row], None]) -> int:
        """Play all rows; how many there were."""
        loop = asyncio.get_running_loop()
        speed, feed = self._settings.speed, self._feed
        begin = loop.time()
        position, newest = 0, feed.state.now  # ns of the recording since the begin; a clock set back adds nothing
        turn_bytes = turn_rows = played = 0
        batch: list[Row] | None = first
        while batch is not None:
            for row in batch:
                if newest and row.received > newest:
                    position += row.received - newest
                newest = row.received
                if speed is not None and (wait := begin + position / SECOND / speed - loop.time()) > 0:
                    await asyncio.sleep(wait)
                    turn_bytes = turn_rows = 0
                elif turn_bytes > _TURN_BYTES or turn_rows >= _TURN_ROWS:
                    await asyncio.sleep(0)
                    while speed is None and self._behind():  # noqa: ASYNC110  # no reader says when it has caught up
                        await asyncio.sleep(_WAIT_SECONDS)
                    turn_bytes = turn_rows = 0
                feed.play(row)
                turn_bytes += len(row.data)
                turn_rows += 1
                played += 1
            batch = await anext(rows, None)
        return played


def _refused(data: bytes) -> Iterator[str]:
    """The topics that a reply refuses."""
    try:
        reply = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return
    if isinstance(reply, dict) and reply.get("success") is False and isinstance(reply.get("args"), list):
        yield from (name for name in reply["args"] if isinstance(name, str))


def _behind_snapshots(early: list[Row]) -> int:
    """The place behind the last of the first frames of the topics."""
    seen: set[str] = set()
    behind = 0
    for place, row in enumerate(early, 1):
        if row.kind == FRAME and row.topic not in seen:
            seen.add(row.topic)
            behind = place
    return behind
