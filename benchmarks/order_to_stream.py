"""An order by REST to its `account.order` frame at another client, beside the running market.

Signed LIMIT orders far from the market leave at a fixed rate, whatever the replies do, and each is cancelled half an
interval later. Every time counts from the moment the order was meant to leave. The reader is another socket with
another key of the same account. Rivals: an ASGI application that does nothing, behind the same HTTP server and asked
by the same client; and the same orders sent with httpx. In one case 200 more readers have the tickers of all symbols
and the order book and open candle of the one that is traded, as a room full of bots would.
"""

import contextlib
import gc
import heapq
import select
import time
from collections import deque
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import msgspec

from benchmarks.clients import Credentials, HttpConnection, Reply, StreamConnection, call, request
from benchmarks.load import Load, subscription, upgrade_lines
from benchmarks.processes import (
    Process,
    Server,
    allow_many_files,
    load_on_its_core,
    running,
    temporary_directory,
)
from benchmarks.report import Row, percentiles
from tickwire.wire.signing import STREAM_PATH

__all__ = ["run"]

NAME = "order_to_stream"
SYMBOL = "BTCUSDT.PERP"
ORDER_PATH = "/api/v1/trade/order"
RATE = 100  # orders a second
CONNECTIONS = 16  # more than ever wait for a reply at once, unless the server stands still
WARM_UP = 50  # orders that are not counted
# Snapshots come by the count of commands; the market and 200 requests a second make about this many a second.
COMMANDS_A_SECOND = 400
READERS = 200
P50_GOAL, P99_GOAL = 1.0, 3.0  # ms

MILLISECOND = 1e-3


class Sent(msgspec.Struct):
    """The times of one order on the monotonic clock, in seconds."""

    intended: float
    order_id: str = ""
    replied: float = 0.0
    framed: float = 0.0


class Orders:
    """Makes the requests of one key."""

    def __init__(self, server: Server, time_in_force: str = "GTC") -> None:
        self.credentials = Credentials(server.info.demo_key, server.info.demo_secret)
        ticker = msgspec.json.decode(
            call(server.address, request("GET", f"/api/v1/market/ticker?symbol={SYMBOL}", b"", self.credentials))
        )
        # Four fifths of the price: it rests, far down in the book, and never fills.
        self.price = f"{int(float(ticker['lastPrice']) * 0.8)}"
        self.body = msgspec.json.encode(
            {
                "symbol": SYMBOL,
                "side": "BUY",
                "type": "LIMIT",
                "quantity": "0.001",
                "price": self.price,
                "timeInForce": time_in_force,
            }
        )

    def place(self) -> bytes:
        """A new order."""
        return request("POST", ORDER_PATH, self.body, self.credentials)

    def cancel_body(self, order_id: str) -> bytes:
        """The body that cancels it."""
        return msgspec.json.encode({"symbol": SYMBOL, "orderId": order_id})

    def cancel(self, order_id: str) -> bytes:
        """Its cancellation."""
        return request("DELETE", ORDER_PATH, self.cancel_body(order_id), self.credentials)


class OrderLoad:
    """Sends orders at their times on a few connections, and notes what comes back."""

    def __init__(self, server: Server, orders: Orders, reader: StreamConnection) -> None:
        self._orders = orders
        self._reader = reader
        # In turns: the server closes a connection that has been idle for some seconds.
        self._free = deque([HttpConnection(server.address) for _ in range(CONNECTIONS)])
        self._busy: dict[HttpConnection, Sent | None] = {}  # None: a cancellation
        self._frames: list[tuple[float, bytes]] = []

    def run(self, count: int, rate: float) -> list[Sent]:
        """Send ``count`` orders; all of them with their reply and frame."""
        start = time.perf_counter() + 0.05
        # When, and the order to cancel; none: a new one.
        due: list[tuple[float, str]] = [(start + number / rate, "") for number in range(count)]
        sent: list[Sent] = []
        while due or self._busy:
            now = time.perf_counter()
            while due and due[0][0] <= now and self._free:
                at, cancelled = heapq.heappop(due)
                connection = self._free.popleft()
                if cancelled:
                    self._busy[connection] = None
                    connection.send(self._orders.cancel(cancelled))
                else:
                    order = self._busy[connection] = Sent(at)
                    sent.append(order)
                    connection.send(self._orders.place())
            wait = max(0.0, due[0][0] - time.perf_counter()) if due and self._free else 1.0
            # select sleeps to the microsecond; epoll's timeout is in milliseconds.
            sockets: list[HttpConnection | StreamConnection] = [self._reader, *self._busy]
            readable, _, _ = select.select(sockets, [], [], wait)
            now = time.perf_counter()
            for connected in readable:
                if isinstance(connected, StreamConnection):
                    self._frames += [(now, payload) for payload in connected.receive()]
                elif (reply := connected.receive()) is not None:
                    order_id = self._replied(self._busy.pop(connected), reply, now)
                    self._free.append(connected)
                    if order_id:
                        heapq.heappush(due, (now + 0.5 / rate, order_id))
        self._read_on(2 * count)
        return self._with_frames(sent)

    def _replied(self, order: Sent | None, reply: Reply, now: float) -> str:
        """The id of a new order; nothing for a cancellation."""
        if reply.status != 200:
            raise RuntimeError(f"expected an accepted order, got {reply.status} {reply.body!r}")
        if order is None:
            return ""
        order.replied = now
        order_id: str = msgspec.json.decode(reply.body)["order"]["orderId"]
        order.order_id = order_id
        return order_id

    def _read_on(self, count: int) -> None:
        while len(self._frames) < count:
            if not select.select([self._reader], [], [], 5.0)[0]:
                raise RuntimeError(f"expected {count} frames, got {len(self._frames)}")
            now = time.perf_counter()
            self._frames += [(now, payload) for payload in self._reader.receive()]

    def _with_frames(self, sent: list[Sent]) -> list[Sent]:
        by_id = {order.order_id: order for order in sent}
        for at, payload in self._frames:
            row = msgspec.json.decode(payload)["data"][0]["rows"][0]
            if row["status"] == "NEW":
                by_id[row["orderId"]].framed = at
        self._frames.clear()
        return sent

    def close(self) -> None:
        """Close the connections."""
        for connection in (*self._free, *self._busy):
            connection.close()


def _second_key(server: Server) -> Credentials:
    created = msgspec.json.decode(
        call(
            server.address,
            request(
                "POST", "/_tickwire/keys", msgspec.json.encode({"account": "demo", "scopes": ["read"]}),
                x_tickwire_token=server.info.control_token,
            ),
        )
    )  # fmt: skip
    return Credentials(created["key"], created["secret"])


def measure(server: Server, count: int, warm_up: int = WARM_UP) -> list[Sent]:
    """Send ``count`` orders to a running server, after ``warm_up`` that are not counted."""
    orders = Orders(server)
    with contextlib.closing(StreamConnection(server.address, _second_key(server))) as reader:
        reader.subscribe("account.order")
        with contextlib.closing(OrderLoad(server, orders, reader)) as load, load_on_its_core():
            load.run(warm_up, RATE)
            gc.collect()
            gc.disable()
            try:
                return load.run(count, RATE)
            finally:
                gc.enable()


@contextlib.contextmanager
def _readers(server: Server, count: int) -> Iterator[Load]:
    """So many readers of market topics, for the time of a block."""
    credentials = Credentials(server.info.demo_key, server.info.demo_secret)
    listed = msgspec.json.decode(call(server.address, request("GET", "/api/v1/trade/symbol", b"", credentials)))
    topics = [f"ticker.{symbol}" for symbol in listed["spot"] + listed["perpetualSwap"]]
    topics += [f"orderbook.{SYMBOL}", f"kline.1.{SYMBOL}"]
    allow_many_files(2 * count + 100)
    upgrade = upgrade_lines(STREAM_PATH, credentials.headers("GET", STREAM_PATH))
    with contextlib.closing(
        Load(server.address[1], count, [upgrade], [subscription(topics)], ready=1 + len(topics))
    ) as load:
        load.subscribe()
        load.measure()
        yield load


def _with_httpx(server: Server, count: int, warm_up: int) -> list[float]:
    """Reply times of orders sent with httpx, one at a time, from when it is told to send: it may not keep the rate."""
    orders, path = Orders(server), ORDER_PATH
    times = []
    with load_on_its_core(), httpx.Client(base_url=server.info.url) as client:
        for number in range(-warm_up, count):
            time.sleep(0.5 / RATE)
            start = time.perf_counter()
            headers = orders.credentials.headers("POST", path, orders.body) | {"content-type": "application/json"}
            reply = client.post(path, content=orders.body, headers=headers)
            if number >= 0:
                times.append(time.perf_counter() - start)
            order_id = reply.json()["order"]["orderId"]
            body = orders.cancel_body(order_id)
            headers = orders.credentials.headers("DELETE", path, body) | {"content-type": "application/json"}
            client.request("DELETE", path, content=body, headers=headers).raise_for_status()
    return times


def _nothing(count: int, warm_up: int) -> list[float]:
    """Reply times of the application that does nothing, for requests like ours at the same rate."""
    process = Process(["-m", "benchmarks.servers", "nothing"])
    try:
        parts = urlsplit(process.line())
        credentials = Credentials("benchmark-key", "secret")
        body = msgspec.json.encode(
            {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.001", "price": "70000"}
        )
        data = request("POST", ORDER_PATH, body, credentials)
        times = []
        address = parts.hostname or "", parts.port or 0
        with contextlib.closing(HttpConnection(address)) as connection, load_on_its_core():
            start = time.perf_counter() + 0.05
            for number in range(-warm_up, count):
                intended = start + (number + warm_up) / RATE
                time.sleep(max(0.0, intended - time.perf_counter()))
                connection.call(data)
                if number >= 0:
                    times.append(time.perf_counter() - intended)
        return times
    finally:
        process.stop()


def run(quick: bool) -> list[Row]:
    """20 s a case, quick a tenth of a second."""
    count, warm_up = (10, 2) if quick else (20 * RATE, WARM_UP)
    flags = ["--no-limits", *(["--symbols", SYMBOL] if quick else [])]
    nothing = percentiles(_nothing(count, warm_up), MILLISECOND)
    rows = [Row(NAME, "application that does nothing", "request to reply", "ms", nothing)]
    readers = 5 if quick else READERS
    crowd = f"{RATE} orders/s, {readers} readers"

    def add(case: str, measure: str, samples: list[float]) -> None:
        figures = percentiles(samples, MILLISECOND)
        goal, met = "", None
        if case == crowd and measure == "order to frame":
            goal = f"p50 < {P50_GOAL:g} ms, p99 < {P99_GOAL:g} ms"
            met = figures["p50"] < P50_GOAL and figures["p99"] < P99_GOAL
        ratio = figures["p50"] / nothing["p50"]
        rows.append(Row(NAME, case, measure, "ms", figures, ratio, "the reply of nothing", goal, met))

    cases = {
        f"{RATE} orders/s": [],
        crowd: [],
        f"{RATE} orders/s, a snapshot each second": ["--snapshot-every", str(20 if quick else COMMANDS_A_SECOND)],
    }
    for case, more in cases.items():
        with temporary_directory() as data, running(data, *flags, *more) as server:
            with _readers(server, readers) if case == crowd else contextlib.nullcontext() as load:
                cpu, begin = server.cpu(), time.perf_counter()
                sent = measure(server, count, warm_up)
                seconds = time.perf_counter() - begin
                share = (server.cpu() - cpu) / seconds
                add(case, "order to frame", [order.framed - order.intended for order in sent])
                add(case, "order to reply", [order.replied - order.intended for order in sent])
                rows.append(Row(NAME, case, "server CPU", "% of a core", {"": share * 100}))
                if load is not None:
                    rows.append(Row(NAME, case, "frames to the readers", "/s", {"": load.report().frames / seconds}))
            if not more and case != crowd:
                add(f"{RATE} orders/s with httpx", "order to reply", _with_httpx(server, count, warm_up))
    return rows
