"""The stream without any sharing: what the hub, its channels and outboxes are to do, said as plainly as can be.

Every reader has its own list of what it is owed, everything is encoded for each reader anew, nothing is kept but whole
lists. Slow, and for the tests alone: the same calls are to bring every reader the same bytes.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tickwire.bus.feed import Feed
from tickwire.stream.conflation import Pending
from tickwire.stream.frames import text_frame
from tickwire.stream.pace import Timer, Timers
from tickwire.stream.session import Configuration, Step
from tickwire.stream.settings import StreamCounters, StreamSettings
from tickwire.wire.envelope import Position, with_position, with_resumed
from tickwire.wire.topics import TopicKey, TopicKind

CATCH_UP_TOPICS = 1  # as the tests set it for the hub

Numbered = tuple[int, bytes]


def kept(key: TopicKey) -> bool:
    return key.topic.kind in (TopicKind.ORDER, TopicKind.EXECUTION)


class PlainTopic:
    """All that was published of a topic since its first reader."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.published: list[bytes] = []
        self.readers: list[PlainReader] = []
        self.kept_from: int | None = None  # an offset, while what follows is kept
        self.expiry: Timer | None = None


class PlainReader:
    """One socket; its own outbox, too."""

    def __init__(
        self,
        hub: "PlainHub",
        key: str,
        write: Callable[[bytes], None],
        close: Callable[[str], None],
        *,
        deflate: bool,
        held_bytes: int,
    ) -> None:
        assert not deflate
        self.hub = hub
        self.write = write
        self.close = close
        self.held_bytes = held_bytes
        self.outbox = self
        self.attached = True
        self.configuration = Configuration()
        self.owed: dict[TopicKey, list[Numbered]] = {}  # by subscribed topic
        self.waiting: list[bytes] = []
        self.flushing = False
        self.paused = False
        self.stopped = False
        self.overflowed = False
        self.aside: list[TopicKey] = []
        self.catching_up = False

    def takes(self, key: TopicKey) -> bool:
        return not self.stopped and key not in self.aside and (not self.paused or kept(key))

    def encode(self, key: TopicKey, offset: int, payload: bytes) -> bytes:
        if self.configuration.resume:
            payload = with_position(payload, Position(self.hub.topics[key].epoch, offset))
        return text_frame(payload)

    def send(self, key: TopicKey, offset: int, payload: bytes) -> None:
        if self.takes(key):
            self.put(self.encode(key, offset, payload))
        elif not self.stopped and key not in self.aside:
            self.aside.append(key)

    def snapshot(self, key: TopicKey, payload: bytes) -> None:
        self.owed[key] = []
        if not self.paused and key in self.aside:
            self.aside.remove(key)
        self.send(key, len(self.hub.topics[key].published), payload)

    def put(self, frame: bytes) -> None:
        if self.stopped:
            return
        self.waiting.append(frame)
        self.wake()
        if sum(map(len, self.waiting)) > self.held_bytes:
            if self.paused:
                self.stopped = self.overflowed = True
            else:
                self.write_out()  # early, so that the transport can say that it is enough

    def write_out(self) -> None:
        for frame in self.waiting:
            self.write(frame)
        self.waiting.clear()

    def wake(self) -> None:
        if not self.flushing:
            self.flushing = True
            self.hub.timers.call_soon(self.flush)

    def flush(self) -> None:
        self.flushing = False
        if self.overflowed:
            self.overflowed = False
            self.close("too_slow")
        if self.stopped or self.paused:
            return
        self.write_out()
        if self.aside and not self.catching_up:
            self.hub.catch_up(self)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self.wake()

    def pay(self, key: TopicKey) -> None:
        """Send what the reader is owed of a topic."""
        owed, self.owed[key] = self.owed[key], []
        pending = Pending(key.topic)
        for offset, payload in owed:
            pending.add(offset, payload)
        for offset, payload in pending.payloads():
            self.send(key, offset, payload)


class PlainHub:
    """The same calls as the hub's."""

    def __init__(
        self, feed: Feed, counters: StreamCounters, timers: Timers, settings: StreamSettings, *, epoch: str
    ) -> None:
        self.feed = feed
        self.counters = counters
        self.timers = timers
        self.settings = settings
        self.epoch = epoch
        self.topics: dict[TopicKey, PlainTopic] = {}
        self.begun = 0  # topics, ever
        self.readers: list[PlainReader] = []
        self.woken: dict[int, list[TopicKey | None]] = {}  # by conflate_ms: what the next tick sends
        self.ticked: dict[int, float] = {}
        feed.listen(self.publish)

    @property
    def session_count(self) -> int:
        return len(self.readers)

    @property
    def subscription_count(self) -> int:
        return sum(len(reader.owed) for reader in self.readers)

    def attach(self, reader: PlainReader) -> None:
        self.readers.append(reader)

    def detach(self, reader: PlainReader) -> None:
        if reader.attached:
            reader.attached = False
            reader.stopped = True
            reader.waiting.clear()
            for key in list(reader.owed):
                self.remove(reader, key)
            self.readers.remove(reader)

    def perform(self, reader: PlainReader, step: Step) -> None:
        if step.at_once:
            for payload in step.replies:
                reader.put(text_frame(payload))
        elif step.join:
            self.feed.join(step.join, lambda snapshots: self.joined(reader, step, snapshots))
        elif step.replies:
            self.feed.settle(lambda: self.settled(reader, step))

    def joined(self, reader: PlainReader, step: Step, snapshots: Sequence[bytes]) -> None:
        if not reader.attached:
            for key in step.join:
                self.feed.leave(key)
            return
        self.configure(reader, step.configure)
        missed = self.missed(reader, step.resume)
        replies = list(step.replies)
        if missed:
            resumed = {key.topic.name: missed[key] is not None for key in step.resume}
            replies[0] = with_resumed(replies[0], resumed)
        for payload in replies:
            reader.put(text_frame(payload))
        for key, snapshot in zip(step.join, snapshots, strict=True):
            if key in reader.owed:
                self.feed.leave(key)
            else:
                self.add(reader, key)
            frames = missed.get(key)
            if frames is None:
                reader.snapshot(key, snapshot)
            for offset, payload in frames or ():
                reader.put(reader.encode(key, offset, payload))

    def settled(self, reader: PlainReader, step: Step) -> None:
        if reader.attached:
            for key in step.leave:
                if key in reader.owed:
                    self.remove(reader, key)
            self.configure(reader, step.configure)
            for payload in step.replies:
                reader.put(text_frame(payload))

    def configure(self, reader: PlainReader, configuration: Configuration | None) -> None:
        if configuration is not None and configuration != reader.configuration:
            for key in reader.owed:
                reader.pay(key)
                self.forget(reader, key)
            reader.configuration = configuration
            for key in reader.owed:
                self.keep(self.topics[key])

    def add(self, reader: PlainReader, key: TopicKey) -> None:
        topic = self.topics.get(key)
        if topic is None:
            self.begun += 1
            topic = self.topics[key] = PlainTopic(f"{self.epoch}.{self.begun}")
        elif not topic.readers:
            self.feed.leave(key)
        topic.readers.append(reader)
        reader.owed[key] = []
        self.keep(topic)

    def remove(self, reader: PlainReader, key: TopicKey) -> None:
        topic = self.topics[key]
        topic.readers.remove(reader)
        del reader.owed[key]
        self.forget(reader, key)
        if key in reader.aside:
            reader.aside.remove(key)
        self.keep(topic)
        if topic.readers or topic.kept_from is None:
            self.feed.leave(key)
        if not topic.readers and topic.kept_from is None:
            del self.topics[key]

    def forget(self, reader: PlainReader, key: TopicKey) -> None:
        """A topic that nobody else reads at the reader's pace loses its turn in the next tick."""
        pace = reader.configuration.conflate_ms
        woken = self.woken.get(pace, [])
        others = [each for each in self.topics[key].readers if each is not reader]
        if key in woken and all(other.configuration.conflate_ms != pace for other in others):
            woken[woken.index(key)] = None

    def keep(self, topic: PlainTopic) -> None:
        if any(reader.configuration.resume for reader in topic.readers):
            if topic.expiry is not None:
                topic.expiry.cancel()
                topic.expiry = None
            if topic.kept_from is None:
                topic.kept_from = len(topic.published)
        elif topic.kept_from is not None and topic.expiry is None:
            topic.expiry = self.timers.call_later(self.settings.resume_seconds, lambda: self.expire(topic))

    def expire(self, topic: PlainTopic) -> None:
        topic.kept_from = topic.expiry = None
        if not topic.readers:
            (key,) = (key for key, found in self.topics.items() if found is topic)
            del self.topics[key]
            self.feed.leave(key)

    def missed(self, reader: PlainReader, resume: dict[TopicKey, Position]) -> dict[TopicKey, list[Numbered] | None]:
        missed: dict[TopicKey, list[Numbered] | None] = {}
        room = self.settings.held_bytes - sum(map(len, reader.waiting))
        for key in sorted(resume, key=lambda key: not kept(key)):
            missed[key] = None
            topic = self.topics.get(key)
            if topic is None or key in reader.owed or not reader.takes(key):
                continue
            epoch, offset = resume[key].epoch, resume[key].offset
            if epoch != topic.epoch or topic.kept_from is None or not topic.kept_from <= offset <= len(topic.published):
                continue
            payloads = topic.published[offset:]
            if len(payloads) > self.settings.resume_frames or sum(map(len, payloads)) > self.settings.resume_bytes:
                continue
            frames = list(enumerate(payloads, offset + 1))
            size = sum(len(reader.encode(key, *frame)) for frame in frames)
            if size <= room:
                room -= size
                missed[key] = frames
        return missed

    def publish(self, key: TopicKey, payload: bytes) -> None:
        topic = self.topics.get(key)
        if topic is None:
            return
        topic.published.append(payload)
        offset = len(topic.published)
        for reader in topic.readers:
            pace = reader.configuration.conflate_ms
            if not pace or kept(key):
                reader.send(key, offset, payload)
            else:
                reader.owed[key].append((offset, payload))
                self.wake(pace, key)

    def wake(self, pace: int, key: TopicKey) -> None:
        woken = self.woken.setdefault(pace, [])
        if not woken:
            due = self.ticked.get(pace, float("-inf")) + pace / 1_000
            self.timers.call_later(max(0.0, due - self.timers.time()), lambda: self.tick(pace))
        if key not in woken:
            woken.append(key)

    def tick(self, pace: int) -> None:
        self.ticked[pace] = self.timers.time()
        for key in self.woken.pop(pace):
            for reader in self.readers:
                if key is not None and reader.configuration.conflate_ms == pace and reader.owed.get(key):
                    reader.pay(key)

    def catch_up(self, reader: PlainReader) -> None:
        keys = tuple(reader.aside[:CATCH_UP_TOPICS])
        reader.catching_up = True

        def caught_up(snapshots: Sequence[bytes]) -> None:
            reader.catching_up = False
            for key, payload in zip(keys, snapshots, strict=True):
                if key in reader.aside:
                    reader.snapshot(key, payload)
                self.feed.leave(key)
            reader.wake()

        self.feed.join(keys, caught_up)


def as_hub(hub: PlainHub) -> Any:
    """A plain hub in place of the real one."""
    return hub
