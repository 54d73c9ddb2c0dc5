"""Readers of exactly the same topics, in the same form, none of whom is behind: what a turn brings is gathered and
joined once for all of them.

A member shares all that it is sent. As soon as something is for it alone (a reply, a SNAPSHOT, another topic) or it has
fallen behind, it leaves, with what the turn has brought so far, and goes on by itself; the hub looks from time to time
who may share again.
"""

from collections import deque
from collections.abc import Callable, Mapping

from tickwire.stream.channel import Channel
from tickwire.stream.frames import Frame
from tickwire.stream.outbox import Flusher, Outbox
from tickwire.stream.pace import Timers
from tickwire.stream.settings import StreamCounters
from tickwire.wire.topics import TopicKey

__all__ = ["Cohort", "Cohorts"]

# How often readers are looked for that may share. One that has just subscribed is likely to subscribe again, and one
# that has asked something to ask again.
_SECONDS = 1.0

# Readers looked at in one turn. One with 200 topics takes 10 us.
_AT_ONCE = 100

# So many writes are made without a look at other sockets (see ``Flusher``); more readers share in several cohorts.
_MOST_MEMBERS = 32

Likeness = tuple[frozenset[Channel], int]
"""What readers have in common who may share: their topics, and the form of their frames."""


class Cohort:
    """Readers that share a list of frames. ``left`` is called with each that leaves."""

    __slots__ = (
        "_channels", "_chunks", "_counters", "_flusher", "_form", "_left", "_queued", "_size", "_write_at",
        "likeness", "members", "urgent",
    )  # fmt: skip

    def __init__(
        self,
        likeness: Likeness,
        flusher: Flusher,
        counters: StreamCounters,
        left: Callable[["Cohort", Outbox], None],
    ) -> None:
        self.likeness = likeness
        self.members: dict[Outbox, None] = {}
        self._channels, self._form = likeness
        self.urgent = any(channel.key.topic.private for channel in self._channels)  # as an outbox has it
        self._flusher = flusher
        self._counters = counters
        self._left = left
        self._chunks: list[bytes] = []
        self._size = 0
        self._queued = False
        self._write_at = 0

    def add(self, outbox: Outbox) -> None:
        """Take in a reader for which nothing waits, as nothing does for the members."""
        self.members[outbox] = None
        self._write_at = outbox.write_at
        outbox.cohort = self
        for channel in self._channels:
            channel.gather(outbox, self)

    def leave(self, outbox: Outbox) -> None:
        """Let a member go on by itself. The last one does not stay alone."""
        del self.members[outbox]
        outbox.cohort = None
        for channel in self._channels:
            channel.release(outbox)
        outbox.inherit(self._chunks)
        if not self.members:
            for channel in self._channels:
                channel.drop(self)
        self._left(self, outbox)
        if len(self.members) == 1:
            self.leave(next(iter(self.members)))

    def publish(self, key: TopicKey, frame: Frame) -> None:  # noqa: ARG002  # as an outbox has it
        """Send one data frame to every member."""
        data = frame.forms[self._form] or frame.form(self._form)
        self._chunks.append(data)
        self._size += len(data)
        if not self._queued:
            self._queued = True
            self._flusher.add(self)
        if self._size > self._write_at:
            self._write_out()

    def flush(self) -> None:
        """Write what was gathered; called by the flusher."""
        self._queued = False
        if self._chunks:
            self._write_out()

    def _write_out(self) -> None:
        frames, size, data = len(self._chunks), self._size, b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        # Whoever leaves because of this very write, or of another member's, is still to get it.
        members = tuple(self.members)
        counters = self._counters
        counters.frames_out += frames * len(members)
        counters.joined[frames.bit_length()] += len(members)
        counters.bytes_out += size * len(members)
        failure: BaseException | None = None
        for outbox in members:
            try:
                outbox.write_shared(data, frames)
            except BaseException as error:  # one socket's failure is not to hold up the others
                failure = error
        if failure is not None:
            raise failure


class Cohorts:
    """Finds readers that may share, from time to time among those for which something has changed."""

    def __init__(self, timers: Timers, flusher: Flusher, counters: StreamCounters) -> None:
        self._timers = timers
        self._flusher = flusher
        self._counters = counters
        self._topics: dict[Outbox, Mapping[TopicKey, Channel]] = {}  # of every reader
        self._changed: dict[Outbox, None] = {}  # readers that go alone and have not been looked at
        self._looking: deque[Outbox] = deque()  # those that are being looked at
        self._single: dict[Likeness, Outbox] = {}  # those that were, and had no like
        self._likeness: dict[Outbox, Likeness] = {}  # of these
        self._cohorts: dict[Likeness, Cohort] = {}

    def attach(self, outbox: Outbox, topics: Mapping[TopicKey, Channel]) -> None:
        """Note a new reader; ``topics`` is what it reads at any time."""
        self._topics[outbox] = topics

    def detach(self, outbox: Outbox) -> None:
        """Forget a reader."""
        self.change(outbox)
        self._changed.pop(outbox, None)
        del self._topics[outbox]

    def change(self, outbox: Outbox) -> None:
        """Let a reader go alone: its topics, or their form, are about to change."""
        if outbox.cohort is not None:
            outbox.cohort.leave(outbox)
        likeness = self._likeness.pop(outbox, None)
        if likeness is not None:
            del self._single[likeness]
        self._look_at(outbox)

    def _left(self, cohort: Cohort, outbox: Outbox) -> None:
        if not cohort.members and self._cohorts.get(cohort.likeness) is cohort:
            del self._cohorts[cohort.likeness]
        self._look_at(outbox)

    def _look_at(self, outbox: Outbox) -> None:
        if not self._changed:
            self._timers.call_later(_SECONDS, self._begin)
        self._changed[outbox] = None

    def _begin(self) -> None:
        self._looking.extend(self._changed)
        self._changed.clear()
        # In a turn of its own, when all that was under way has been written.
        self._timers.call_soon(self._gather)

    def _gather(self) -> None:
        for _ in range(min(_AT_ONCE, len(self._looking))):
            outbox = self._looking.popleft()
            if not self._place(outbox):
                self._look_at(outbox)
        if self._looking:
            self._timers.call_soon(self._gather)

    def _place(self, outbox: Outbox) -> bool:
        """Put a reader to others like it; false when it is to be tried again."""
        topics = self._topics.get(outbox)
        if not topics or outbox.pace is not None or outbox.cohort is not None:
            return True  # until it changes again
        outbox.flush()  # on a busy server something always waits for its turn
        if not outbox.idle:
            return False
        likeness = frozenset(topics.values()), outbox.form
        cohort = self._cohorts.get(likeness)
        if cohort is None or len(cohort.members) >= _MOST_MEMBERS:
            other = self._single.get(likeness)
            if other is None or other is outbox:
                self._single[likeness] = outbox
                self._likeness[outbox] = likeness
                return True
            other.flush()
            if not other.idle:
                return False
            del self._single[likeness], self._likeness[other]
            cohort = self._cohorts[likeness] = Cohort(likeness, self._flusher, self._counters, self._left)
            cohort.add(other)
        cohort.flush()
        cohort.add(outbox)
        return True
