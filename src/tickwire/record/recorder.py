"""Keeps what a stream sends: every message with its time of receipt, through as many connections as it takes.

Where a connection was lost a row says so, and another when there is one again. Every file begins with the state of
each topic, so that a replay can begin anywhere without reading all that came before.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from tickwire.client import calls
from tickwire.client.connection import Batch, Connection, StreamEnded
from tickwire.client.errors import ClientError
from tickwire.client.events import Connected
from tickwire.client.rest import RestClient
from tickwire.record.format import CONNECTED, FRAME, LOST, REPLY, REST, STATE, RecordingError, Row
from tickwire.record.rest_targets import targets
from tickwire.record.topic_state import FrameError, TopicStates, topic_of
from tickwire.record.writer import RecordingWriter

__all__ = ["Recorder", "Standing"]

# What a killed recorder loses at most.
FLUSH_SECONDS = 0.1
REST_SECONDS = 300.0

_STOPPED = b"the recording was stopped"


class Standing(msgspec.Struct):
    """How a recording is going."""

    frames: int = 0
    bytes: int = 0
    gaps: int = 0
    unreadable: int = 0  # messages that are no JSON, or frames that do not follow from the ones before; kept as well
    rest_failures: int = 0
    connected: bool = False


class _Refusal(msgspec.Struct):
    success: bool | None = None
    args: list[str] = []
    error: str = ""
    message: str = ""


class Recorder:
    """Records ``connection`` into a writer. ``checkpoint`` is to be given to that writer.

    ``warn`` gets a line for each topic that the server refuses and each REST call that fails for the first time.
    ``rest`` asks for market data over REST: at the start, after each gap, with each new file, and every some minutes.
    """

    def __init__(
        self,
        connection: Connection,
        topics: Sequence[str],
        *,
        rest: RestClient | None,
        rest_seconds: float = REST_SECONDS,
        warn: Callable[[str], None],
    ) -> None:
        self.standing = Standing()
        self._connection = connection
        self._targets = targets(topics) if rest is not None else []
        self._rest = rest
        self._rest_seconds = rest_seconds
        self._rest_due = asyncio.Event()
        self._warn = warn
        self._warned: set[str] = set()
        self._states = TopicStates()
        self._replies: dict[str, bytes] = {}
        self._number = 0  # of the connection
        self._lost = False  # and noted

    def checkpoint(self, received: int) -> Iterator[Row]:
        """What a file begins with: the newest REST replies, and the state of each topic."""
        if self._replies:
            self._rest_due.set()
        for target, body in self._replies.items():
            yield Row(received, REST, self._number, target, body)
        for name, payload in self._states.snapshots():
            yield Row(received, STATE, self._number, name, payload)

    async def run(self, writer: RecordingWriter, stop: asyncio.Event) -> None:
        """Record until ``stop``. Raises ``StreamEnded`` when the server refuses us, and ``RecordingError``.

        The writer has all rows then, in every case, and is left open.
        """
        self._number = writer.last_connection
        tasks = [
            asyncio.create_task(self._receive(writer)),
            asyncio.create_task(self._flush(writer)),
            asyncio.create_task(stop.wait()),
        ]
        if self._rest is not None:
            tasks.append(asyncio.create_task(self._ask(writer, self._rest)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if not self._lost:
                with contextlib.suppress(RecordingError):  # the one that ended it, again
                    writer.append(time.time_ns(), LOST, self._number, "", _STOPPED)

    async def _receive(self, writer: RecordingWriter) -> None:
        async with self._connection as connection:
            try:
                async for item in connection.batches():
                    if isinstance(item, Batch):
                        for data in item.messages:
                            self._keep(writer, item.received, data)
                    elif isinstance(item, Connected):
                        self._number += 1
                        self._lost = False
                        self.standing.connected = True
                        writer.append(item.received, CONNECTED, self._number, "", connection.url.encode())
                        self._rest_due.set()
                    elif not self._lost:
                        self._note_loss(writer, item.received, f"{item.code} {item.reason}")
            except StreamEnded as error:
                if not self._lost:
                    self._note_loss(writer, time.time_ns(), str(error))
                raise

    def _note_loss(self, writer: RecordingWriter, received: int, reason: str) -> None:
        self._lost = True
        self.standing.connected = False
        self.standing.gaps += 1
        writer.append(received, LOST, self._number, "", reason.encode())

    def _keep(self, writer: RecordingWriter, received: int, data: bytes) -> None:
        standing = self.standing
        standing.bytes += len(data)
        try:
            topic = topic_of(data)
        except FrameError:
            topic = ""
            standing.unreadable += 1
        if not topic:
            writer.append(received, REPLY, self._number, "", data)
            self._look_at_reply(data)
            return
        standing.frames += 1
        # First the row: where it begins a new file, that begins with the state before it.
        writer.append(received, FRAME, self._number, topic, data)
        try:
            self._states.apply(topic, data)
        except FrameError:
            standing.unreadable += 1

    def _look_at_reply(self, data: bytes) -> None:
        try:
            reply = msgspec.json.decode(data, type=_Refusal)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return
        if reply.success is False:
            self._say(f"{', '.join(reply.args)}: refused: {reply.error}: {reply.message}")

    def _say(self, text: str) -> None:
        """Warn, once of each."""
        if text not in self._warned:
            self._warned.add(text)
            self._warn(text)

    async def _flush(self, writer: RecordingWriter) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            writer.flush()

    async def _ask(self, writer: RecordingWriter, rest: RestClient) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._rest_due.wait(), self._rest_seconds)
            self._rest_due.clear()
            for target in self._targets:
                try:
                    body = await rest.send(calls.read(target))
                except ClientError as error:
                    self.standing.rest_failures += 1
                    self._say(f"GET {target.partition('?')[0]}: {error}")
                else:
                    writer.append(time.time_ns(), REST, self._number, target, body)
                    self._replies[target] = body
