"""The client: typed streams over one socket that heals itself, and the REST calls beside it.

It routes each frame to the feed of its topic, and tells the feeds when the connection comes and goes. A topic is
subscribed once, however many streams read it, and unsubscribed when the last of them has left.
"""

import asyncio
import ssl
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from tickwire.client.book import LocalBook, OrderBook
from tickwire.client.clock import ServerClock
from tickwire.client.connection import Batch, Connection, ConnectionSettings
from tickwire.client.errors import ClientError
from tickwire.client.events import BadFrame, Connected, Event, Gap, RawFrame, Reconnecting, Refused
from tickwire.client.feeds import Feed
from tickwire.client.frames import FrameError, read_message
from tickwire.client.mailboxes import BufferPolicy, Latest, Queue, Reader
from tickwire.client.replies import Candle
from tickwire.client.rest import RestClient
from tickwire.client.states import BookState, KeyedState, KlineState, TickerState, closed_position
from tickwire.client.streams import Stream
from tickwire.client.trades import ExecutionFeed, OrderFeed
from tickwire.wire import rows
from tickwire.wire.topics import Topic, TopicError, TopicKind, parse_topic

__all__ = ["Client", "Counters"]

_LATEST = Latest()
# Enough for what one order can bring about, many times over.
_EVERY_ONE = Queue(1_000)
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


class Client:
    """One account's connection to an exchange: ``async with Client(url, key, secret) as client``.

    ``url`` is that of the server, such as ``http://127.0.0.1:8080``; http, https, ws and wss are all good. ``rest`` has
    the REST calls, ``clock`` the server's time, ``counters`` what has happened. ``settings`` are of the connection,
    ``tls`` is for certificates of one's own.

    Streams are asynchronous iterators; each says in ``buffer`` what waits for a slow reader: ``Latest()``, the default
    for states, or ``Queue(size, when_full)``. A stream that can have no more rows (a wrong key, a symbol that does not
    exist) raises a ``ClientError``.
    """

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        *,
        settings: ConnectionSettings | None = None,
        clock: ServerClock | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.clock = clock or ServerClock()
        self.rest = RestClient(url, key, secret, clock=self.clock, ssl_context=tls)
        self.counters = Counters()
        self.connected = False
        self._connection = Connection(url, key, secret, settings=settings, clock=self.clock.now, tls=tls)
        self._feeds: dict[bytes, Feed[Any, Any]] = {}  # by how frames of the topic begin
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners = _Listeners()
        self._full: set[Reader] = set()  # streams whose queue has no room
        self._room: asyncio.Future[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._error: Exception | None = None

    async def __aenter__(self) -> Self:
        """Begin to connect. A server that is not there yet is waited for; what is wrong, the streams say."""
        await self._connection.__aenter__()
        self._running = asyncio.get_running_loop().create_task(self._run(), name="tickwire client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all streams and close the connections."""
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
        await self.rest.aclose()

    # Streams.

    def ticker(self, symbol: str, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.Ticker]:
        """Best prices, last, mark and index price, funding and the last 24 hours of a symbol; always whole rows."""
        return Stream(self._source(f"ticker.{symbol}"), buffer)

    def kline(self, symbol: str, interval: str, *, buffer: BufferPolicy = _LATEST) -> Stream[Candle]:
        """Candles of an interval (``1`` to ``720`` minutes, ``1D``, ``1W``, ``1M``): the open one as it changes.

        A candle is final when one with a later ``start_time`` comes.
        """
        return Stream(self._source(f"kline.{interval}.{symbol}"), buffer)

    def order_book(
        self, symbol: str, depth: int = 20, *, changes: bool = False, buffer: BufferPolicy = _LATEST
    ) -> Stream[OrderBook]:
        """The best ``depth`` levels a side, from a local book that is kept in step with the exchange's.

        It reads the topic ``orderbook``, which shows the top levels and is documented. With ``changes`` it reads
        ``orderbook.delta``, an extension that has the whole book, change by change.

        A book that cannot be right (a change is missing, the best bid is above the best ask) is never shown: the stream
        waits until it has been made anew.
        """
        if depth < 1:
            raise ValueError(f"depth: expected at least 1, got {depth}")

        def view(book: LocalBook) -> OrderBook:
            return book.top(depth)

        name = f"orderbook.delta.{symbol}" if changes else f"orderbook.{symbol}"
        return Stream(self._source(name), buffer, view, view_late=isinstance(buffer, Latest))

    def account(self, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.AccountInfo]:
        """The sums over the whole account."""
        return Stream(self._source(TopicKind.ACCOUNT), buffer)

    def margin(self, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.Margin]:
        """Margin, a row for each currency that changed."""
        return Stream(self._source(TopicKind.MARGIN), buffer)

    def balances(self, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.Balance]:
        """Balances: all of them, then a row for each asset that changed."""
        return Stream(self._source(TopicKind.BALANCE), buffer)

    def positions(self, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.Position]:
        """Positions: all of them, then a row for each that changed; a closed one has no ``position_side``."""
        return Stream(self._source(TopicKind.POSITION), buffer)

    def orders(self, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.Order]:
        """Orders: the open ones, then each that changed, until it has ended. Also those that ended unseen.

        Uses the extension ``account.order``; where the server does not have it, REST once a second.
        """
        return Stream(self._source(TopicKind.ORDER), buffer)

    def executions(self, *, buffer: BufferPolicy = _EVERY_ONE) -> Stream[rows.Execution]:
        """Everything that happens to the account's orders from the beginning of the stream on, and funding.

        None is missed and none comes twice, also through losses of the connection: what was missed is read from the
        execution history. ``async with`` returns once the beginning is fixed. Uses the extension
        ``account.execution``; where the server does not have it, REST once a second.
        """
        return Stream(self._source(TopicKind.EXECUTION), buffer)

    def frames(self, topic: str, *, buffer: BufferPolicy = _EVERY_ONE) -> Stream[RawFrame]:
        """The frames of any topic as they come."""
        return Stream[Any](self._source(topic), buffer).frames()

    def events(self, *, buffer: BufferPolicy = Queue(1_000, "drop_oldest")) -> Stream[Event]:  # noqa: B008
        """What happens to the connection and to all topics; ``Stream.with_events`` has it in-band for one."""
        return Stream[Event](self._listeners, buffer).with_events()

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
        self._listeners.tell(event)

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

    def _source(self, name: str) -> "_TopicSource":
        return _TopicSource(self, name)

    def _feed(self, name: str) -> Feed[Any, Any]:
        """The feed of a topic, made when the first stream asks for it."""
        if self._running is None:
            raise RuntimeError("expected an open client; use it within async with")
        feed = self._feeds.get(_beginning(name))
        if feed is None:
            feed = self._feeds[_beginning(name)] = self._make_feed(name)
            if self._error is not None:
                feed.fail(self._error)
        return feed

    def _make_feed(self, name: str) -> Feed[Any, Any]:
        try:
            topic = parse_topic(name)
        except TopicError:
            # Only its frames can be read; what it is, the server knows.
            return Feed(self, name, KlineState())
        return self._make_known_feed(topic)

    def _make_known_feed(self, topic: Topic) -> Feed[Any, Any]:
        rest, name, symbol = self.rest, topic.name, topic.symbol
        match topic.kind:
            case TopicKind.TICKER:

                async def ticker() -> list[rows.Ticker]:
                    return [await rest.ticker(symbol)]

                return Feed(self, name, TickerState(symbol), ticker)
            case TopicKind.KLINE:
                return Feed(self, name, KlineState())
            case TopicKind.ORDERBOOK | TopicKind.ORDERBOOK_DELTA:
                return Feed(self, name, BookState(symbol))
            case TopicKind.ACCOUNT:

                async def account() -> list[rows.AccountInfo]:
                    return [await rest.account()]

                return Feed(self, name, KeyedState(rows.AccountInfo), account)
            case TopicKind.MARGIN:
                return Feed(self, name, KeyedState(rows.Margin, "currency"), rest.margins)
            case TopicKind.BALANCE:
                return Feed(self, name, KeyedState(rows.Balance, "asset"), rest.balances)
            case TopicKind.POSITION:
                return Feed(self, name, KeyedState(rows.Position, "symbol", gone=closed_position), rest.positions)
            case TopicKind.ORDER:
                return OrderFeed(self, rest)
            case TopicKind.EXECUTION:
                return ExecutionFeed(self, rest)

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
        for data in batch.messages:
            feed = feeds.get(data[: data.find(b'"', _TOPIC_START)])
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
        self._listeners.fail(cause)

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


def _beginning(topic: str) -> bytes:
    """How the frames of a topic begin, up to the name's last letter, when they have no blanks and the topic first."""
    return b'{"topic":"' + topic.encode()


class _TopicSource:
    """Where a stream finds its feed, also when an earlier stream has taken the feed away with it."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self._client = client
        self._feed: Feed[Any, Any] | None = None

    def attach(self, reader: Reader) -> None:
        self._feed = self._client._feed(self.name)
        self._feed.attach(reader)

    def detach(self, reader: Reader) -> None:
        if self._feed is not None:
            self._feed.detach(reader)

    async def ready(self) -> None:
        assert self._feed is not None
        await self._feed.ready()

    def blocked(self, reader: Reader) -> None:
        self._client.blocked(reader)

    def unblocked(self, reader: Reader) -> None:
        self._client.unblocked(reader)


class _Listeners:
    """The source of ``Client.events``."""

    name = "events"

    def __init__(self) -> None:
        self._readers: list[Reader] = []

    def tell(self, event: Event) -> None:
        for reader in self._readers:
            reader.put_event(event)

    def fail(self, error: Exception | None) -> None:
        for reader in list(self._readers):
            reader.fail(error)

    def attach(self, reader: Reader) -> None:
        self._readers.append(reader)

    def detach(self, reader: Reader) -> None:
        if reader in self._readers:
            self._readers.remove(reader)

    async def ready(self) -> None:
        """There is no state to wait for."""

    def blocked(self, reader: Reader) -> None:
        """A reader of events does not stop the client: its own streams would wait for it."""

    def unblocked(self, reader: Reader) -> None:
        """As it never stops it."""
