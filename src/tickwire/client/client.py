"""The client: typed streams over one socket that heals itself, and the REST calls beside it.

A topic is subscribed once, however many streams read it, and unsubscribed when the last of them has left; see
``routing``. What is known of each kind of topic is in ``states``, what keeps it right in ``feeds``.
"""

import ssl
from types import TracebackType
from typing import Any, Self

from tickwire.client.book import LocalBook, OrderBook
from tickwire.client.clock import ServerClock
from tickwire.client.connection import Connection
from tickwire.client.events import Event, RawFrame
from tickwire.client.feeds import Feed
from tickwire.client.mailboxes import BufferPolicy, Latest, Queue, Reader
from tickwire.client.replies import Candle
from tickwire.client.rest import RestClient
from tickwire.client.routing import Counters, Router
from tickwire.client.states import BookState, KeyedState, KlineState, TickerState, closed_position
from tickwire.client.streams import Stream
from tickwire.client.trades import ExecutionFeed, OrderFeed
from tickwire.client.transport import ConnectionSettings
from tickwire.wire import rows
from tickwire.wire.topics import Topic, TopicError, TopicKind, parse_topic

__all__ = ["Client"]

_LATEST = Latest()
# Enough for what one order can bring about, many times over.
_EVERY_ONE = Queue(1_000)


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
        self._router = Router(
            Connection(url, key, secret, settings=settings, clock=self.clock.now, tls=tls), self._make_feed
        )

    @property
    def counters(self) -> Counters:
        """What has happened so far."""
        return self._router.counters

    @property
    def connected(self) -> bool:
        """Whether the stream is open now."""
        return self._router.connected

    async def __aenter__(self) -> Self:
        """Begin to connect. A server that is not there yet is waited for; what is wrong, the streams say."""
        await self._router.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all streams and close the connections."""
        await self._router.stop()
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
        return Stream[Event](self._router.listeners, buffer).with_events()

    # Inside.

    def _source(self, name: str) -> "_TopicSource":
        return _TopicSource(self._router, name)

    def _make_feed(self, name: str) -> Feed[Any, Any]:
        try:
            topic = parse_topic(name)
        except TopicError:
            # Only its frames can be read; what it is, the server knows.
            return Feed(self._router, name, KlineState())
        return self._make_known_feed(topic)

    def _make_known_feed(self, topic: Topic) -> Feed[Any, Any]:
        rest, name, symbol, hub = self.rest, topic.name, topic.symbol, self._router
        match topic.kind:
            case TopicKind.TICKER:

                async def ticker() -> list[rows.Ticker]:
                    return [await rest.ticker(symbol)]

                return Feed(hub, name, TickerState(symbol), ticker)
            case TopicKind.KLINE:
                return Feed(hub, name, KlineState())
            case TopicKind.ORDERBOOK | TopicKind.ORDERBOOK_DELTA:
                return Feed(hub, name, BookState(symbol))
            case TopicKind.ACCOUNT:

                async def account() -> list[rows.AccountInfo]:
                    return [await rest.account()]

                return Feed(hub, name, KeyedState(rows.AccountInfo), account)
            case TopicKind.MARGIN:
                return Feed(hub, name, KeyedState(rows.Margin, "currency"), rest.margins)
            case TopicKind.BALANCE:
                return Feed(hub, name, KeyedState(rows.Balance, "asset"), rest.balances)
            case TopicKind.POSITION:
                return Feed(hub, name, KeyedState(rows.Position, "symbol", gone=closed_position), rest.positions)
            case TopicKind.ORDER:
                return OrderFeed(hub, rest)
            case TopicKind.EXECUTION:
                return ExecutionFeed(hub, rest)


class _TopicSource:
    """Where a stream finds its feed, also when an earlier stream has taken the feed away with it."""

    def __init__(self, router: Router, name: str) -> None:
        self.name = name
        self._router = router
        self._feed: Feed[Any, Any] | None = None

    def attach(self, reader: Reader) -> None:
        self._feed = self._router.feed(self.name)
        self._feed.attach(reader)

    def detach(self, reader: Reader) -> None:
        if self._feed is not None:
            self._feed.detach(reader)

    async def ready(self) -> None:
        assert self._feed is not None
        await self._feed.ready()

    def blocked(self, reader: Reader) -> None:
        self._router.blocked(reader)

    def unblocked(self, reader: Reader) -> None:
        self._router.unblocked(reader)
