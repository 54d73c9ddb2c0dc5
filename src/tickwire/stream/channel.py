"""One topic as the readers of this process see it: its frames, numbered, on their way to each of them.

A channel begins with its first reader and numbers what is published from then on: ``offset`` grows by one with each
frame. The numbers of a channel mean nothing in another one of the same topic, before or after it: that is what
``epoch`` tells apart. A SNAPSHOT made for a reader has the offset of the newest frame that it includes.

While there are readers that may want to resume, the newest frames are kept (``History``), and some time longer (see
the hub).
"""

from typing import TYPE_CHECKING

from tickwire.stream.frames import Frame
from tickwire.stream.history import History
from tickwire.stream.outbox import KEPT_KINDS, Outbox
from tickwire.stream.pace import Lane, Pace, Timer
from tickwire.wire.envelope import Position
from tickwire.wire.topics import TopicKey

if TYPE_CHECKING:
    from tickwire.stream.cohort import Cohort

__all__ = ["Channel"]


class Channel:
    """One topic; ``expiry`` is the end of a history that nobody reads for any more."""

    __slots__ = (
        "_direct",
        "_epoch",
        "_lanes",
        "_offset",
        "_resumable",
        "_sinks",
        "expiry",
        "history",
        "key",
        "readers",
    )

    def __init__(self, key: TopicKey, epoch: str) -> None:
        self.key = key
        self.readers: dict[Outbox, None] = {}
        self.history: History | None = None
        self.expiry: Timer | None = None
        self._epoch = epoch
        self._offset = 0
        self._resumable = 0  # readers that may want to resume
        self._direct: dict[Outbox | Cohort, None] = {}  # who gets each frame as it comes
        self._sinks: tuple[Outbox | Cohort, ...] | None = None  # the same, which a write in the midst leaves as it is
        self._lanes: dict[Pace, Lane] = {}

    @property
    def resumable(self) -> bool:
        """Whether there is a reader that may want to resume."""
        return self._resumable > 0

    # Readers.

    def add(self, outbox: Outbox) -> None:
        """Send to a reader what is published from now on, in the way that it has chosen."""
        self.readers[outbox] = None
        self._resumable += outbox.positions
        lane = self._lane(outbox)
        if lane is None:
            self._direct[outbox] = None
            self._sinks = None
        else:
            lane.add(outbox)

    def remove(self, outbox: Outbox) -> None:
        """Send nothing more to a reader."""
        del self.readers[outbox]
        self._resumable -= outbox.positions
        lane = self._lane(outbox)
        if lane is None:
            del self._direct[outbox]
            self._sinks = None
            return
        lane.remove(outbox)
        if not lane:
            assert outbox.pace is not None
            del self._lanes[outbox.pace]

    def restart(self, outbox: Outbox) -> None:
        """Note that a reader is getting a SNAPSHOT: what it was owed is in that."""
        lane = self._lane(outbox)
        if lane is not None:
            lane.remove(outbox)
            lane.add(outbox)

    def hand_over(self, outbox: Outbox) -> None:
        """Send a reader all that it is owed: it goes on in another way."""
        lane = self._lane(outbox)
        for frame in () if lane is None else lane.owed(outbox):
            outbox.publish(self.key, frame)

    def _lane(self, outbox: Outbox) -> Lane | None:
        pace = outbox.pace
        if pace is None or self.key.topic.kind in KEPT_KINDS:
            return None
        lane = self._lanes.get(pace)
        if lane is None:
            lane = self._lanes[pace] = Lane(self.key, self._epoch, pace)
        return lane

    # Readers that share what they are sent.

    def gather(self, outbox: Outbox, cohort: "Cohort") -> None:
        """Send to a reader through its cohort."""
        del self._direct[outbox]
        self._direct[cohort] = None
        self._sinks = None

    def release(self, outbox: Outbox) -> None:
        """Send to a reader by itself again."""
        self._direct[outbox] = None
        self._sinks = None

    def drop(self, cohort: "Cohort") -> None:
        """The cohort has no member any more."""
        del self._direct[cohort]
        self._sinks = None

    # Frames.

    def publish(self, payload: bytes) -> None:
        """Send the next frame to all."""
        self._offset = offset = self._offset + 1
        frame = Frame(payload, self._epoch, offset)
        if self.history is not None:
            self.history.add(frame)
        key = self.key
        sinks = self._sinks
        if sinks is None:
            sinks = self._sinks = tuple(self._direct)
        for sink in sinks:
            sink.publish(key, frame)
        for lane in self._lanes.values():
            lane.publish(offset, payload)

    def snapshot(self, payload: bytes) -> Frame:
        """The frame of a SNAPSHOT that is true now."""
        return Frame(payload, self._epoch, self._offset)

    def missed(self, position: Position) -> list[Frame] | None:
        """The frames after ``position``; ``None`` when it is of another epoch, or too old."""
        if self.history is None or position.epoch != self._epoch:
            return None
        return self.history.newest(self._offset - position.offset)
