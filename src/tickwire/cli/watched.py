"""What the live screen knows of one market and of the account, kept up to date by the client's streams. No terminal."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from tickwire.cli.panels import event_line
from tickwire.client.client import Client
from tickwire.client.connection import StreamEnded
from tickwire.client.errors import ClientError
from tickwire.client.events import Connected, Resynchronised
from tickwire.client.replies import Candle
from tickwire.client.states import ENDED
from tickwire.wire import rows
from tickwire.wire.intervals import INTERVALS

__all__ = ["Watched"]

T = TypeVar("T")

_CANDLES = 500  # more than the widest screen has columns
_EXECUTIONS = 200
_EVENTS = 500
_RETRY_SECONDS = 2.0
# Which part shows a topic that may have no rows.
_PARTS = {"account.position": "positions", "account.order": "orders"}


class Watched:
    """The state behind the screen. ``changed`` names the parts that are new since it was last cleared."""

    def __init__(self, client: Client, symbol: str, interval: str) -> None:
        self.symbol = symbol
        self.interval = interval
        self.symbols: list[str] = [symbol]
        self.ticker: rows.Ticker | None = None
        self.book: rows.Orderbook | None = None
        self.candles: dict[int, Candle] = {}
        self.sums: rows.AccountInfo | None = None
        self.margins: dict[str, rows.Margin] = {}
        self.balances: dict[str, rows.Balance] = {}
        self.positions: dict[str, rows.Position] = {}
        self.orders: dict[str, rows.Order] = {}
        self.executions: deque[rows.Execution] = deque(maxlen=_EXECUTIONS)
        self.events: deque[tuple[int, str, str]] = deque(maxlen=_EVENTS)
        """Time (ns since the epoch), words and colour of each, oldest first."""
        self.refusals: dict[str, str] = {}
        """Why a part has nothing to show."""
        self.whole: set[str] = set()
        """The parts whose state is known, even where it is that there is nothing."""
        self.failure: StreamEnded | None = None
        """Why there will be nothing more at all."""
        self.changed: set[str] = set()
        self._client = client
        self._tasks: list[asyncio.Task[None]] = []
        self._market: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to follow the account, the market and the events of the connection."""
        client = self._client
        follow = self._follow
        self._tasks = [
            self._run(self._follow_events()),
            self._run(self._load_symbols()),
            self._run(follow("account", client.account(), self._take_sums), "account"),
            self._run(follow("account", client.margin(), self._take_margin), "account"),
            self._run(follow("account", client.balances(), self._take_balance), "account"),
            self._run(follow("positions", client.positions(), self._take_position), "positions"),
            self._run(follow("orders", client.orders(), self._take_order), "orders"),
            self._run(self._follow_executions(), "executions"),
        ]
        self._start_market()

    async def close(self) -> None:
        """Follow nothing any more."""
        tasks = self._tasks + self._market
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def choose(self, *, symbol: str = "", interval: str = "") -> None:
        """Show another market, or other candles."""
        for task in self._market:
            task.cancel()
        self.symbol, self.interval = symbol or self.symbol, interval or self.interval
        self.candles.clear()
        if symbol:
            self.ticker = self.book = None
        for part in ("ticker", "book", "candles"):
            self.refusals.pop(part, None)
        self.changed |= {"ticker", "book", "candles"}
        self._start_market()

    def next_symbol(self, step: int) -> None:
        """Show the next market of the list, or with -1 the one before."""
        index = self.symbols.index(self.symbol) if self.symbol in self.symbols else 0
        self.choose(symbol=self.symbols[(index + step) % len(self.symbols)])

    def next_interval(self, step: int) -> None:
        """Show candles of the next interval."""
        self.choose(interval=INTERVALS[(INTERVALS.index(self.interval) + step) % len(INTERVALS)])

    def log(self, text: str, style: str = "") -> None:
        """Add a line to the events."""
        self.events.append((time.time_ns(), text, style))
        self.changed.add("events")

    # Inside.

    def _run(self, work: Coroutine[Any, Any, None], part: str = "events") -> asyncio.Task[None]:
        """Begin a piece of work; when the server refuses it, ``part`` shows why."""
        return asyncio.get_running_loop().create_task(self._guarded(work, part))

    async def _guarded(self, work: Coroutine[Any, Any, None], part: str) -> None:
        try:
            await work
        except StreamEnded as error:
            self.failure = error
            self.changed.add(part)
        except ClientError as error:
            self.refusals[part] = str(error)
            self.changed.add(part)
            self.log(str(error), "red")

    def _start_market(self) -> None:
        client, symbol = self._client, self.symbol
        self._market = [
            self._run(self._follow("ticker", client.ticker(symbol), self._take_ticker), "ticker"),
            self._run(self._follow("book", client.order_book(symbol, 50), self._take_book), "book"),
            self._run(self._follow("candles", client.kline(symbol, self.interval), self._take_candle), "candles"),
            self._run(self._load_candles(), "candles"),
        ]

    async def _follow(self, part: str, stream: AsyncIterator[T], take: Callable[[T], None]) -> None:
        async for row in stream:
            take(row)
            self.changed.add(part)

    async def _follow_events(self) -> None:
        async for event in self._client.events():
            self.log(*event_line(event))
            self.changed.add("status")
            if isinstance(event, Resynchronised) and event.topic in _PARTS:
                self.whole.add(_PARTS[event.topic])
                self.changed.add(_PARTS[event.topic])
            if isinstance(event, Connected) and event.number > 1:
                # Candles may have ended while nobody listened.
                running = [task for task in self._market if not task.done()]
                self._market = [*running, self._run(self._load_candles(), "candles")]

    async def _follow_executions(self) -> None:
        """Those of the past, then each as it happens."""
        async with self._client.executions() as stream:
            past = await self._patiently(lambda: self._client.rest.execution_history(count=_EXECUTIONS // 2))
            self.executions.extend(reversed(past.history))
            seen = {row.exec_id for row in past.history}
            self.whole.add("executions")
            self.changed.add("executions")

            def take(row: rows.Execution) -> None:
                if row.exec_id not in seen:
                    self.executions.append(row)

            await self._follow("executions", stream, take)

    async def _load_symbols(self) -> None:
        symbols = await self._patiently(self._client.rest.symbols)
        self.symbols = [*symbols.perpetual_swap, *symbols.spot]
        self.changed.add("status")

    async def _load_candles(self) -> None:
        """The past; what the stream has brought meanwhile is newer."""
        symbol, interval = self.symbol, self.interval
        loaded = await self._patiently(lambda: self._client.rest.klines(symbol, interval, limit=_CANDLES))
        newer = self.candles
        self.candles = {int(candle.start_time): candle for candle in loaded} | newer
        self.changed.add("candles")

    async def _patiently(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask until the server is there."""
        while True:
            try:
                return await ask()
            except ClientError as error:
                if not error.temporary:
                    raise
                await asyncio.sleep(_RETRY_SECONDS)

    def _take_ticker(self, row: rows.Ticker) -> None:
        self.ticker = row

    def _take_book(self, row: rows.Orderbook) -> None:
        self.book = row

    def _take_candle(self, row: Candle) -> None:
        self.candles[int(row.start_time)] = row
        while len(self.candles) > _CANDLES:
            del self.candles[min(self.candles)]

    def _take_sums(self, row: rows.AccountInfo) -> None:
        self.sums = row

    def _take_margin(self, row: rows.Margin) -> None:
        self.margins[row.currency] = row

    def _take_balance(self, row: rows.Balance) -> None:
        self.balances[row.asset] = row

    def _take_position(self, row: rows.Position) -> None:
        self.positions[row.symbol] = row

    def _take_order(self, row: rows.Order) -> None:
        if row.status in ENDED:
            self.orders.pop(row.order_id, None)
        else:
            self.orders[row.order_id] = row
