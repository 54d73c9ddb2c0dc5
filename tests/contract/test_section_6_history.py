"""Contract, section 6.7: symbols, and the history of orders and executions, a page at a time."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.contract import shapes
from tests.contract.support import PERPETUAL, SPOT, Account, Server

Rows = list[dict[str, Any]]


def page(account: Account, kind: str, **query: object) -> tuple[Rows, bool, bool]:
    """`(history, hasPrev, hasNext)` of one page whose form is as it should be."""
    text = "&".join(f"{name}={value}" for name, value in query.items())
    reply = account.get(f"/trade/{kind}/history?{text}")
    assert set(reply) == {"history", "hasPrev", "hasNext"}
    assert isinstance(reply["hasPrev"], bool)
    assert isinstance(reply["hasNext"], bool)
    for row in reply["history"]:
        shapes.check(row, shapes.ORDER_HISTORY if kind == "order" else shapes.EXECUTION)
    return reply["history"], reply["hasPrev"], reply["hasNext"]


def orders(account: Account, **query: object) -> tuple[list[str], bool, bool]:
    """A page of orders by their ids."""
    rows, has_prev, has_next = page(account, "order", **query)
    return [row["orderId"] for row in rows], has_prev, has_next


def test_symbols(quiet: Server) -> None:
    reply = quiet.demo.get("/trade/symbol")
    assert reply == {
        "spot": ["BTCUSDT", "ETHUSDT"],
        "perpetualSwap": [
            "BTCUSDT.PERP", "ETHUSDT.PERP", "SOLUSDT.PERP", "XRPUSDT.PERP", "DOGEUSDT.PERP", "BNBUSDT.PERP",
        ],
    }  # fmt: skip


def test_an_empty_history(trader: Account) -> None:
    for kind in ("order", "execution"):
        assert page(trader, kind) == ([], False, False)


@pytest.fixture(scope="module")
def many(quiet: Server) -> Iterator[tuple[Account, list[str]]]:
    """An account with 70 orders, newest first: 50 of a perpetual, 20 of a spot pair; all cancelled but ten."""
    account = quiet.account()
    placed = []
    for number in range(70):
        if number % 7 in (2, 5):
            placed.append(account.buy("0.001", "30000", symbol=SPOT))
        else:
            placed.append(account.buy("0.001", "30000"))
    for order in placed[10:]:
        account.cancel(order)
    yield account, [order["orderId"] for order in reversed(placed)]
    account.cancel_all()


def test_a_page_has_64_orders_newest_first(many: tuple[Account, list[str]]) -> None:
    account, ids = many
    assert orders(account) == (ids[:64], False, True)


@pytest.mark.parametrize("count", [1, 7, 69, 70, 71, 1000])
def test_count(many: tuple[Account, list[str]], count: int) -> None:
    account, ids = many
    assert orders(account, count=count) == (ids[:count], False, count < 70)


def test_after_gives_what_is_older(many: tuple[Account, list[str]]) -> None:
    account, ids = many
    assert orders(account, after=ids[9], count=20) == (ids[10:30], True, True)
    assert orders(account, after=ids[59], count=20) == (ids[60:], True, False)
    assert orders(account, after=ids[69], count=20) == ([], True, False)


def test_before_gives_what_is_newer_and_next_to_it(many: tuple[Account, list[str]]) -> None:
    account, ids = many
    assert orders(account, before=ids[50], count=20) == (ids[30:50], True, True)
    assert orders(account, before=ids[10], count=20) == (ids[:10], False, True)
    assert orders(account, before=ids[0], count=20) == ([], False, True)


def test_both_cursors_bound_a_range(many: tuple[Account, list[str]]) -> None:
    account, ids = many
    assert orders(account, after=ids[9], before=ids[20], count=1000) == (ids[10:20], True, True)


def test_all_pages_there_and_back_are_all_orders(many: tuple[Account, list[str]]) -> None:
    account, ids = many
    found: list[str] = []
    more = True
    query: dict[str, object] = {}
    while more:
        rows, _, more = orders(account, count=9, **query)
        found += rows
        query = {"after": rows[-1]}
    assert found == ids
    back: list[str] = []
    more = True
    query = {"before": ids[-1]}
    while more:
        rows, more, _ = orders(account, count=9, **query)
        back = rows + back
        query = {"before": rows[0]}
    assert back == ids[:-1]


def test_filters_of_orders(many: tuple[Account, list[str]]) -> None:
    account, ids = many
    everything, _, _ = page(account, "order", count=1000)
    assert [row["orderId"] for row in everything] == ids
    for query, symbol, number in (
        ({"symbol": SPOT}, SPOT, 20),
        ({"symbol": PERPETUAL}, PERPETUAL, 50),
        ({"productType": "SPOT"}, SPOT, 20),
        ({"productType": "PERPETUAL"}, PERPETUAL, 50),
        ({"productType": "PERPETUAL", "symbol": PERPETUAL}, PERPETUAL, 50),
        ({"productType": "SPOT", "symbol": PERPETUAL}, PERPETUAL, 0),
        ({"symbol": "SOLUSDT.PERP"}, "SOLUSDT.PERP", 0),
    ):
        rows, has_prev, has_next = page(account, "order", count=1000, **query)
        assert rows == [row for row in everything if row["symbol"] == symbol][:number]
        assert len(rows) == number
        assert (has_prev, has_next) == (False, False)


def test_times_are_inclusive(many: tuple[Account, list[str]]) -> None:
    account, _ = many
    everything, _, _ = page(account, "order", count=1000)
    newest, oldest = everything[10]["orderTime"], everything[40]["orderTime"]
    assert page(account, "order", startTime=oldest, endTime=newest, count=1000)[0] == everything[10:41]
    inner = {"startTime": int(oldest) + 1, "endTime": int(newest) - 1}
    assert page(account, "order", **inner, count=1000)[0] == everything[11:40]
    assert page(account, "order", startTime=newest, count=1000)[0] == everything[:11]
    assert page(account, "order", endTime=oldest, count=1000)[0] == everything[40:]
    assert page(account, "order", startTime=oldest, endTime=oldest)[0] == everything[40:41]


@pytest.mark.parametrize("kind", ["order", "execution"])
@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        *(
            (f"count={value}", "InvalidParameter", "count")
            for value in ("0", "-1", "1001", "1.5", "1e2", "", "many", "9" * 400)
        ),
        *((f"productType={value}", "InvalidParameter", "productType") for value in ("", "spot", "SWAP")),
        *(
            (f"{name}={value}", "InvalidParameter", name)
            for name in ("before", "after")
            for value in ("", "1", "nonsense", "01a20e3f2f1c700080000000000000ff", "%00")
        ),
        *((f"{name}=00000000-0000-0000-0000-000000000000", "OrderNotFound", name) for name in ("before", "after")),
        *(
            (f"{name}={value}", "InvalidParameter", name)
            for name in ("startTime", "endTime")
            for value in ("0", "1765975842", "1765975842095", "-1765975842095607088", "9" * 19, "yesterday", "")
        ),
        ("startTime=1765975842095607088&endTime=1765975842095607087", "InvalidParameter", "endTime"),
        ("symbol=NOSUCH", "InvalidSymbol", "NOSUCH"),
        ("count=1&count=2", "InvalidParameter", "count"),
    ],
)
def test_bad_queries(quiet: Server, kind: str, query: str, code: str, field: str) -> None:
    found, message = quiet.demo.refused("GET", f"/trade/{kind}/history?{query}")
    assert found == code
    assert field in message


@pytest.mark.parametrize("query", ["execType=", "execType=trade", "orderId=", "orderId=1"])
def test_bad_queries_of_executions(quiet: Server, query: str) -> None:
    code, message = quiet.demo.refused("GET", f"/trade/execution/history?{query}")
    assert (code, message.partition(":")[0]) == ("InvalidParameter", query.partition("=")[0])


# Rows.


def test_an_order_with_how_it_ended(alice: Account, bob: Account) -> None:
    alice.leverage(20)
    bob.sell("0.25", "50000")
    bob.sell("0.25", "50001")
    order = alice.buy("1", "50001")
    alice.cancel(order)
    row = alice.past(order)
    shapes.check(row, shapes.ORDER_HISTORY)
    assert {name: row[name] for name in row if name not in ("orderId", "orderTime", "transactTime")} == {
        "symbol": PERPETUAL,
        "side": "BUY",
        "orderType": "LIMIT",
        "quantity": "1",
        "amount": None,
        "price": "50001.0",
        "triggerPrice": None,
        "status": "CANCELED",
        "timeInForce": "GTC",
        "takeProfitPrice": None,
        "stopLossPrice": None,
        "leavesQty": "0.5",
        "orderCancelReason": "USER_CANCELED",
        "orderRejectReason": None,
        "cumQty": "0.5",
        "avgPrice": "50000.5",
        "cumFee": "15.00015",
        "initLeverage": 20,
        "conditionalOrderType": "INVALID",
    }
    assert int(row["orderTime"]) < int(row["transactTime"])


def test_an_open_order_is_in_the_history_too(alice: Account) -> None:
    order = alice.buy("1", "40000")
    row = alice.past(order)
    assert {name: row[name] for name in order} == order
    assert (row["cumQty"], row["avgPrice"], row["cumFee"], row["orderCancelReason"]) == ("0", None, "0", None)
    assert row["orderTime"] == row["transactTime"]


def test_spot_orders_have_no_leverage(exchange: Server, alice: Account) -> None:
    assert alice.past(alice.buy("1", "40000", symbol=SPOT))["initLeverage"] is None


def test_executions_of_an_order(alice: Account, bob: Account) -> None:
    sold = bob.sell("0.4", "50000")
    order = alice.buy("1", "50000")
    alice.write("PUT", "/trade/order", symbol=PERPETUAL, orderId=order["orderId"], newStopLossPrice="45000")
    alice.cancel(order)
    new, trade, replaced, canceled = alice.executions(order)
    for row in (new, trade, replaced, canceled):
        shapes.check(row, shapes.EXECUTION)
        assert (row["symbol"], row["side"], row["orderType"], row["price"]) == (PERPETUAL, "BUY", "LIMIT", "50000.0")
        assert (row["quantity"], row["timeInForce"], row["settlementCurrency"]) == ("1", "GTC", "USDT")
        assert row["orderTime"] == new["transactTime"]
    assert [row["execType"] for row in (new, trade, replaced, canceled)] == ["NEW", "TRADE", "REPLACED", "CANCELED"]
    statuses = [row["status"] for row in (new, trade, replaced, canceled)]
    assert statuses == ["NEW", "PARTIALLY_FILLED", "PARTIALLY_FILLED", "CANCELED"]
    assert (new["lastPrice"], new["lastQty"], new["execFee"], new["cumQty"], new["avgPrice"]) == (None,) * 3 + (
        "0",
        None,
    )
    assert (trade["lastPrice"], trade["lastQty"], trade["execFee"]) == ("50000.0", "0.4", "12")
    assert (canceled["cumQty"], canceled["avgPrice"]) == ("0.4", "50000")
    times = [int(row["transactTime"]) for row in (new, trade, replaced, canceled)]
    assert times == sorted(times)
    maker = bob.executions(sold)[-1]
    assert (maker["execType"], maker["side"], maker["execFee"], maker["status"]) == ("TRADE", "SELL", "4", "FILLED")


def test_filters_and_pages_of_executions(exchange: Server, alice: Account, bob: Account) -> None:
    exchange.control("POST", "deposit", {"account": "bob", "asset": "BTC", "amount": "10"})
    placed = []
    for number in range(6):
        symbol = SPOT if number % 3 == 0 else PERPETUAL
        bob.sell("0.1", "50000", symbol=symbol)
        placed.append(alice.buy("0.1", "50000", symbol=symbol))
    placed.append(alice.buy("0.1", "30000"))
    alice.cancel(placed[-1])
    everything, has_prev, has_next = page(alice, "execution", count=1000)
    assert (len(everything), has_prev, has_next) == (14, False, False)
    by_id = sorted(everything, key=lambda row: row["execId"], reverse=True)
    assert everything == by_id

    def shown(**query: object) -> Rows:
        return page(alice, "execution", count=1000, **query)[0]

    assert shown(symbol=SPOT) == [row for row in everything if row["symbol"] == SPOT]
    assert len(shown(productType="SPOT")) == 4
    assert len(shown(productType="PERPETUAL")) == 10
    for kind, number in (("NEW", 7), ("TRADE", 6), ("CANCELED", 1), ("FUNDING", 0), ("REJECTED", 0), ("TRIGGERED", 0)):
        assert shown(execType=kind) == [row for row in everything if row["execType"] == kind]
        assert len(shown(execType=kind)) == number
    for order in placed:
        assert shown(orderId=order["orderId"]) == [r for r in everything if r["orderId"] == order["orderId"]]
    middle = everything[6]["transactTime"]
    assert shown(startTime=middle, endTime=middle) == [r for r in everything if r["transactTime"] == middle]
    assert shown(startTime=int(middle) + 1) == [r for r in everything if r["transactTime"] > middle]

    # Pages end between two orders, so that what an order did is in one of them whole.
    found: Rows = []
    query: dict[str, object] = {}
    more = True
    while more:
        rows, _, more = page(alice, "execution", count=3, **query)
        assert len(rows) >= 3 or not more
        found += rows
        query = {"after": rows[-1]["orderId"]}
    assert found == everything
    newest = placed[-1]["orderId"]
    assert page(alice, "execution", after=newest)[1:] == (True, False)
    assert page(alice, "execution", before=newest) == ([], False, True)


def test_fees_of_the_rows_are_what_the_wallet_paid(alice: Account, bob: Account) -> None:
    for number in range(7):
        bob.sell("0.033333", f"{50_000 + number}.7")
    alice.buy("0.2", "60000")
    trades = page(alice, "execution", execType="TRADE")[0]
    fees = sum(Decimal(row["execFee"]) for row in trades)
    assert fees == Decimal(alice.get("/trade/order/history")["history"][0]["cumFee"])
    assert Decimal(alice.get("/account")["totalWalletBalance"]) == 100_000 - fees
    # Each fee is rounded up, never down.
    for row in trades:
        exact = Decimal(row["lastPrice"]) * Decimal(row["lastQty"]) * Decimal("0.0006")
        assert 0 <= Decimal(row["execFee"]) - exact < Decimal("0.00000001")


def test_the_history_of_the_simulated_participants_is_not_shown(live: Server) -> None:
    fresh = live.account()
    assert page(fresh, "execution")[0] == page(fresh, "order")[0] == []
