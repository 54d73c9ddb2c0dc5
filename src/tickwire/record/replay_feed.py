"""The stream's feed, played from a recording instead of an exchange.

Topics are folded as they are played, whether or not anybody reads them, so that a subscriber who comes in the middle
begins with the state of that moment. Where a book was recorded as ``orderbook.delta`` alone, as most imported ones
are, ``orderbook`` is made from it as a live exchange makes it: the top levels, when they have changed, and not too
often.

All of it runs on the loop's thread: at any time the next thing to be published
has not been rendered yet, so a snapshot is true at once.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tickwire.bus.feed import Listener
from tickwire.record.format import FRAME, Row
from tickwire.record.replay_state import ReplayState
from tickwire.record.topic_state import FrameError, TopicState, stamped
from tickwire.wire.envelope import data_frame
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import Topic, TopicKey, TopicKind

__all__ = ["ReplayFeed"]

# The server's own defaults for orderbook: levels a side, and ns of the recording between two frames.
_DEPTH = 50
_INTERVAL = 20_000_000


class ReplayFeed:
    """A ``Feed`` over a state that rows are played into. ``topics`` are the names of all that the recording has."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.state = ReplayState()
        self.shift = 0  # ns added to the ``ts`` of what is published
        self._shift: Callable[[ReplayState], int] = lambda _state: 0
        self.subscribed = asyncio.Event()  # somebody has been there
        self.topics = set(topics)
        self._derived: dict[str, _Derived] = {}  # books made of deltas while somebody reads them, by the deltas' topic
        self._joined: dict[str, dict[TopicKey, int]] = {}  # counts of interest, by the topic's name
        self._listener: Listener | None = None

    def refusal(self, key: TopicKey) -> ApiError | None:
        """Topics that were not recorded are refused."""
        topic = key.topic
        if topic.name in self.topics or _source(topic) in self.topics:
            return None
        shown = ", ".join(sorted(self.topics)[:20])
        return ApiError("NotRecorded", f"expected a recorded topic ({shown}), got {topic.name[:80]}")

    def listen(self, listener: Listener) -> None:
        """Send every payload of every joined key to ``listener``."""
        self._listener = listener

    def join(self, keys: Sequence[TopicKey], then: Callable[[Sequence[bytes | None]], None]) -> None:
        """Snapshots are those of this moment of the replay."""
        if not self.subscribed.is_set():
            self.shift = self._shift(self.state)
        for key in keys:
            counts = self._joined.setdefault(key.topic.name, {})
            counts[key] = counts.get(key, 0) + 1
            if key.topic.name not in self.topics:
                self._derive(key.topic)
        then([self._snapshot(key.topic) for key in keys])
        self.subscribed.set()

    def leave(self, key: TopicKey) -> None:
        """Drop one count of interest."""
        counts = self._joined[key.topic.name]
        counts[key] -= 1
        if not counts[key]:
            del counts[key]
            if not counts:
                del self._joined[key.topic.name]
                self._derived.pop(_source(key.topic), None)

    def settle(self, then: Callable[[], None]) -> None:
        """Nothing is ever under way."""
        then()

    def play(self, row: Row) -> None:
        """Take in a row, and publish it where it is a frame."""
        if self._derived:
            self.catch_up(row.received)  # before this row: what is sent is the state at its time
        self.state.apply(row)
        if row.kind == FRAME:
            if row.topic in self._derived:
                self._derived[row.topic].changed = row.topic in self.state.topics.states
            keys = self._joined.get(row.topic)
            if keys:
                self._publish(keys, stamped(row.data, 0, self.shift) if self.shift else row.data)

    def _derive(self, topic: Topic) -> None:
        """Let a book be made from deltas, and let its readers be where a new one begins."""
        source = _source(topic)
        if source in self._derived:
            self.catch_up()
            return
        book = self._derived[source] = _Derived(topic)
        state = self.state.topics.states.get(source)
        if state is not None:
            book.looked_at, book.sent = self.state.now, _top(topic, state)

    def catch_up(self, now: int | None = None) -> None:
        """Publish the books that are made from deltas and have changed; with ``now`` (ns) only those that are due."""
        for source, book in self._derived.items():
            # Not by what is later: the recorder's clock may have been set back.
            if not book.changed or (now is not None and abs(now - book.looked_at) < _INTERVAL):
                continue
            book.looked_at, book.changed = self.state.now, False
            state = self.state.topics.states[source]
            rows = _top(book.topic, state)
            if rows != book.sent:
                book.sent = rows
                payload = data_frame(book.topic.name, state.time, "SNAPSHOT", rows)
                self._publish(self._joined[book.topic.name], stamped(payload, 0, self.shift))

    def restart(self, state: ReplayState, shift: Callable[[ReplayState], int]) -> None:
        """Go on from another state: who has subscribed gets its SNAPSHOTs.

        ``shift`` gives the shift of what is played from there, when that begins: now, or with the first subscriber.
        """
        self.state = state
        self._shift = shift
        self.shift = shift(state)
        # Of all topics with the newest time there is: an older one of their own may lie behind what was sent before.
        time = state.topics.time
        for keys in self._joined.values():
            self._publish(keys, self._snapshot(next(iter(keys)).topic, time))

    def _publish(self, keys: Iterable[TopicKey], payload: bytes) -> None:
        listener = self._listener
        if listener is not None:
            for key in keys:
                listener(key, payload)

    def _snapshot(self, topic: Topic, time: int = 0) -> bytes:
        states = self.state.topics.states
        state = states.get(topic.name) or TopicState(topic)
        source = states.get(_source(topic))
        if topic.name not in self.topics and source is not None:
            return stamped(data_frame(topic.name, source.time, "SNAPSHOT", _top(topic, source)), time, self.shift)
        try:
            payload = state.snapshot(self.state.now)
        except FrameError:  # the SNAPSHOT that was recorded can't be read
            payload = TopicState(topic).snapshot(self.state.now)
        return stamped(payload, time, self.shift) if time or self.shift else payload


def _source(topic: Topic) -> str:
    """The topic from which another one can be made; empty for those that can't."""
    return f"{TopicKind.ORDERBOOK_DELTA}.{topic.symbol}" if topic.kind is TopicKind.ORDERBOOK else ""


def _top(topic: Topic, state: TopicState) -> list[dict[str, Any]]:
    """The rows of ``orderbook`` from the state of the deltas; none where that can't be read."""
    try:
        books = state.rows()
    except FrameError:
        return []
    return [{"symbol": topic.symbol, "bids": row["bids"][:_DEPTH], "asks": row["asks"][:_DEPTH]} for row in books]


class _Derived:
    """A book that is made from deltas: what its readers were sent last."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.changed = False  # since it was last looked at
        self.looked_at = 0  # by the recording's time, ns
        self.sent: list[dict[str, Any]] = []
