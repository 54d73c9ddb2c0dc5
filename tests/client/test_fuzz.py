"""Frames of any kind into the client: it stays up, tells what it could not use, and never shows a wrong book."""

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.support import PATIENCE
from websockets.asyncio.server import ServerConnection, serve

from tickwire.client import BackOff, Client, ConnectionSettings, OrderBook, decimal
from tickwire.client.events import RawFrame
from tickwire.wire import rows

SYMBOL = "BTCUSDT.PERP"
TOPICS = (
    f"ticker.{SYMBOL}",
    f"orderbook.{SYMBOL}",
    f"orderbook.delta.{SYMBOL}",
    f"kline.1.{SYMBOL}",
    "account.balance",
)
LAST = "kline.1M.LAST"

prices = st.sampled_from(["1", "1.0", "1.5", "2", "2.25", "3", "-1", "x", "1e9"])
sizes = st.sampled_from(["0", "0.0", "1", "2.5", "nan", ""])
levels = st.lists(st.tuples(prices, sizes), max_size=3)
values = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=4), prices)


def row(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A row of which fields may be missing, and others be there."""
    known = st.fixed_dictionaries({"symbol": st.just(SYMBOL)}, optional=fields)
    return st.one_of(
        known, st.builds(lambda a, b: {**a, **b}, known, st.dictionaries(st.text(max_size=4), values, max_size=2))
    )


books = row(bids=levels, asks=levels, seq=st.integers(0, 6), prevSeq=st.integers(0, 6))
tickers = row(bidPrice=values, askPrice=values, lastPrice=prices, volume24h=prices)
balances = st.fixed_dictionaries(
    {"asset": values, "balance": prices, "availableBalance": prices, "maxWithdrawableAmount": values}
)
frames = st.builds(
    lambda topic, ts, action, changed: {"topic": topic, "ts": ts, "data": [{"actionType": action, "rows": changed}]},
    st.sampled_from(TOPICS),
    st.one_of(st.integers(0, 3).map(lambda n: f"176597584209560708{n}"), values),
    st.sampled_from(["SNAPSHOT", "UPDATE", "UPDATE", "MERGE"]),
    st.lists(st.one_of(books, tickers, balances, st.lists(prices, min_size=7, max_size=7), values), max_size=2),
).map(json.dumps)
nonsense = st.one_of(
    st.text(max_size=20),
    st.dictionaries(st.sampled_from(["topic", "data", "ts", "success", "error", "args"]), values, max_size=4).map(
        json.dumps
    ),
    st.builds(lambda text, cut: text[:cut], frames, st.integers(0, 80)),
)


async def feed(script: list[str | bytes]) -> tuple[list[Any], Client]:
    """What the readers of all topics got of the frames."""
    seen: list[Any] = []
    done = asyncio.Event()

    async def handler(peer: ServerConnection) -> None:
        await peer.recv()
        for frame in script:
            await peer.send(frame)
        await peer.send(json.dumps({"topic": LAST, "ts": "1", "data": []}))
        await peer.wait_closed()

    def last(frame: RawFrame) -> None:
        done.set()

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        quick = ConnectionSettings(back_off=BackOff(first=0.0, longest=0.0), close_timeout=0.1)
        async with Client(url, "key", "secret", settings=quick) as client:
            streams: list[Any] = [
                client.ticker(SYMBOL),
                client.order_book(SYMBOL, 5),
                client.order_book(SYMBOL, 5, changes=True),
                client.kline(SYMBOL, "1"),
                client.balances(),
            ]
            for stream in streams:
                stream.each(seen.append)
            client.frames(LAST)._source.attach(_Reader(last))
            async with asyncio.timeout(PATIENCE):
                await done.wait()
    return seen, client


class _Reader:
    raw = True

    def __init__(self, call: Any) -> None:
        self._call = call

    def put(self, key: object, item: Any) -> None:
        self._call(item)

    def put_event(self, event: object) -> None: ...

    def forget(self) -> None: ...

    def fail(self, error: object) -> None: ...


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(frames, frames, nonsense, st.binary(max_size=6)), max_size=12))
def test_any_frames(script: list[str | bytes]) -> None:
    seen, client = asyncio.run(feed(script))
    assert client.counters.frames == len(script) + 1
    assert client.counters.connections == 1
    for item in seen:
        if isinstance(item, OrderBook):
            bids, asks = ([decimal(price) for price, _ in side] for side in (item.bids, item.asks))
            assert bids == sorted(set(bids), reverse=True)
            assert asks == sorted(set(asks))
            assert not (bids and asks) or bids[0] < asks[0]
            assert all(decimal(size) > 0 for side in (item.bids, item.asks) for _, size in side)
        elif isinstance(item, rows.Ticker):
            for name in rows.Ticker.__struct_fields__:
                value = getattr(item, name)
                assert value is None or isinstance(value, str | int)
        else:
            assert isinstance(item, rows.Balance) or len(item.start_time) >= 0
