"""Contract, section 8: every error code that a client can provoke, and the limits of REST."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.contract.support import PERPETUAL, SPOT, Account, Server

ERRORS = {
    "InvalidParameter", "InvalidSymbol", "ApiSymbolRestricted", "InsufficientBalance", "TooHighLeverage",
    "OrderNotFound", "PositionNotFound", "ReduceOnlyRejected", "InvalidTradeMode", "MinNotional", "MaxNotional",
    "MaxPosition", "MaxOpenInterest", "SlippageExceeded", "NoCounterparty", "TooManyOrders", "InvalidMargin",
    "OpenOrdersExist",
}  # fmt: skip


def order(**more: object) -> dict[str, object]:
    return {"symbol": PERPETUAL, "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "40000", **more}


# One server with narrow bounds, and a scene for every code.

NARROW = """
[[instrument]]
symbol = "BTCUSDT.PERP"
kind = "perpetual"
base = "BTC"
quote = "USDT"
tick_size = "0.1"
step = "0.000001"
max_notional = "60000"
max_position = "150000"
max_open_interest = "4"
max_leverage = 100
init_margin_rate = "0.01"
maint_margin_rate = "0.005"

[[instrument]]
symbol = "OLDUSDT.PERP"
kind = "perpetual"
base = "OLD"
quote = "USDT"
tick_size = "0.1"
step = "1"
max_leverage = 10
init_margin_rate = "0.1"
maint_margin_rate = "0.05"
trading = false
"""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("narrow")
    (directory / "narrow.toml").write_text(NARROW)
    flags = ("--instruments", str(directory / "narrow.toml"), "--max-open-orders", "5", "--no-market", "--no-limits")
    with Server(directory / "data", *flags) as server:
        yield server


@pytest.fixture
def one(narrow: Server) -> Iterator[Account]:
    account = narrow.account()
    yield account
    account.cancel_all()


@pytest.fixture
def two(narrow: Server) -> Iterator[Account]:
    account = narrow.account()
    yield account
    account.cancel_all()


def in_another_mode(one: Account, two: Account) -> None:
    one.write("PUT", "/account/trade-mode", tradeMode="MULTIPLE_POSITIONS")


def five_orders(one: Account, two: Account) -> None:
    for _ in range(5):
        one.buy("0.001", "40000")


def an_order(one: Account, two: Account) -> None:
    one.buy("0.001", "40000")


def a_long(one: Account, two: Account) -> None:
    two.sell("0.1", "50000")
    one.buy("0.1", "50000")


def an_offer(one: Account, two: Account) -> None:
    two.sell("0.1", "50000")


def nothing(one: Account, two: Account) -> None:
    pass


ORDER_ID = "01a20e3f-2f1c-7000-8000-00000000ffff"
LEVERAGE = {"symbol": PERPETUAL, "leverage": 10, "marginType": "CROSS"}
MARGIN = {"symbol": PERPETUAL, "amount": "1", "type": 1}
ORDER = ("POST", "/trade/order")
CASES: list[tuple[str, Any, tuple[str, str], dict[str, object]]] = [
    ("InvalidParameter", nothing, ORDER, order(quantity="NaN")),
    ("InvalidParameter", nothing, ORDER, order(quantity=1)),
    ("InvalidParameter", nothing, ORDER, order(price="4e4")),
    ("InvalidParameter", nothing, ORDER, order(price="40000.05")),
    ("InvalidParameter", nothing, ORDER, order(quantity="0.0000005")),
    ("InvalidSymbol", nothing, ORDER, order(symbol="NOSUCH.PERP")),
    ("InvalidSymbol", nothing, ("POST", "/trade/leverage"), {**LEVERAGE, "symbol": "NOSUCH"}),
    ("ApiSymbolRestricted", nothing, ORDER, order(symbol="OLDUSDT.PERP", price="100")),
    ("InsufficientBalance", nothing, ORDER, order(symbol=SPOT, quantity="3")),
    ("InsufficientBalance", nothing, ORDER, order(symbol=SPOT, side="SELL")),
    ("InsufficientBalance", nothing, ORDER, order(symbol="ETHUSDT.PERP", quantity="500", price="2500")),
    ("InsufficientBalance", a_long, ("POST", "/trade/leverage"), {**LEVERAGE, "leverage": 1}),
    ("TooHighLeverage", nothing, ("POST", "/trade/leverage"), {**LEVERAGE, "leverage": 101}),
    ("OrderNotFound", nothing, ("DELETE", "/trade/order"), {"symbol": PERPETUAL, "orderId": ORDER_ID}),
    ("OrderNotFound", nothing, ("PUT", "/trade/order"), {"symbol": PERPETUAL, "orderId": ORDER_ID}),
    ("PositionNotFound", nothing, ("POST", "/trade/margin"), MARGIN),
    ("InvalidMargin", a_long, ("POST", "/trade/margin"), MARGIN),
    ("ReduceOnlyRejected", nothing, ORDER, order(reduceOnly=True)),
    ("ReduceOnlyRejected", a_long, ORDER, order(reduceOnly=True)),
    ("InvalidTradeMode", in_another_mode, ORDER, order()),
    ("MinNotional", nothing, ORDER, order(quantity="0.000001")),
    ("MinNotional", nothing, ORDER, {**order(amount="0.5"), "quantity": None}),
    ("MinNotional", nothing, ORDER, {**order(amount="0.00000001"), "quantity": None}),
    ("MaxNotional", nothing, ORDER, order(quantity="1.51")),
    ("MaxPosition", nothing, ORDER, order(symbol=PERPETUAL, quantity="1.2", price="49000")),
    ("MaxOpenInterest", nothing, ORDER, order(quantity="4.000001", price="10000")),
    ("SlippageExceeded", an_offer, ORDER, {**order(maxSlippagePrice="49999"), "type": "MARKET", "price": None}),
    ("NoCounterparty", nothing, ORDER, {**order(), "type": "MARKET", "price": None}),
    (
        "NoCounterparty",
        nothing,
        ORDER,
        {**order(priceMatchStrategy="PRICE_MATCH_STRATEGY_COUNTERPARTY_1"), "price": None},
    ),
    ("TooManyOrders", five_orders, ORDER, order()),
    ("OpenOrdersExist", an_order, ("POST", "/trade/leverage"), {**LEVERAGE, "marginType": "ISOLATED"}),
]


@pytest.mark.parametrize(
    ("code", "scene", "call", "fields"), CASES, ids=[f"{code}-{number}" for number, (code, *_) in enumerate(CASES)]
)
def test_every_code_and_a_refused_command_changes_nothing(
    one: Account, two: Account, code: str, scene: Any, call: tuple[str, str], fields: dict[str, object]
) -> None:
    scene(one, two)
    if code == "MaxPosition":
        one.leverage(20)
        one.buy("1.2", "49000")
        one.buy("1", "49000")
    if code == "InsufficientBalance" and scene is a_long:
        one.server.control("POST", "deposit", {"account": one.name, "asset": "USDT", "amount": "-96000"})
    before = one.everything(), two.everything(), one.get(f"/market/orderbook?symbol={PERPETUAL}")
    found, message = one.refused(*call, **fields)
    assert found == code
    # A sentence in lower case, with what was expected.
    assert len(message) > 10
    assert message.isascii()
    after = one.everything(), two.everything(), one.get(f"/market/orderbook?symbol={PERPETUAL}")
    assert after == before


def test_every_code_of_the_contract_is_tried() -> None:
    assert {code for code, *_ in CASES} == ERRORS


# Limits of REST.


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("limited") / "data", "--no-market", "--requests-per-second", "20") as server:
        yield server


def standing(reply: httpx.Response) -> tuple[int, int, int]:
    headers = reply.headers
    return tuple(int(headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset"))  # type: ignore[return-value]


def test_100_requests_a_second_unless_set_otherwise(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market") as server:
        limit, remaining, reset = standing(server.demo.send("GET", "/account"))
        assert (limit, remaining) == (100, 99)
        assert 0 <= reset - time.time() <= 2


def test_every_reply_carries_where_the_client_stands(limited: Server) -> None:
    demo = limited.account()
    replies = [
        limited.http.get("/api/v1/public/ping"),
        limited.http.get("/api/v1/public/time"),
        limited.http.get("/api/v1/no/such/path"),
        limited.http.get("/api/v1/account"),
        limited.http.patch("/api/v1/account"),
        demo.send("GET", "/account"),
        demo.send("GET", "/market/kline"),
        demo.send("POST", "/trade/order", b"nonsense"),
        demo.send("DELETE", "/trade/order", b"{}"),
    ]
    assert [reply.status_code for reply in replies] == [200, 200, 403, 401, 405, 200, 400, 400, 400]
    for reply in replies:
        limit, remaining, reset = standing(reply)
        assert limit == 20
        assert 0 <= remaining < 20
        assert 0 <= reset - time.time() <= 2


def until_refused(send: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Replies up to the first refusal for too many."""
    replies = [send()]
    while replies[-1].status_code != 429:
        replies.append(send())
    return replies


def test_too_many_requests(limited: Server) -> None:
    demo, other = limited.account(), limited.account()
    *let_through, refused = until_refused(lambda: demo.send("GET", "/account"))
    assert {reply.status_code for reply in let_through} == {200}
    assert len(let_through) >= 20
    assert refused.json()["error"] == refused.headers["x-prex-error-type"] == "TooManyRequests"
    assert int(refused.headers["retry-after"]) == 1
    limit, remaining, reset = standing(refused)
    assert (limit, remaining) == (20, 0)
    assert 0 <= reset - time.time() <= 2
    # Another key has its own.
    assert other.send("GET", "/account").status_code == 200
    time.sleep(1)
    assert demo.send("GET", "/account").status_code == 200


def test_a_refused_order_is_not_placed(limited: Server) -> None:
    account = limited.account()
    body = json.dumps(order(quantity="0.001")).encode()
    *placed, _ = until_refused(lambda: account.send("POST", "/trade/order", body))
    time.sleep(1)
    assert len(account.open_orders()) == len(placed)


def test_requests_without_a_good_key_count_for_their_address(limited: Server) -> None:
    *let_through, _ = until_refused(lambda: limited.http.get("/api/v1/account"))
    assert {reply.status_code for reply in let_through} == {401}
    # That does not stop a client of the same address that has a key.
    assert limited.account().send("GET", "/account").status_code == 200
