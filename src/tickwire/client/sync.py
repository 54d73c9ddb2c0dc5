"""The client without asyncio, for notebooks and scripts: the same streams as ordinary iterators.

```python
from tickwire.client.sync import Client

with Client("http://127.0.0.1:8080", key, secret) as client:
    for ticker in client.ticker("BTCUSDT.PERP"):
        print(ticker.last_price)
```

An event loop runs in a thread of its own, so the connection is kept alive and its streams are filled while the script
computes or a notebook waits for its next cell. What waits there is bounded, as ``tickwire.client.mailboxes`` says.
"""

import asyncio
import concurrent.futures
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from tickwire.client import client as asynchronous
from tickwire.client.book import OrderBook
from tickwire.client.clock import ServerClock
from tickwire.client.events import Event, RawFrame
from tickwire.client.mailboxes import BufferPolicy, Latest, Queue
from tickwire.client.replies import Candle
from tickwire.client.rest import SyncRestClient
from tickwire.client.routing import Counters
from tickwire.client.streams import Stream as AsyncStream
from tickwire.client.transport import ConnectionSettings
from tickwire.wire import rows

__all__ = ["Client", "Stream"]

T = TypeVar("T")
_LATEST = Latest()
_EVERY_ONE = Queue(1_000, "drop_oldest")


class _LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="tickwire client", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def submit(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        """Begin it there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def call(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Do it there and wait. Raises ``TimeoutError`` when it takes more than ``timeout`` seconds."""
        future = self.submit(work)
        try:
            return future.result(timeout)
        except BaseException:
            # Also Ctrl-C: what nobody waits for any more is not to take the next row.
            future.cancel()
            raise

    def stop(self) -> None:
        """End it."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()


class Stream(Generic[T]):
    """Rows of a topic: ``for row in client.ticker("BTCUSDT.PERP")``, or ``next(stream)``, or ``read(timeout)``.

    It begins when it is first read. ``with stream`` begins it at once and waits until the first state is here.
    """

    def __init__(self, thread: _LoopThread, stream: AsyncStream[T]) -> None:
        self._thread = thread
        self._stream = stream
        # A row that was on its way when a timeout struck: it is the next one, and not lost.
        self._pending: concurrent.futures.Future[T] | None = None

    def with_events(self) -> "Stream[T | Event]":
        """The same with events in-band."""
        return Stream(self._thread, self._stream.with_events())

    def frames(self) -> "Stream[RawFrame]":
        """The topic's frames as they came."""
        return Stream(self._thread, self._stream.frames())

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        """The next row, however long it takes."""
        return self._next(None)

    def read(self, timeout: float | None = None) -> T:
        """The next row. Raises ``TimeoutError`` when there is none for ``timeout`` seconds; the stream goes on.

        Raises ``EOFError`` when the stream is closed.
        """
        try:
            return self._next(timeout)
        except StopIteration:
            raise EOFError("the stream is closed") from None

    def _next(self, timeout: float | None) -> T:
        if self._pending is None:
            self._pending = self._thread.submit(self._anext())
        try:
            item = self._pending.result(timeout)
        except concurrent.futures.TimeoutError:
            if self._pending.done():  # an error of the stream itself
                self._pending = None
            raise
        except BaseException:
            if self._pending.done():
                self._pending = None
            raise
        self._pending = None
        if item is _END:
            raise StopIteration
        return item

    async def _anext(self) -> T:
        # StopAsyncIteration cannot pass through a future.
        async for item in self._stream:
            return item
        return cast(T, _END)

    def __enter__(self) -> Self:
        self._thread.call(self._stream.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it. What waits can still be read."""

        async def close() -> None:
            self._stream.close()

        self._thread.call(close())


_END: Any = object()


class Client:
    """``tickwire.client.Client`` for synchronous code; see there. ``rest`` has the REST calls.

    It may be used by several threads; a stream by one.
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
        self.rest = SyncRestClient(url, key, secret, clock=self.clock, ssl_context=tls)
        self._make: Callable[[], asynchronous.Client] = lambda: asynchronous.Client(
            url, key, secret, settings=settings, clock=self.clock, tls=tls
        )
        self._thread: _LoopThread | None = None
        self._client: asynchronous.Client | None = None

    def __enter__(self) -> Self:
        """Begin to connect, without waiting for it."""
        if self._client is not None:
            raise RuntimeError("a client can be opened once only; make another one")
        self._thread = _LoopThread()
        self._client = self._make()
        self._thread.call(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all streams and close the connections."""
        if self._thread is not None and self._client is not None:
            self._thread.call(self._client.aclose())
            self._thread.stop()
            self._thread = None
        self.rest.close()

    @property
    def counters(self) -> Counters:
        """What has happened so far."""
        return self._open[1].counters

    @property
    def connected(self) -> bool:
        """Whether the stream is open now."""
        return self._open[1].connected

    @property
    def _open(self) -> tuple[_LoopThread, asynchronous.Client]:
        if self._thread is None or self._client is None:
            raise RuntimeError("expected an open client; use it within with")
        return self._thread, self._client

    def _stream(self, make: Callable[[asynchronous.Client], AsyncStream[T]]) -> Stream[T]:
        thread, client = self._open
        return Stream(thread, make(client))

    def ticker(self, symbol: str, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.Ticker]:
        """Tickers of a symbol, always whole."""
        return self._stream(lambda client: client.ticker(symbol, buffer=buffer))

    def kline(self, symbol: str, interval: str, *, buffer: BufferPolicy = _LATEST) -> Stream[Candle]:
        """Candles of an interval: the open one as it changes."""
        return self._stream(lambda client: client.kline(symbol, interval, buffer=buffer))

    def order_book(
        self, symbol: str, depth: int = 20, *, changes: bool = False, buffer: BufferPolicy = _LATEST
    ) -> Stream[OrderBook]:
        """The best ``depth`` levels a side of a local book."""
        return self._stream(lambda client: client.order_book(symbol, depth, changes=changes, buffer=buffer))

    def account(self, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.AccountInfo]:
        """The sums over the whole account."""
        return self._stream(lambda client: client.account(buffer=buffer))

    def margin(self, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.Margin]:
        """Margin, by currency."""
        return self._stream(lambda client: client.margin(buffer=buffer))

    def balances(self, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.Balance]:
        """Balances, by asset."""
        return self._stream(lambda client: client.balances(buffer=buffer))

    def positions(self, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.Position]:
        """Positions, by symbol."""
        return self._stream(lambda client: client.positions(buffer=buffer))

    def orders(self, *, buffer: BufferPolicy = _LATEST) -> Stream[rows.Order]:
        """Orders: the open ones, then each that changed."""
        return self._stream(lambda client: client.orders(buffer=buffer))

    def executions(self, *, buffer: BufferPolicy = _EVERY_ONE) -> Stream[rows.Execution]:
        """Everything that happens to orders from here on, and funding. By default a reader that is 1,000 behind
        loses the oldest: a cell of a notebook that has ended is not to stop the other streams.
        """
        return self._stream(lambda client: client.executions(buffer=buffer))

    def frames(self, topic: str, *, buffer: BufferPolicy = _EVERY_ONE) -> Stream[RawFrame]:
        """The frames of any topic as they come."""
        return self._stream(lambda client: client.frames(topic, buffer=buffer))

    def events(self, *, buffer: BufferPolicy = _EVERY_ONE) -> Stream[Event]:
        """What happens to the connection and to all topics."""
        return self._stream(lambda client: client.events(buffer=buffer))
