"""Who gets which frame.

The feed's one promise is that a snapshot is followed on the listener by exactly what follows from it. The hub
passes it on to each reader: a reader is added to a topic in the very callback that brings its snapshot, so what was
published before is not sent to it and everything after is. Replies take the same road (``Feed.join`` and
``Feed.settle`` call back in the order in which they were called), so a client sees the reply to a subscribe right
before the snapshot, and after the reply to an unsubscribe no more of that topic, however many of them are under
way.

A reader that has said where it was (``Position``) gets what it has missed in place of the SNAPSHOT, where all of that
is still kept: for as long as a topic has readers that may want to resume, and some time after the last of them has
gone. During that time the hub keeps its interest in the topic, though nobody reads it.

Nothing here calls ``join`` or ``settle`` from within one of their callbacks or from the listener: both run somewhere
inside the publishing of a batch, where "at once" would be too early for what the rest of the batch brings.
"""

import itertools
from collections.abc import Callable, Sequence

from tickwire.bus.feed import Feed
from tickwire.stream.channel import Channel
from tickwire.stream.cohort import Cohorts
from tickwire.stream.frames import Frame
from tickwire.stream.history import History
from tickwire.stream.outbox import KEPT_KINDS, Flusher, Outbox
from tickwire.stream.pace import Pace, Timers
from tickwire.stream.session import Configuration, Step
from tickwire.stream.settings import StreamCounters, StreamSettings
from tickwire.wire.envelope import Position, with_resumed
from tickwire.wire.topics import TopicKey, TopicKind

__all__ = ["Hub", "Reader"]

# Topics fetched at once for a reader that has caught up: their snapshots may be large, and it may fall behind again.
_CATCH_UP_TOPICS = 16


class Reader:
    """One socket as the hub sees it. ``close`` ends the socket; it gets the name of an entry of ``CLOSES``."""

    __slots__ = ("attached", "channels", "close", "configuration", "key", "outbox")

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
        self.configuration = Configuration()
        self.channels: dict[TopicKey, Channel] = {}  # each holds one count of the feed's interest
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
    """All readers of one process, and the topics they read.

    ``epoch`` is a text that no other hub has, before or after: positions of another one are told by it.
    """

    def __init__(
        self, feed: Feed, counters: StreamCounters, timers: Timers, settings: StreamSettings, *, epoch: str
    ) -> None:
        self.feed = feed
        self.counters = counters
        self.flusher = Flusher(timers.call_soon)
        self._timers = timers
        self._settings = settings
        self._epochs = (f"{epoch}.{number}" for number in itertools.count(1))
        self._channels: dict[TopicKey, Channel] = {}
        self._paces: dict[int, Pace] = {}  # by milliseconds
        self._readers: dict[str, set[Reader]] = {}  # by API key
        self._cohorts = Cohorts(timers, self.flusher, counters)
        self.session_count = 0
        self.notice: bytes | None = None  # what each new reader is told first
        self.subscriptions = dict.fromkeys(TopicKind, 0)
        feed.listen(self._publish)

    # Sockets.

    def attach(self, reader: Reader) -> None:
        """Take in a new socket."""
        self._readers.setdefault(reader.key, set()).add(reader)
        self.session_count += 1
        if self.notice is not None:
            reader.outbox.reply(self.notice)
        self._cohorts.attach(reader.outbox, reader.channels)

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
        for key in tuple(reader.channels):
            self._remove(reader, key)
        reader.outbox.stop()
        self._cohorts.detach(reader.outbox)

    def sockets(self, key: str) -> int:
        """How many sockets an API key has open."""
        return len(self._readers.get(key, ()))

    @property
    def behind(self) -> bool:
        """Whether any reader has not taken what was written to it."""
        return any(reader.outbox.paused for readers in self._readers.values() for reader in readers)

    def close_key(self, key: str) -> None:
        """Close every socket of a revoked API key."""
        for reader in tuple(self._readers.get(key, ())):
            reader.close("key_revoked")

    def tell(self, payload: bytes, key: TopicKey | None = None) -> None:
        """Send a message that is no data to every reader, or to those of one topic."""
        if key is None:
            outboxes = [reader.outbox for readers in self._readers.values() for reader in readers]
        else:
            channel = self._channels.get(key)
            outboxes = [] if channel is None else list(channel.readers)
        for outbox in outboxes:
            outbox.reply(payload)

    # Counts.

    @property
    def subscription_count(self) -> int:
        """Topics of all sockets together."""
        return sum(self.subscriptions.values())

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

    def _joined(self, reader: Reader, step: Step, snapshots: Sequence[bytes | None]) -> None:
        if not reader.attached:
            for key in step.join:
                self.feed.leave(key)
            return
        if step.configure is not None:
            self._configure(reader, step.configure)
        outbox = reader.outbox
        missed = self._missed(reader, step.resume)
        resumed = {key.topic.name: missed[key] is not None for key in step.resume}
        self.counters.resumed += sum(resumed.values())
        self.counters.not_resumed += len(resumed) - sum(resumed.values())
        for number, payload in enumerate(step.replies):
            outbox.reply(with_resumed(payload, resumed) if resumed and number == 0 else payload)
        for key, snapshot in zip(step.join, snapshots, strict=True):
            channel = self._enter(reader, key)
            frames = missed.get(key)
            if frames is not None:
                outbox.replay(frames)
            elif snapshot is not None:  # else it is the next payload of all readers
                outbox.snapshot(key, channel.snapshot(snapshot))

    def _settled(self, reader: Reader, step: Step) -> None:
        if not reader.attached:
            return
        for key in step.leave:
            if key in reader.channels:
                self._remove(reader, key)
        if step.configure is not None:
            self._configure(reader, step.configure)
        for payload in step.replies:
            reader.outbox.reply(payload)

    def _configure(self, reader: Reader, configuration: Configuration) -> None:
        """Let a reader go on in the way that it has chosen; what it is owed in the old way goes out before."""
        if configuration == reader.configuration:
            return  # asked for again, or by a subscribe that resumes
        reader.configuration = configuration
        outbox = reader.outbox
        self._cohorts.change(outbox)
        channels = reader.channels.values()
        for channel in channels:
            channel.hand_over(outbox)
            channel.remove(outbox)
        outbox.pace = self._pace(configuration.conflate_ms)
        outbox.positions = configuration.resume
        for channel in channels:
            channel.add(outbox)
            self._keep_history(channel)

    def _pace(self, milliseconds: int) -> Pace | None:
        if not milliseconds:
            return None
        pace = self._paces.get(milliseconds)
        if pace is None:
            pace = self._paces[milliseconds] = Pace(milliseconds / 1_000, self._timers, self.counters)
        return pace

    # Topics.

    def _enter(self, reader: Reader, key: TopicKey) -> Channel:
        """The channel of a topic that a reader has joined at the feed, with the reader in it."""
        channel = reader.channels.get(key)
        if channel is not None:
            self.feed.leave(key)  # the reader had one count already
            channel.restart(reader.outbox)
            return channel
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = Channel(key, next(self._epochs))
        elif not channel.readers:
            self.feed.leave(key)  # the count that was kept with the history
        self._cohorts.change(reader.outbox)
        reader.channels[key] = channel
        reader.outbox.urgent |= key.topic.private
        channel.add(reader.outbox)
        self.subscriptions[key.topic.kind] += 1
        self._keep_history(channel)
        return channel

    def _remove(self, reader: Reader, key: TopicKey) -> None:
        self._cohorts.change(reader.outbox)
        channel = reader.channels.pop(key)
        if key.topic.private:
            reader.outbox.urgent = any(each.topic.private for each in reader.channels)
        reader.outbox.forget(key)
        channel.remove(reader.outbox)
        self.subscriptions[key.topic.kind] -= 1
        self._keep_history(channel)
        if channel.readers:
            self.feed.leave(key)
        elif channel.history is None:
            self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        """End a channel without readers, with the last count of the feed's interest."""
        del self._channels[channel.key]
        self.feed.leave(channel.key)

    def _missed(self, reader: Reader, resume: dict[TopicKey, Position]) -> dict[TopicKey, list[Frame] | None]:
        """What a reader that comes back has missed of each topic; ``None`` where it has to begin with a SNAPSHOT."""
        outbox = reader.outbox
        missed: dict[TopicKey, list[Frame] | None] = {}
        # All of it may have to be held for the reader. Orders and executions come first: no SNAPSHOT makes them good.
        room = self._settings.held_bytes - outbox.held
        for key in sorted(resume, key=lambda key: key.topic.kind not in KEPT_KINDS):
            missed[key] = None
            channel = self._channels.get(key)
            # One that reads the topic already has asked for a fresh SNAPSHOT, and one that is behind would miss a part.
            if channel is None or key in reader.channels or not outbox.takes(key):
                continue
            frames = channel.missed(resume[key])
            size = sum(len(frame.form(outbox.form)) for frame in frames or ())
            if size <= room:
                room -= size
                missed[key] = frames
        return missed

    def _keep_history(self, channel: Channel) -> None:
        """Begin to keep a channel's frames with the first reader that may resume, and end it after the last one."""
        if channel.resumable:
            if channel.expiry is not None:
                channel.expiry.cancel()
                channel.expiry = None
            if channel.history is None:
                channel.history = History(self._settings.resume_frames, self._settings.resume_bytes)
        elif channel.history is not None and channel.expiry is None:
            channel.expiry = self._timers.call_later(self._settings.resume_seconds, lambda: self._expire(channel))

    def _expire(self, channel: Channel) -> None:
        channel.history = channel.expiry = None
        if not channel.readers:
            self._drop(channel)

    # Data.

    def _publish(self, key: TopicKey, payload: bytes) -> None:
        channel = self._channels.get(key)
        if channel is not None:  # else a reader's join is under way, or the last one has just left
            channel.publish(payload)

    def catch_up(self, reader: Reader) -> None:
        """Get fresh snapshots of some topics that were set aside."""
        outbox = reader.outbox
        keys = tuple(itertools.islice(outbox.aside, _CATCH_UP_TOPICS))
        outbox.catching_up = True
        self.feed.join(keys, lambda snapshots: self._caught_up(reader, keys, snapshots))

    def _caught_up(self, reader: Reader, keys: Sequence[TopicKey], snapshots: Sequence[bytes | None]) -> None:
        outbox = reader.outbox
        outbox.catching_up = False
        for key, payload in zip(keys, snapshots, strict=True):
            if key in outbox.aside:  # and not unsubscribed, or subscribed afresh, meanwhile
                channel = reader.channels[key]
                channel.restart(outbox)
                if payload is None:
                    outbox.forget(key)  # the next payload is a SNAPSHOT
                else:
                    outbox.snapshot(key, channel.snapshot(payload))
            self.feed.leave(key)
        outbox.wake()  # for the rest of what is set aside
