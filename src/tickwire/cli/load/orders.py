"""From an order to its frame: orders leave at fixed times, and each counts from when it was meant to leave.

A LIMIT order well below the market is placed and cancelled again, so that it trades with nobody; while it is open it
holds a little margin. Its frame is the first one of `account.order` with its id, on a stream of the same key.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from tickwire.cli.load.histogram import Histogram
from tickwire.cli.load.http import HttpConnection, Reply
from tickwire.cli.load.reader import Reader, Server, open_reader
from tickwire.cli.load.tally import ReaderState, Tally, read_head

__all__ = ["OrderFlow", "OrderPlan", "OrdersRefused", "plan_orders"]

_TOPIC = "account.order"
# A frame that has not come by then is lost.
_FRAME_SECONDS = 5.0
# So far below the best bid that nothing comes near it, and no exchange calls it unreasonable.
_BELOW = Decimal("0.9")


class OrdersRefused(Exception):
    """Why orders can't be measured, with what to do about it."""


class OrderPlan(msgspec.Struct, frozen=True):
    """The order that is placed again and again, ``rate`` times a second."""

    symbol: str
    price: str
    quantity: str
    rate: float


class _Contract(msgspec.Struct, rename="camel"):
    tick_size: str | None = None
    unit_order_qty: str | None = None
    notional_min_order_amount: str | None = None


class _Ticker(msgspec.Struct, rename="camel"):
    bid_price: str | None = None
    last_price: str | None = None
    mark_price: str | None = None


class _Order(msgspec.Struct):
    id: str = msgspec.field(name="orderId")


class _Placed(msgspec.Struct):
    order: _Order


class _OrderPart(msgspec.Struct):
    rows: list[_Order]


class _OrderFrame(msgspec.Struct):
    data: list[_OrderPart]


async def plan_orders(server: Server, symbol: str, rate: float) -> OrderPlan:
    """The smallest order of a symbol that rests. Raises ``OrdersRefused``."""
    async with HttpConnection(server) as http:
        contract = msgspec.json.decode(await _get(http, f"/api/v1/market/contract?symbol={symbol}"), type=_Contract)
        ticker = msgspec.json.decode(await _get(http, f"/api/v1/market/ticker?symbol={symbol}"), type=_Ticker)
    price = ticker.bid_price or ticker.mark_price or ticker.last_price
    if price is None or contract.tick_size is None or contract.unit_order_qty is None:
        raise OrdersRefused(f"{symbol}: expected a market with a price, tick size and step; name another with --symbol")
    tick, step = Decimal(contract.tick_size), Decimal(contract.unit_order_qty)
    limit = (Decimal(price) * _BELOW / tick).to_integral_value(ROUND_FLOOR) * tick
    # Half as much again as the least, as it counts at the time of the order.
    least = Decimal(contract.notional_min_order_amount or 1) * Decimal("1.5")
    quantity = max(step, (least / limit / step).to_integral_value(ROUND_CEILING) * step)
    return OrderPlan(symbol, f"{limit:f}", f"{quantity:f}", rate)


async def _get(http: HttpConnection, target: str) -> bytes:
    reply = await http.call("GET", target)
    if reply.status != 200:
        raise OrdersRefused(f"GET {target}: {reply.status} {reply.code}")
    return reply.body


class _OrderTally(Tally):
    """Hands data frames on as they come."""

    def __init__(self, frame: Callable[[bytes], None]) -> None:
        super().__init__(0)
        self._frame = frame

    def take(self, state: ReaderState, payloads: list[bytes], now: int) -> None:
        super().take(state, payloads, now)
        for payload in payloads:
            if read_head(payload) is not None:
                self._frame(payload)


class OrderFlow:
    """Places and cancels, and matches replies and frames. Latencies are in microseconds from the intended time."""

    def __init__(self, server: Server, plan: OrderPlan) -> None:
        self.to_frame = Histogram()
        self.to_reply = Histogram()
        self.errors: Counter[str] = Counter()
        self.left_open: list[str] = []  # ids of orders that could not be cancelled
        self._server = server
        self._plan = plan
        self._frames: dict[str, int] = {}  # time of an order's first frame, by its id
        self._intended: dict[str, int] = {}  # of orders whose frame has not come
        self._reader: Reader | None = None

    async def start(self) -> None:
        """Subscribe to the key's orders. Raises ``OSError``, ``TimeoutError``, ``Refused``, ``OrdersRefused``."""
        state = ReaderState(0, (_TOPIC,))
        self._reader = await open_reader(self._server, _OrderTally(self._frame), state)
        self._reader.subscribe()
        try:
            async with asyncio.timeout(_FRAME_SECONDS):
                await self._reader.subscribed
        except (TimeoutError, asyncio.CancelledError):
            raise OrdersRefused(f"expected a SNAPSHOT of {_TOPIC}, got none") from None
        if state.refusal:
            raise OrdersRefused(state.refusal)

    def _frame(self, payload: bytes) -> None:
        now = time.perf_counter_ns()
        for part in msgspec.json.decode(payload, type=_OrderFrame).data:
            for row in part.rows:
                intended = self._intended.pop(row.id, None)
                if intended is not None:
                    self.to_frame.record((now - intended) // 1000)
                else:
                    self._frames.setdefault(row.id, now)  # it may well come before the reply

    async def run(self, end: asyncio.Event) -> None:
        """Place orders until ``end``; the last one is cancelled and has had its frame, or never will."""
        body = msgspec.json.encode(
            {
                "symbol": self._plan.symbol, "side": "BUY", "type": "LIMIT",
                "price": self._plan.price, "quantity": self._plan.quantity,
            }
        )  # fmt: skip
        interval = math.floor(1e9 / self._plan.rate)
        async with HttpConnection(self._server) as placing, HttpConnection(self._server) as cancelling:
            cancels: set[asyncio.Task[None]] = set()
            lock = asyncio.Lock()
            due = time.perf_counter_ns()
            while not end.is_set():
                self._frames.clear()  # those of cancels, and of whatever else the account does
                id = await self._place(placing, body, due)
                if id is not None:
                    cancel = asyncio.create_task(self._cancel(cancelling, lock, id))
                    cancels.add(cancel)
                    cancel.add_done_callback(cancels.discard)
                due += interval
                wait = (due - time.perf_counter_ns()) / 1e9
                if wait > 0:
                    try:
                        await asyncio.wait_for(end.wait(), wait)
                    except TimeoutError:
                        continue
            await asyncio.gather(*cancels)
            for _ in range(100):
                if not self._intended:
                    break
                await asyncio.sleep(_FRAME_SECONDS / 100)
        if self._intended:
            self.errors["no frame"] += len(self._intended)
        if self._reader is not None:
            self._reader.leave()

    async def _place(self, http: HttpConnection, body: bytes, due: int) -> str | None:
        reply = await self._call(http, "POST", body)
        now = time.perf_counter_ns()
        if reply is None:
            return None
        id = msgspec.json.decode(reply.body, type=_Placed).order.id
        self.to_reply.record((now - due) // 1000)
        came = self._frames.pop(id, None)
        if came is None:
            self._intended[id] = due
        else:
            self.to_frame.record((came - due) // 1000)
        return id

    async def _cancel(self, http: HttpConnection, lock: asyncio.Lock, id: str) -> None:
        body = msgspec.json.encode({"symbol": self._plan.symbol, "orderId": id})
        async with lock:
            if await self._call(http, "DELETE", body) is None:
                self.left_open.append(id)

    async def _call(self, http: HttpConnection, method: str, body: bytes) -> Reply | None:
        try:
            reply = await http.call(method, "/api/v1/trade/order", body)
        except (OSError, EOFError, TimeoutError) as error:
            self.errors[f"{method} order: {type(error).__name__}"] += 1
            return None
        if reply.status != 200:
            self.errors[f"{method} order: {reply.code}"] += 1
            return None
        return reply
