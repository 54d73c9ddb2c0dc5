"""The stream's feed, played from a recording instead of an exchange.

Topics are folded as they are played, whether or not anybody reads them, so that a subscriber who comes in the middle
begins with the state of that moment. All of it runs on the loop's thread: at any time the next thing to be published
has not been rendered yet, so a snapshot is true at once.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from tickwire.bus.feed import Listener
from tickwire.record.format import FRAME, Row
from tickwire.record.replay_state import ReplayState
from tickwire.record.topic_state import FrameError, TopicState, stamped
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import Topic, TopicKey

__all__ = ["ReplayFeed"]


class ReplayFeed:
    """A ``Feed`` over a state that rows are played into. ``topics`` are the names of all that the recording has."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.state = ReplayState()
        self.shift = 0  # ns added to the ``ts`` of what is published
        self._shift: Callable[[ReplayState], int] = lambda _state: 0
        self.subscribed = asyncio.Event()  # somebody has been there
        self.topics = set(topics)
        self._joined: dict[str, dict[TopicKey, int]] = {}  # counts of interest, by the topic's name
        self._listener: Listener | None = None

    def refusal(self, key: TopicKey) -> ApiError | None:
        """Topics that were not recorded are refused."""
        topic = key.topic
        if topic.name in self.topics:
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

    def settle(self, then: Callable[[], None]) -> None:
        """Nothing is ever under way."""
        then()

    def play(self, row: Row) -> None:
        """Take in a row, and publish it where it is a frame."""
        self.state.apply(row)
        if row.kind == FRAME:
            keys = self._joined.get(row.topic)
            if keys:
                self._publish(keys, stamped(row.data, 0, self.shift) if self.shift else row.data)

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
        state = self.state.topics.states.get(topic.name) or TopicState(topic)
        try:
            payload = state.snapshot(self.state.now)
        except FrameError:  # the SNAPSHOT that was recorded can't be read
            payload = TopicState(topic).snapshot(self.state.now)
        return stamped(payload, time, self.shift) if time or self.shift else payload
