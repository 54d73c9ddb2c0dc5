"""What waits to be written to one socket, and what happens when its reader is behind.

What one loop turn brings is joined and written in one call. While the transport is over its high-water mark the
reader is *behind*: replies and what must not be lost (orders, executions) are held, up to a bound in bytes; every
other topic is *set aside*: its frames are dropped, and the hub gets it a fresh SNAPSHOT when the reader has caught
up.
"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from tickwire.metrics import Histogram
from tickwire.stream.frames import DEFLATED, POSITIONED, Frame, text_frame
from tickwire.stream.settings import StreamCounters
from tickwire.wire.topics import TopicKey, TopicKind

if TYPE_CHECKING:
    from tickwire.stream.cohort import Cohort
    from tickwire.stream.pace import Pace

__all__ = ["KEPT_KINDS", "Flusher", "Outbox"]

# Never conflated: each frame is something that happened, not a state that the next one replaces.
KEPT_KINDS = frozenset({TopicKind.ORDER, TopicKind.EXECUTION})

# As much as is gathered for one write. A turn that brings more writes earlier, so that the transport can say early
# that it is enough; joins of this size already cost next to nothing a frame.
_WRITE_SIZE = 256 * 1024


# How long writing may go on before sockets are heard again: an order that comes in the midst of a thousand writes waits
# for some fifty of them. A turn of the loop with nothing to read costs a tenth of this.
_SLICE_SECONDS = 0.0003


class Flusher:
    """Writes the outboxes that a loop turn has filled, urgent ones first, in slices with a turn between them.

    What comes between two slices is joined to what still waits, and order is kept: nobody is passed over. ``seconds``
    has for each slice how long its oldest frame took, from when it came from the engine to the slice's last write to
    the kernel: no delivery took longer. One measurement a slice, not one a delivery.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self.seconds = Histogram()
        self._urgent: list[Outbox | Cohort] = []
        self._left: list[Outbox | Cohort] = []  # by the last slice
        self._filled: list[Outbox | Cohort] = []
        self._scheduled = False
        self._begun = self._ended = 0.0

    def add(self, outbox: "Outbox | Cohort") -> None:
        """Flush ``outbox`` when the turn is over."""
        if not self._scheduled:
            self._scheduled = True
            self._begun = perf_counter()
            self._call_soon(self._flush)
        (self._urgent if outbox.urgent else self._filled).append(outbox)

    def _flush(self) -> None:
        batch = [*self._urgent, *self._left, *self._filled]
        old = len(self._urgent) + len(self._left) if self._left else 0
        self._urgent, self._left, self._filled = [], [], []
        rest = iter(batch)
        stop = perf_counter() + _SLICE_SECONDS
        try:
            for outbox in rest:
                outbox.flush()
                if perf_counter() > stop:
                    break
        finally:
            # Also when one socket fails, which is for the loop to report: the others are not to wait for ever for it.
            self._left = [*rest]
            ended = perf_counter()
            self.seconds.observe(ended - self._begun)
            if old and len(batch) - len(self._left) >= old:
                self._begun = self._ended  # what is left has come since the last slice
            self._ended = ended
            self._scheduled = bool(self._urgent or self._left or self._filled)
            if self._scheduled:
                self._call_soon(self._flush)


class Outbox:
    """The outgoing side of one socket.

    ``write`` puts bytes on the transport. ``catch_up`` is called when the reader is no longer behind and topics
    were set aside, ``overflowed`` when more than ``held_bytes`` would have to be held; both from the top of the
    event loop.
    """

    __slots__ = (
        "_behind", "_catch_up", "_chunks", "_counters", "_dropping", "_flusher", "_held_bytes",
        "_overflowed", "_overflowing", "_queued", "_size", "_write", "aside", "catching_up", "cohort", "conflated",
        "form", "frames", "pace", "paused", "urgent", "write_at", "written",
    )  # fmt: skip

    def __init__(
        self,
        write: Callable[[bytes], None],
        flusher: Flusher,
        counters: StreamCounters,
        *,
        deflate: bool,
        held_bytes: int,
        catch_up: Callable[[], None],
        overflowed: Callable[[], None],
    ) -> None:
        self._write = write
        self._flusher = flusher
        self._counters = counters
        self.form = DEFLATED if deflate else 0  # of the frames that this reader gets: see ``Frame.form``
        self._held_bytes = held_bytes
        self.write_at = min(held_bytes, _WRITE_SIZE)  # bytes with which a write does not wait for the turn's end
        self._catch_up = catch_up
        self._overflowed = overflowed
        self._chunks: list[bytes] = []
        self._size = 0
        self._queued = False  # the flusher has it
        self._dropping = False
        self._overflowing = False  # has just begun to drop, and nobody knows it yet
        self._behind = False  # paused, or topics are set aside: the slow path
        self.pace: Pace | None = None  # which the reader has chosen
        self.cohort: Cohort | None = None  # while all that the reader is sent is shared
        self.urgent = False  # reads topics of its account: what they say does not wait for the market's frames
        self.paused = False
        self.aside: dict[TopicKey, None] = {}  # in the order in which they were set aside
        self.catching_up = False  # the hub is fetching snapshots
        self.written = 0  # bytes, ever
        self.frames = 0  # written, ever
        self.conflated = 0  # times a topic was set aside

    @property
    def held(self) -> int:
        """Bytes that wait to be written."""
        return self._size

    # Filling.

    def publish(self, key: TopicKey, frame: Frame) -> None:
        """Send one data frame, or set its topic aside when the reader is behind."""
        if self._behind and self._sets_aside(key):
            return
        # As ``_put`` does it: a call for each delivery costs a tenth of all that it takes from here to the kernel.
        data = frame.forms[self.form] or frame.form(self.form)
        self._chunks.append(data)
        self._size = size = self._size + len(data)
        if not self._queued:
            self._queued = True
            self._flusher.add(self)
        if size > self.write_at:
            self._bound()

    @property
    def positions(self) -> bool:
        """Whether data frames carry their position in the topic: the reader may want to resume."""
        return bool(self.form & POSITIONED)

    @positions.setter
    def positions(self, wanted: bool) -> None:
        self.form = self.form | POSITIONED if wanted else self.form & ~POSITIONED

    @property
    def idle(self) -> bool:
        """Whether nothing waits for the reader, and nothing is wrong with it."""
        return not (self._chunks or self._behind or self.catching_up)

    def replay(self, frames: Sequence[Frame]) -> None:
        """Send what the reader has missed of a topic, all of it; for a reader that ``takes`` it."""
        self._go_alone()
        for frame in frames:
            if not self._dropping:
                self._put(frame.form(self.form))

    def takes(self, key: TopicKey) -> bool:
        """Whether a frame of the topic would be sent, or held, and not be dropped."""
        if self._dropping or key in self.aside:
            return False
        return not self.paused or key.topic.kind in KEPT_KINDS

    def reply(self, payload: bytes) -> None:
        """Send the reply to an operation; never dropped."""
        self._go_alone()
        if not self._dropping:
            self._put(text_frame(payload))

    def snapshot(self, key: TopicKey, frame: Frame) -> None:
        """Send the state from which the topic's next frames follow: what was set aside is made good by it."""
        self._go_alone()
        if not self.paused and key in self.aside:
            del self.aside[key]
            self._behind = bool(self.aside)
        self.publish(key, frame)

    def forget(self, key: TopicKey) -> None:
        """The topic is not subscribed any more."""
        if key in self.aside:
            del self.aside[key]
            self._behind = self.paused or self._dropping or bool(self.aside)

    def _go_alone(self) -> None:
        if self.cohort is not None:
            self.cohort.leave(self)

    def inherit(self, chunks: Sequence[bytes]) -> None:
        """Take over frames that were gathered for the reader together with others."""
        for data in chunks:
            self._put(data)

    def write_shared(self, data: bytes, frames: int) -> None:
        """Write what was gathered for the reader together with others, who count it."""
        if not self._dropping:
            self.frames += frames
            self.written += len(data)
            self._write(data)

    def _put(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        if not self._queued:
            self._queued = True
            self._flusher.add(self)
        if self._size > self.write_at:
            self._bound()

    def _sets_aside(self, key: TopicKey) -> bool:
        if self.takes(key):
            return False
        if self._dropping:
            self._counters.discarded += 1
            return True
        if key not in self.aside:
            self.aside[key] = None
            self._counters.conflated += 1
            self.conflated += 1
        self._counters.dropped += 1
        return True

    def _bound(self) -> None:
        if not self.paused:
            self._write_out()
        elif self._size > self._held_bytes:
            # Closing needs the hub, which may just be handing out this very frame: the flusher does it.
            self.stop()
            self._overflowing = True

    # Emptying.

    def flush(self) -> None:
        """Write what was gathered; called by the flusher."""
        self._queued = False
        if self._behind:
            self._flush_behind()
        elif self._chunks:
            self._write_out()

    def _flush_behind(self) -> None:
        if self._overflowing:
            self._overflowing = False
            self._overflowed()
        if self._chunks and not self.paused:
            self._write_out()
        if self.aside and not self.paused and not self.catching_up:  # the write may have been too much again
            self._catch_up()

    def _write_out(self) -> None:
        chunks, counters, size = self._chunks, self._counters, self._size
        frames = len(chunks)
        data = b"".join(chunks)  # of one chunk it is that chunk, not a copy
        chunks.clear()
        self._size = 0
        counters.frames_out += frames
        counters.joined[frames.bit_length()] += 1
        counters.bytes_out += size
        self.frames += frames
        self.written += size
        self._write(data)

    def control(self, data: bytes) -> None:
        """Write bytes at once, ahead of what is gathered: pings, pongs and what ends the connection."""
        self._counters.bytes_out += len(data)
        self.written += len(data)
        self._write(data)

    def drain(self) -> None:
        """Write all that is held, whether the reader is behind or not: a close frame comes next."""
        self._go_alone()
        if self._chunks:
            self._write_out()

    def stop(self) -> None:
        """Drop what is held and whatever comes."""
        self._go_alone()
        self._dropping = self._behind = True
        self._chunks.clear()
        self._size = 0
        self.aside.clear()

    def pause(self) -> None:
        """The transport is over its high-water mark: the reader is behind."""
        self._go_alone()
        self.paused = self._behind = True

    def resume(self) -> None:
        """The transport takes more."""
        self.paused = False
        self._behind = self._dropping or bool(self.aside)
        self.wake()

    def wake(self) -> None:
        """Flush when the turn is over, even if nothing is added to it."""
        if not self._queued:
            self._queued = True
            self._flusher.add(self)
