"""Who gets which frame.

The feed's one promise is that a snapshot is followed on the listener by exactly what follows from it. The hub
passes it on to each reader: a reader is added to a topic in the very callback that brings its snapshot, so what was
published before is not sent to it and everything after is. Replies take the same road (``Feed.join`` and
``Feed.settle`` call back in the order in which they were called), so a client sees the reply to a subscribe right
before the snapshot, and after the reply to an unsubscribe no more of that topic, however many of them are under
way.

Nothing here calls ``join`` or ``settle`` from within one of their callbacks or from the listener: both run somewhere
inside the publishing of a batch, where "at once" would be too early for what the rest of the batch brings.
"""

import itertools
from collections.abc import Callable, Sequence

from tickwire.bus.feed import Feed
from tickwire.stream.frames import Frame
from tickwire.stream.outbox import Flusher, Outbox
from tickwire.stream.session import Step
from tickwire.stream.settings import StreamCounters
from tickwire.wire.topics import TopicKey, TopicKind

__all__ = ["Hub", "Reader"]

# Topics fetched at once for a reader that has caught up: their snapshots may be large, and it may fall behind again.
_CATCH_UP_TOPICS = 16


class Reader:
    """One socket as the hub sees it. ``close`` ends the socket; it gets the name of an entry of ``CLOSES``."""

    __slots__ = ("attached", "close", "key", "outbox", "topics")

    def __init__(
        self,
        hub: "Hub",
        key: str,
        write: Callable[[bytes], None],
        close: Callable[[str], None],
        *,
        deflate: bool,
        held_bytes: int,
    ) -> None:
        self.key = key
        self.close = close
        self.attached = True
        self.topics: set[TopicKey] = set()  # each holds one count of the feed's interest
        self.outbox = Outbox(
            write,
            hub.flusher,
            hub.counters,
            deflate=deflate,
            held_bytes=held_bytes,
            catch_up=lambda: hub.catch_up(self),
            overflowed=lambda: close("too_slow"),
        )


class Hub:
    """All readers of one process, and the topics they read."""

    def __init__(self, feed: Feed, counters: StreamCounters, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self.feed = feed
        self.counters = counters
        self.flusher = Flusher(call_soon)
        self._topics: dict[TopicKey, dict[Outbox, None]] = {}
        self._readers: dict[str, set[Reader]] = {}  # by API key
        self.session_count = 0
        self.subscriptions = dict.fromkeys(TopicKind, 0)
        feed.listen(self._publish)

    # Sockets.

    def attach(self, reader: Reader) -> None:
        """Take in a new socket."""
        self._readers.setdefault(reader.key, set()).add(reader)
        self.session_count += 1

    def detach(self, reader: Reader) -> None:
        """Forget a socket: from now on nothing is sent to it. Calling it again does nothing."""
        if not reader.attached:
            return
        reader.attached = False
        self.session_count -= 1
        readers = self._readers[reader.key]
        readers.remove(reader)
        if not readers:
            del self._readers[reader.key]
        for key in tuple(reader.topics):
            self._remove(reader, key)
        reader.outbox.stop()

    def sockets(self, key: str) -> int:
        """How many sockets an API key has open."""
        return len(self._readers.get(key, ()))

    def close_key(self, key: str) -> None:
        """Close every socket of a revoked API key."""
        for reader in tuple(self._readers.get(key, ())):
            reader.close("key_revoked")

    # Counts.

    @property
    def subscription_count(self) -> int:
        """Topics of all sockets together."""
        return sum(self.subscriptions.values())

    def backlog(self) -> tuple[int, int]:
        """How many readers are behind now, and the bytes that wait in all outboxes; looks at every reader."""
        outboxes = [reader.outbox for readers in self._readers.values() for reader in readers]
        return sum(outbox.paused for outbox in outboxes), sum(outbox.held for outbox in outboxes)

    # Operations.

    def perform(self, reader: Reader, step: Step) -> None:
        """Carry out what a session's message leads to, except to close."""
        if step.at_once:
            for payload in step.replies:
                reader.outbox.reply(payload)
        elif step.join:
            self.feed.join(step.join, lambda snapshots: self._joined(reader, step, snapshots))
        elif step.replies:
            self.feed.settle(lambda: self._settled(reader, step))

    def _joined(self, reader: Reader, step: Step, snapshots: Sequence[bytes]) -> None:
        if not reader.attached:
            for key in step.join:
                self.feed.leave(key)
            return
        for payload in step.replies:
            reader.outbox.reply(payload)
        for key, payload in zip(step.join, snapshots, strict=True):
            if key in reader.topics:
                self.feed.leave(key)  # it had one count already
            else:
                reader.topics.add(key)
                self._topics.setdefault(key, {})[reader.outbox] = None
                self.subscriptions[key.topic.kind] += 1
            reader.outbox.snapshot(key, Frame(payload))

    def _settled(self, reader: Reader, step: Step) -> None:
        if not reader.attached:
            return
        for key in step.leave:
            if key in reader.topics:
                self._remove(reader, key)
        for payload in step.replies:
            reader.outbox.reply(payload)

    def _remove(self, reader: Reader, key: TopicKey) -> None:
        reader.topics.remove(key)
        reader.outbox.forget(key)
        outboxes = self._topics[key]
        del outboxes[reader.outbox]
        if not outboxes:
            del self._topics[key]
        self.subscriptions[key.topic.kind] -= 1
        self.feed.leave(key)

    # Data.

    def _publish(self, key: TopicKey, payload: bytes) -> None:
        outboxes = self._topics.get(key)
        if outboxes is None:
            return  # a reader's join is under way, or the last one has just left
        frame = Frame(payload)
        for outbox in outboxes:
            outbox.publish(key, frame)

    def catch_up(self, reader: Reader) -> None:
        """Get fresh snapshots of some topics that were set aside."""
        outbox = reader.outbox
        keys = tuple(itertools.islice(outbox.aside, _CATCH_UP_TOPICS))
        outbox.catching_up = True
        self.feed.join(keys, lambda snapshots: self._caught_up(reader, keys, snapshots))

    def _caught_up(self, reader: Reader, keys: Sequence[TopicKey], snapshots: Sequence[bytes]) -> None:
        outbox = reader.outbox
        outbox.catching_up = False
        for key, payload in zip(keys, snapshots, strict=True):
            if key in outbox.aside:  # and not unsubscribed, or subscribed afresh, meanwhile
                outbox.snapshot(key, Frame(payload))
            self.feed.leave(key)
        outbox.wake()  # for the rest of what is set aside
