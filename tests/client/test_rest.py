"""Both REST clients against a real server."""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.client.blocking import CLIENTS, Blocking, MakeClient
from tests.contract.support import PERPETUAL, SPOT, Account, Server

from tickwire.client import (
    NO_RETRIES,
    ApiError,
    Candle,
    Forbidden,
    RateLimited,
    RestClient,
    Retries,
    ServerClock,
    SyncRestClient,
    Unauthorized,
    decimal,
    moment,
)
from tickwire.wire import rows

# Of the server with a market.
SYMBOLS = [PERPETUAL, "ETHUSDT.PERP", SPOT]


@contextmanager
def connected(make: MakeClient, account: Account, **options: Any) -> Iterator[Any]:
    with make(account.server.url, account.key, account.secret, **options) as rest:
        yield rest


@pytest.fixture(params=CLIENTS, ids=["sync", "async"])
def make(request: pytest.FixtureRequest) -> MakeClient:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def rest(live: Server, make: MakeClient) -> Iterator[Any]:
    """A client with an account of its own."""
    with connected(make, live.account()) as rest:
        yield rest


def test_public_calls_need_no_key(live: Server, make: MakeClient) -> None:
    with make(live.url) as rest:
        assert rest.ping() is None
        assert abs(rest.server_time() - time.time_ns()) < 60 * 10**9
        with pytest.raises(ValueError, match="expected a client with key and secret"):
            rest.symbols()


def test_the_market(rest: Any) -> None:
    contract = rest.contract(PERPETUAL)
    assert (type(contract), contract.tick_size, decimal(contract.max_leverage)) == (rows.Contract, "0.1", 100)
    assert [row.symbol for row in rest.contracts()] == SYMBOLS
    ticker = rest.ticker(PERPETUAL)
    assert type(ticker) is rows.Ticker
    assert decimal(ticker.bid_price) < decimal(ticker.ask_price)
    assert [row.symbol for row in rest.tickers()] == SYMBOLS
    assert [row.symbol for row in rest.funding_infos()] == SYMBOLS[:2]
    assert rest.funding_infos(SPOT) == []
    book = rest.order_book(PERPETUAL, limit=3)
    assert (type(book), len(book.bids), len(book.asks)) == (rows.Orderbook, 3, 3)
    assert [row.level for row in rest.fee_rates()][:2] == [0, 1]
    assert rest.symbols() == rows.Symbols(spot=[SPOT], perpetual_swap=SYMBOLS[:2])


def test_candles(rest: Any) -> None:
    candles = rest.klines(PERPETUAL, "1")
    assert len(candles) == 100
    assert type(candles[0]) is Candle
    starts = [int(candle.start_time) for candle in candles]
    assert starts == list(range(starts[0], starts[0] + 100 * 60 * 10**9, 60 * 10**9))
    assert all(decimal(row.low) <= decimal(row.open) <= decimal(row.high) for row in candles)
    # The same ones by their bounds, as numbers and as times with a zone.
    closed = candles[10:20]
    assert rest.klines(PERPETUAL, "1", start=starts[10], end=starts[19]) == closed
    first, last = moment(closed[0].start_time), moment(closed[-1].start_time)
    assert rest.klines(PERPETUAL, "1", start=first, end=last) == closed


def test_candles_over_several_calls(rest: Any) -> None:
    newest = int(rest.klines(PERPETUAL, "3", limit=1000)[-1].start_time)
    step = 3 * 60 * 10**9
    start = newest - 1200 * step
    # The market's past has 1,000 candles, so that with an earlier start there are no more.
    found = list(rest.iterate_klines(PERPETUAL, "1", start=start, end=newest))
    starts = [int(row.start_time) for row in found]
    assert len(starts) >= 1000
    assert starts == list(range(starts[0], starts[-1] + 1, 60 * 10**9))
    assert starts[-1] == newest


def test_the_account(rest: Any) -> None:
    assert rest.account().total_wallet_balance == "100000"
    assert [row.currency for row in rest.margins()] == ["USDT"]
    assert rest.margins("USDT")[0].margin_balance == "100000"
    assert rest.balances() == rest.balances("USDT")
    assert rest.balances()[0].asset == "USDT"
    assert rest.positions() == []
    assert rest.set_trade_mode("ONE_WAY").trade_mode == "ONE_WAY"


def test_an_order_from_placing_to_history(rest: Any) -> None:
    bought = rest.place_order(PERPETUAL, "BUY", "0.01")
    assert (type(bought), bought.status, bought.order_type) == (rows.Order, "FILLED", "MARKET")
    position = rest.positions(PERPETUAL)[0]
    assert (position.position_side, decimal(position.position_qty)) == ("LONG", Decimal("0.01"))

    resting = rest.place_order(PERPETUAL, "BUY", Decimal("0.01"), price=50_000)
    assert (resting.status, resting.price, resting.time_in_force) == ("NEW", "50000.0", "GTC")
    amended = rest.amend_order(PERPETUAL, resting.order_id, take_profit=60_000, stop_loss=Decimal("4E+4"))
    assert (amended.take_profit_price, amended.stop_loss_price) == ("60000.0", "40000.0")
    stop = rest.place_order(PERPETUAL, "SELL", "0.01", trigger_price="40000", reduce_only=True)
    assert (stop.order_type, stop.trigger_price) == ("STOP_MARKET", "40000.0")
    by_amount = rest.place_order(PERPETUAL, "BUY", amount=1000, match_best=True, time_in_force="IOC")
    assert (by_amount.order_type, by_amount.amount) == ("LIMIT", "1000")

    assert {row.order_id for row in rest.open_orders()} == {resting.order_id, stop.order_id}
    assert rest.open_orders(SPOT) == []
    assert rest.cancel_order(PERPETUAL, resting.order_id) is None
    assert [row.order_id for row in rest.open_orders(PERPETUAL)] == [stop.order_id]
    rest.cancel_order(PERPETUAL, stop.order_id)

    page = rest.order_history(PERPETUAL, count=2)
    assert (type(page), page.has_next, len(page.history)) == (rows.OrderHistory, True, 2)
    older = rest.order_history(PERPETUAL, after=page.history[-1].order_id)
    assert [row.order_id for row in older.history] == [resting.order_id, bought.order_id]
    assert older.history[0].order_cancel_reason == "USER_CANCELED"
    newer = rest.order_history(PERPETUAL, before=resting.order_id)
    assert newer.history == page.history
    placed = moment(older.history[-1].order_time)
    assert len(rest.order_history(start=placed).history) == 4
    assert rest.order_history(end=placed.replace(year=2020)).history == []
    assert rest.order_history(product_type="SPOT").history == []

    trades = rest.execution_history(order_id=bought.order_id, exec_type="TRADE").history
    assert sum(decimal(row.last_qty) for row in trades) == Decimal("0.01")


def test_leverage_and_margin(rest: Any) -> None:
    position = rest.set_leverage(PERPETUAL, 5, "ISOLATED")
    assert (type(position), position.leverage, position.margin_type) == (rows.Position, 5, "ISOLATED")
    rest.place_order(PERPETUAL, "SELL", "0.01")
    before = decimal(rest.positions()[0].liquidation_price)
    more = decimal(rest.add_margin(PERPETUAL, Decimal("10.50")).liquidation_price)
    less = decimal(rest.reduce_margin(PERPETUAL, "5.5").liquidation_price)
    assert before < less < more


def test_histories_of_many_pages(rest: Any) -> None:
    placed = []
    for _ in range(70):
        order = rest.place_order(PERPETUAL, "BUY", "0.001", price=50_000)
        rest.cancel_order(PERPETUAL, order.order_id)
        placed.append(order.order_id)
    assert [row.order_id for row in rest.iterate_orders()] == placed[::-1]
    executions = list(rest.iterate_executions(PERPETUAL))
    assert [(row.order_id, row.exec_type) for row in executions] == [
        (order, kind) for order in placed[::-1] for kind in ("CANCELED", "NEW")
    ]


def test_the_documented_form_of_the_open_orders(tmp_path: Path) -> None:
    flags = ("--no-market", "--no-limits", "--open-orders", "wrapped")
    with Server(tmp_path / "data", *flags) as server:
        for make in CLIENTS:
            with connected(make, server.account()) as rest:
                order = rest.place_order(PERPETUAL, "BUY", 1, price=1000)
                assert rest.open_orders() == [order]


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        ({"quantity": "0.0000001"}, "InvalidParameter", "quantity"),
        ({"quantity": "abc"}, "InvalidParameter", "quantity"),
        ({"quantity": 1, "price": "50000.05"}, "InvalidParameter", "price"),
        ({"quantity": 1, "amount": 1}, "InvalidParameter", "quantity"),
        ({"quantity": "0.000001"}, "MinNotional", None),
        ({"quantity": 1, "reduce_only": True}, "ReduceOnlyRejected", "reduceOnly"),
    ],
)
def test_a_refusal_names_the_field(rest: Any, arguments: dict[str, Any], code: str, field: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        rest.place_order(PERPETUAL, "BUY", **arguments)
    assert (caught.value.status, caught.value.code, caught.value.field) == (400, code, field)
    assert caught.value.advice


def test_a_symbol_of_strange_letters(rest: Any) -> None:
    for symbol in ("NOPE", "a b&c=d", "ü/?#%", ""):
        with pytest.raises(ApiError) as caught:
            rest.ticker(symbol)
        assert caught.value.code == "InvalidSymbol"


def test_keys_that_may_not(live: Server, make: MakeClient) -> None:
    reader = live.key("reader", scopes=["read"])
    with connected(make, reader) as rest, pytest.raises(Forbidden):
        rest.place_order(PERPETUAL, "BUY", 1)
    for key, secret, code in (
        (reader.key, "wrong", "api.unauthorized"),
        ("unknown", reader.secret, "api.invalidSession"),
    ):
        with make(live.url, key, secret) as rest, pytest.raises(Unauthorized) as caught:
            rest.account()
        assert caught.value.code == code


@pytest.mark.parametrize("seconds_off", [-(10**9), -90_000, -3600, -31, 20, 3600, 90_000, 10**9])
def test_a_machine_with_a_wrong_clock(live: Server, make: MakeClient, seconds_off: int) -> None:
    def wrong() -> int:
        return time.time_ns() + seconds_off * 10**9

    # A write first: it is refused before anything is done, and signed anew by the server's clock.
    with connected(make, live.account(), clock=ServerClock(wrong)) as rest:
        assert rest.place_order(PERPETUAL, "BUY", "0.001").status == "FILLED"
        assert abs(rest.clock.offset + seconds_off * 10**9) < 3 * 10**9
        rest.measure_clock()
        assert abs(rest.clock.now() - time.time_ns()) < 10**9
        assert len(rest.order_history().history) == 1


def test_a_clock_that_is_set_under_way(live: Server, make: MakeClient) -> None:
    jump = [0]
    with connected(make, live.account(), clock=ServerClock(lambda: time.time_ns() + jump[0])) as rest:
        for seconds in (0, -7200, 3600, 10**8, 0):
            jump[0] = seconds * 10**9
            assert rest.account().total_wallet_balance == "100000"


def test_limits(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market", "--requests-per-second", "5") as server:
        for make in CLIENTS:
            account = server.account()
            with connected(make, account, retries=NO_RETRIES) as rest, pytest.raises(RateLimited) as caught:
                [rest.symbols() for _ in range(50)]
            assert (caught.value.code, caught.value.retry_after) == ("TooManyRequests", 1.0)
            # With retries, the same client waits as long as it is asked to, and nothing is lost.
            with connected(make, account) as rest:
                for _ in range(7):
                    rest.symbols()
                assert rest.rate_limit.limit == 5


def test_a_server_that_comes_back_while_we_wait(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market") as first:
        key, port = first.demo, first.url.rpartition(":")[2]
        rest = SyncRestClient(first.url, key.key, key.secret, retries=Retries(20, first_pause=0.1, longest_pause=0.5))
        assert rest.symbols().perpetual_swap
        first.stop()
    with Server(tmp_path / "data", "--no-market", port=int(port)), rest:
        # The pooled connection is dead, and noticed to be.
        assert rest.place_order(PERPETUAL, "BUY", 1, price=1000).status == "NEW"
        assert rest.symbols().perpetual_swap


def test_after_closing_a_client_can_be_used_again(rest: Any) -> None:
    for _ in range(2):
        assert rest.ping() is None
        (rest.aclose if isinstance(rest, Blocking) else rest.close)()


def test_the_two_clients_have_the_same_methods_with_documentation() -> None:
    def methods(client: type, closing: set[str]) -> dict[str, Callable[..., Any]]:
        found = {name: value for name, value in vars(client).items() if callable(value) and not name.startswith("_")}
        return {name: value for name, value in found.items() if name not in closing}

    asynchronous, synchronous = methods(RestClient, {"aclose"}), methods(SyncRestClient, {"close"})
    assert asynchronous.keys() == synchronous.keys()
    for name, method in asynchronous.items():
        assert method.__doc__, name
        assert list(inspect.signature(method).parameters) == list(inspect.signature(synchronous[name]).parameters)
    assert inspect.signature(RestClient.ticker).return_annotation is rows.Ticker


async def test_many_calls_at_a_time(live: Server) -> None:
    demo = live.demo
    async with RestClient(live.url, demo.key, demo.secret) as rest:
        found = await asyncio.gather(*[rest.ticker(PERPETUAL) for _ in range(100)])
    assert {row.symbol for row in found} == {PERPETUAL}


def test_several_threads_share_a_client(live: Server) -> None:
    with connected(SyncRestClient, live.demo) as rest, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(rest.ticker, [PERPETUAL, SPOT] * 40))
    assert [row.symbol for row in found] == [PERPETUAL, SPOT] * 40


def test_it_speaks_http_like_anyone(live: Server) -> None:
    """What the client finds is what a plain httpx finds."""
    account = live.account()
    with connected(SyncRestClient, account) as rest:
        plain: httpx.Response = account.send("GET", "/account/balance")
        assert [row["balance"] for row in plain.json()] == [row.balance for row in rest.balances()]
