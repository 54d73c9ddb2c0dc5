"""Sessions that want fewer frames: their *pace* is the least time between two frames of a topic.

All sessions of one pace share its tick, and those that read one topic at it share a *lane*: what is published is
merged once and encoded once for all of them, and what a tick brings to a session leaves in one write. A session's own
SNAPSHOT, after a subscribe, is not held back by the tick.

A reader that joins a lane in the midst of an interval knows more than the others: from it on a new *segment* begins,
and the tick sends to each segment's readers what was published since its beginning. After the tick all know the same
again, and are one segment.
"""

from collections.abc import Callable
from math import inf
from typing import Protocol

from tickwire.stream.conflation import Pending
from tickwire.stream.frames import Frame
from tickwire.stream.outbox import Outbox
from tickwire.stream.settings import StreamCounters
from tickwire.wire.topics import TopicKey

__all__ = ["Lane", "Pace", "Timer", "Timers"]


class Timer(Protocol):
    """Something that is to happen, as long as it is not cancelled."""

    def cancel(self) -> None: ...


class Timers(Protocol):
    """The event loop as far as it is needed here: seconds of a clock that never goes back, and callbacks."""

    def time(self) -> float: ...

    def call_soon(self, callback: Callable[[], object]) -> object: ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer: ...


class Pace:
    """One pace: ``interval`` in seconds, and the lanes that have something to send."""

    __slots__ = ("_interval", "_ticked", "_timers", "_waiting", "counters")

    def __init__(self, interval: float, timers: Timers, counters: StreamCounters) -> None:
        self.counters = counters
        self._interval = interval
        self._timers = timers
        self._ticked = -inf
        self._waiting: dict[Lane, None] = {}

    def wake(self, lane: "Lane") -> None:
        """Let ``lane`` send with the next tick: at once after an interval in which there was nothing to send."""
        if not self._waiting:
            self._timers.call_later(max(0.0, self._ticked + self._interval - self._timers.time()), self._tick)
        self._waiting[lane] = None

    def _tick(self) -> None:
        self._ticked = self._timers.time()
        waiting, self._waiting = self._waiting, {}
        for lane in waiting:
            lane.send()


class _Segment:
    """The readers of a lane that know the same, and what was published since they do."""

    __slots__ = ("pending", "published", "readers")

    def __init__(self, readers: dict[Outbox, None], pending: Pending) -> None:
        self.readers = readers
        self.pending = pending
        self.published = 0  # frames


class Lane:
    """The readers of one topic at one pace. False while there are none."""

    __slots__ = ("_epoch", "_key", "_pace", "_segments")

    def __init__(self, key: TopicKey, epoch: str, pace: Pace) -> None:
        self._key = key
        self._epoch = epoch
        self._pace = pace
        self._segments = [self._segment({})]  # the last one takes what is published

    def _segment(self, readers: dict[Outbox, None]) -> _Segment:
        return _Segment(readers, Pending(self._key.topic))

    def __bool__(self) -> bool:
        return any(segment.readers for segment in self._segments)

    def add(self, outbox: Outbox) -> None:
        """Take in a reader that knows all that was published so far."""
        if self._segments[-1].pending:
            self._segments.append(self._segment({}))
        self._segments[-1].readers[outbox] = None

    def remove(self, outbox: Outbox) -> None:
        """Let a reader go; what it is still owed is dropped."""
        for segment in self._segments:
            segment.readers.pop(outbox, None)

    def publish(self, offset: int, payload: bytes) -> None:
        """Take in the next frame."""
        self._segments[-1].pending.add(offset, payload)
        self._segments[-1].published += 1
        self._pace.wake(self)

    def owed(self, outbox: Outbox) -> list[Frame]:
        """What a reader has yet to get, for one that leaves the lane in order to go on elsewhere."""
        pending = Pending(self._key.topic)
        found = False
        for segment in self._segments:
            found = found or outbox in segment.readers
            if found:
                for offset, payload in segment.pending.payloads():
                    pending.add(offset, payload)
        return self._frames(pending)

    def send(self) -> None:
        """Give every reader what it is owed; called by the pace."""
        readers: dict[Outbox, None] = {}
        pending = Pending(self._key.topic)
        published = 0
        for segment in reversed(self._segments):
            segment.pending.absorb(pending)
            pending = segment.pending
            published += segment.published
            frames = self._frames(pending) if segment.readers else []
            for frame in frames:
                for outbox in segment.readers:
                    outbox.publish(self._key, frame)
            self._pace.counters.merged += (published - len(frames)) * len(segment.readers)
            readers |= segment.readers
        self._segments = [self._segment(readers)]

    def _frames(self, pending: Pending) -> list[Frame]:
        return [Frame(payload, self._epoch, offset) for offset, payload in pending.payloads()]
