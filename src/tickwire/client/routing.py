"""Where the frames of one connection go: to the feed of their topic, and events to all who listen.

It also is what feeds ask to subscribe, and what stops the socket while a reader's queue is full (``feeds.Hub``).
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import msgspec

from tickwire.client.connection import Batch, Connection
from tickwire.client.errors import ClientError
from tickwire.client.events import BadFrame, Connected, Event, Gap, Reconnecting, Refused
from tickwire.client.feeds import Feed
from tickwire.client.frames import FrameError, read_message
from tickwire.client.mailboxes import Reader

__all__ = ["Counters", "Listeners", "Router"]

_TOPIC_START = len(b'{"topic":"')
_REPEAT_SECONDS = 1.0


class Counters(msgspec.Struct):
    """What has happened since the client was made."""

    frames: int = 0
    bad_frames: int = 0
    gaps: int = 0
    connections: int = 0
    losses: int = 0
    """Connections lost, and those that could not be made."""
    refusals: int = 0
    unrouted: int = 0
    """Frames of topics that nobody reads any more."""


class Router:
    """The feeds of one connection. ``make_feed`` makes that of a topic when the first stream asks for it."""

    def __init__(self, connection: Connection, make_feed: Callable[[str], Feed[Any, Any]]) -> None:
        self.counters = Counters()
        self.connected = False
        self.listeners = Listeners()
        self._connection = connection
        self._make_feed = make_feed
        self._feeds: dict[bytes, Feed[Any, Any]] = {}  # by how frames of the topic begin
        self._tasks: set[asyncio.Task[None]] = set()
        self._full: set[Reader] = set()  # readers whose queue has no room
        self._room: asyncio.Future[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._error: Exception | None = None

    async def start(self) -> None:
        """Open the connection and begin to read it."""
        await self._connection.__aenter__()
        self._running = asyncio.get_running_loop().create_task(self._run(), name="tickwire client")

    async def stop(self) -> None:
        """Close the connection and end all streams."""
        if self._again is not None:
            self._again.cancel()
        self._full.clear()
        self._wake()
        await self._connection.close()
        tasks = [*self._tasks, *([self._running] if self._running is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._end(None)

    def feed(self, name: str) -> Feed[Any, Any]:
        """The feed of a topic, made when the first stream asks for it."""
        if self._running is None:
            raise RuntimeError("expected an open client; use it within async with")
        feed = self._feeds.get(_beginning(name))
        if feed is None:
            feed = self._feeds[_beginning(name)] = self._make_feed(name)
            if self._error is not None:
                feed.fail(self._error)
        return feed

    # What feeds need (see ``feeds.Hub``).

    def ask(self, operation: Literal["subscribe", "unsubscribe"], topic: str) -> None:
        """Send an operation, and keep it in mind for the next connection."""
        self._connection.request(operation, [topic])

    def emit(self, event: Event) -> None:
        """Count an event and tell those who listen to all."""
        counters = self.counters
        match event:
            case Gap():
                counters.gaps += 1
            case BadFrame():
                counters.bad_frames += 1
            case Connected():
                counters.connections += 1
            case Reconnecting():
                counters.losses += 1
            case Refused():
                counters.refusals += 1
            case _:
                pass
        self.listeners.tell(event)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it as long as the client does."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._spawned_ended)
        return task

    def dropped(self, feed: Feed[Any, Any]) -> None:
        """A feed has lost its last reader."""
        self._feeds.pop(_beginning(feed.name), None)

    def blocked(self, reader: Reader) -> None:
        """Read no more until the stream has room."""
        self._full.add(reader)

    def unblocked(self, reader: Reader) -> None:
        """The stream has room."""
        if reader in self._full:
            self._full.discard(reader)
            if not self._full:
                self._wake()

    def now(self) -> int:
        """The machine's time, ns since the epoch."""
        return time.time_ns()

    # Inside.

    def _spawned_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._end(task.exception())

    async def _run(self) -> None:
        error: Exception | None = None
        try:
            async for item in self._connection.batches():
                if isinstance(item, Batch):
                    await self._route(item)
                else:
                    self._connection_event(item)
        except ClientError as ended:
            error = ended
        self._end(error)

    async def _route(self, batch: Batch) -> None:
        """Give each frame to the feed of its topic. Nearly all begin with it; the others are read to find it."""
        received, feeds, full = batch.received, self._feeds, self._full
        self.counters.frames += len(batch.messages)
        beginning, feed = b"\0", None  # of the frame before: a read often brings several of one topic
        for data in batch.messages:
            if not data.startswith(beginning):
                end = data.find(b'"', _TOPIC_START)
                beginning, feed = data[: end + 1] or b"\0", feeds.get(data[:end])
            if feed is not None:
                feed.receive(received, data)
            else:
                self._route_slowly(received, data)
            if full:
                self._room = asyncio.get_running_loop().create_future()
                await self._room

    def _route_slowly(self, received: int, data: bytes) -> None:
        try:
            message = read_message(data)
        except FrameError as error:
            self.emit(BadFrame(received, str(error), data))
            return
        if message.topic:
            feed = self._feeds.get(_beginning(message.topic))
            if feed is None:
                self.counters.unrouted += 1
            else:
                feed.receive(received, data)
        elif not message.success:
            self._refused(received, message.op, message.args, message.error, message.message)

    def _refused(self, received: int, operation: str, topics: list[str], code: str, text: str) -> None:
        self.emit(Refused(received, operation, tuple(topics), code, text))
        if operation == "subscribe":
            for topic in topics:
                self._connection.topics.pop(topic, None)
                feed = self._feeds.get(_beginning(topic))
                if feed is not None:
                    feed.refused(code, text)
        if not topics and self._again is None:
            # Which operation it was is not said (TooManyOperations): ask for what is missing, a little later.
            self._again = asyncio.get_running_loop().call_later(_REPEAT_SECONDS, self._ask_again)

    def _ask_again(self) -> None:
        self._again = None
        for feed in self._feeds.values():
            if not feed.synced and feed.name in self._connection.topics:
                self.ask("subscribe", feed.name)

    def _connection_event(self, event: Connected | Reconnecting) -> None:
        self.connected = isinstance(event, Connected)
        self.emit(event)
        for feed in list(self._feeds.values()):
            if isinstance(event, Connected):
                feed.event(event)
                feed.connected()
            else:
                feed.interrupted()
                feed.event(event)

    def _end(self, error: BaseException | None) -> None:
        """End all streams: because of an error, or because the client is closed."""
        cause = error if isinstance(error, Exception) else None
        if self._error is None:
            self._error = cause
        for feed in list(self._feeds.values()):
            feed.fail(cause)
        self.listeners.fail(cause)

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


def _beginning(topic: str) -> bytes:
    """How the frames of a topic begin, up to the name's last letter, when they have no blanks and the topic first."""
    return b'{"topic":"' + topic.encode()


class Listeners:
    """The source of ``Client.events``: who wants to know all that happens."""

    name = "events"

    def __init__(self) -> None:
        self._readers: list[Reader] = []

    def tell(self, event: Event) -> None:
        """Pass on an event."""
        for reader in self._readers:
            reader.put_event(event)

    def fail(self, error: Exception | None) -> None:
        """There will be no more."""
        for reader in list(self._readers):
            reader.fail(error)

    def attach(self, reader: Reader) -> None:
        """Begin to tell a reader."""
        self._readers.append(reader)

    def detach(self, reader: Reader) -> None:
        """Tell it nothing more."""
        if reader in self._readers:
            self._readers.remove(reader)

    async def ready(self) -> None:
        """There is no state to wait for."""

    def blocked(self, reader: Reader) -> None:
        """A reader of events does not stop the client: its own streams would wait for it."""

    def unblocked(self, reader: Reader) -> None:
        """As it never stops it."""
