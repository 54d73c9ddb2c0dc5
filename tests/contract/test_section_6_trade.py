"""Contract, sections 6.1 to 6.6: orders, leverage and margin over REST."""

import json
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.contract import shapes
from tests.contract.support import PERPETUAL, SPOT, Account, Server

GOOD = {"symbol": PERPETUAL, "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "40000"}
NO_ORDER = "01a20e3f-2f1c-7000-8000-00000000ffff"


def last(account: Account) -> dict[str, Any]:
    """The newest order, with how it ended."""
    row: dict[str, Any] = account.get("/trade/order/history")["history"][0]
    return row


# 6.1 and 6.2: placing.


def test_a_limit_order_rests(alice: Account) -> None:
    reply = alice.write(
        "POST", "/trade/order", symbol=PERPETUAL, side="BUY", type="LIMIT", quantity="0.50", price="40000"
    )
    assert set(reply) == {"order"}
    order = reply["order"]
    shapes.check(order, shapes.ORDER)
    assert {name: value for name, value in order.items() if name != "orderId"} == {
        "symbol": PERPETUAL,
        "side": "BUY",
        "orderType": "LIMIT",
        "quantity": "0.5",
        "amount": None,
        "price": "40000.0",
        "triggerPrice": None,
        "status": "NEW",
        "timeInForce": "GTC",
        "takeProfitPrice": None,
        "stopLossPrice": None,
        "leavesQty": "0.5",
    }
    assert alice.open_orders() == [order]


def test_the_reply_shows_the_first_fills(alice: Account, bob: Account) -> None:
    bob.sell("0.3", "50000")
    order = alice.buy("1", "50000")
    assert (order["status"], order["quantity"], order["leavesQty"]) == ("PARTIALLY_FILLED", "1", "0.7")
    bob.sell("0.7", "50000")
    order = alice.past(order)
    assert (order["status"], order["leavesQty"], order["cumQty"]) == ("FILLED", "0", "1")
    assert alice.open_orders() == []


def test_price_and_time_decide_who_trades(alice: Account, bob: Account, exchange: Server) -> None:
    carol = exchange.key("carol")
    first, second = bob.sell("1", "50000"), carol.sell("1", "50000")
    better = carol.sell("1", "49999")
    alice.buy("1.5", "50000")
    assert carol.past(better)["status"] == "FILLED"
    assert bob.past(first)["cumQty"] == "0.5"
    assert carol.past(second)["cumQty"] == "0"


def test_a_taker_gets_the_makers_price(alice: Account, bob: Account) -> None:
    bob.sell("1", "50000")
    order = alice.buy("1", "55000")
    assert alice.past(order)["avgPrice"] == "50000"


def test_amount_is_quote_notional(alice: Account, bob: Account) -> None:
    bob.sell("1", "50000")
    order = alice.buy(amount="12500")
    assert (order["quantity"], order["amount"], order["status"]) == ("0.25", "12500", "FILLED")
    # Rounded down to whole steps.
    resting = alice.buy(None, "30000", amount="1000.01")
    assert (resting["quantity"], resting["amount"]) == ("0.033333", "1000.01")


def test_a_market_amount_buys_no_more_than_it_pays_for(alice: Account, bob: Account) -> None:
    bob.sell("0.1", "50000")
    bob.sell("1", "50010")
    order = alice.past(alice.buy(amount="10000"))
    spent = Decimal(order["cumQty"]) * Decimal(order["avgPrice"])
    assert Decimal("9999.9") < spent <= 10_000


def test_market_runs_as_ioc_and_its_rest_is_cancelled(alice: Account, bob: Account) -> None:
    bob.sell("0.4", "50000")
    order = alice.buy("1")
    assert (order["status"], order["timeInForce"], order["price"]) == ("CANCELED", "IOC", None)
    assert order["leavesQty"] == "0.6"
    past = alice.past(order)
    assert (past["cumQty"], past["orderCancelReason"]) == ("0.4", "NO_COUNTERPARTY")
    assert alice.open_orders() == []


def test_market_needs_a_counterparty(alice: Account) -> None:
    assert alice.not_placed("BUY", "1") == "NoCounterparty"
    alice.buy("1", "40000")
    assert alice.not_placed("BUY", "1") == "NoCounterparty"


def test_ioc(alice: Account, bob: Account) -> None:
    bob.sell("0.4", "50000")
    order = alice.buy("1", "50000", timeInForce="IOC")
    assert (order["status"], order["leavesQty"], order["timeInForce"]) == ("CANCELED", "0.6", "IOC")
    assert alice.past(order)["orderCancelReason"] == "IMMEDIATE_OR_CANCEL"
    nothing = alice.buy("1", "49000", timeInForce="IOC")
    assert (nothing["status"], alice.past(nothing)["cumQty"]) == ("CANCELED", "0")
    bob.sell("2", "50000")
    assert alice.buy("1", "50000", timeInForce="IOC")["status"] == "FILLED"


def test_fok(alice: Account, bob: Account) -> None:
    bob.sell("0.4", "50000")
    order = alice.buy("1", "50000", timeInForce="FOK")
    assert (order["status"], order["leavesQty"]) == ("CANCELED", "1")
    assert alice.past(order)["orderCancelReason"] == "FILL_OR_KILL"
    assert alice.position() is None
    bob.sell("0.6", "50001")
    assert alice.buy("1", "50000", timeInForce="FOK")["status"] == "CANCELED"
    assert alice.buy("1", "50001", timeInForce="FOK")["status"] == "FILLED"


@pytest.mark.parametrize("kind", ["MARKET", "STOP_MARKET"])
def test_time_in_force_is_for_limit_alone(trader: Account, kind: str) -> None:
    price = {} if kind == "MARKET" else {"price": "50000"}
    code, message = trader.refused(
        "POST", "/trade/order", symbol=PERPETUAL, side="BUY", type=kind, quantity="1", timeInForce="IOC", **price
    )
    assert code == "InvalidParameter"
    assert message.startswith("timeInForce:")


def test_price_match_strategy(alice: Account, bob: Account) -> None:
    strategy = "PRICE_MATCH_STRATEGY_COUNTERPARTY_1"
    assert alice.not_placed("BUY", "1", type="LIMIT", priceMatchStrategy=strategy) == "NoCounterparty"
    bob.sell("0.3", "50000")
    bob.sell("1", "50001")
    order = alice.buy("1", type="LIMIT", priceMatchStrategy=strategy)
    assert (order["price"], order["leavesQty"], order["status"]) == ("50000.0", "0.7", "PARTIALLY_FILLED")
    alice.cancel_all()
    bob.buy("1", "49000")
    assert alice.sell("0.1", type="LIMIT", priceMatchStrategy=strategy)["price"] == "49000.0"
    code, message = alice.refused(
        "POST", "/trade/order", symbol=PERPETUAL, side="BUY", type="LIMIT", quantity="1", price="1",
        priceMatchStrategy=strategy,
    )  # fmt: skip
    assert (code, message.partition(":")[0]) == ("InvalidParameter", "price")
    code, message = alice.refused(
        "POST", "/trade/order", symbol=PERPETUAL, side="BUY", type="MARKET", quantity="1", priceMatchStrategy=strategy
    )
    assert (code, message.partition(":")[0]) == ("InvalidParameter", "priceMatchStrategy")


def test_max_slippage_price_bounds_the_fills(alice: Account, bob: Account) -> None:
    for number in range(5):
        bob.sell("0.1", str(50_000 + 10 * number))
    order = alice.buy("0.5", maxSlippagePrice="50019.9")
    past = alice.past(order)
    assert (past["status"], past["cumQty"], past["orderCancelReason"]) == ("CANCELED", "0.2", "MAX_SLIPPAGE")
    assert alice.not_placed("BUY", "0.1", maxSlippagePrice="50019.9") == "SlippageExceeded"
    # A LIMIT order is no worse than it either.
    assert alice.buy("0.1", "60000", maxSlippagePrice="50000")["price"] == "50000.0"


def test_a_stop_waits_for_its_trigger(alice: Account, bob: Account) -> None:
    bob.buy("1", "49990")
    bob.sell("1", "50010")
    order = alice.buy("0.5", "50500", type="STOP_MARKET")
    shapes.check(order, shapes.ORDER)
    assert (order["orderType"], order["triggerPrice"], order["price"]) == ("STOP_MARKET", "50500.0", None)
    assert (order["status"], order["leavesQty"]) == ("NEW", "0.5")
    assert alice.open_orders() == [order]
    # The book does not show it.
    assert alice.get(f"/market/orderbook?symbol={PERPETUAL}")["bids"] == [["49990.0", "1"]]


# Refusals of 6.2.

SHAPELESS: tuple[object, ...] = (1, 1.5, True, None, [], {}, ["1"])
NO_DECIMALS: tuple[object, ...] = (
    "", " 1", "1 ", "+1", "-1", "0", "-0", "0.0", "-0.0", ".5", "1.", "1e3", "1E-3", "0x10", "NaN", "Infinity",
    "-Infinity", "1,000", "1_000", "\u0661\u0662", "\uff11", "1\u0000", "one",
    "9" * 400, "0." + "0" * 400 + "1", "99999999999999999999999", 1, 0, 1.5, True, [], {}, ["1"],
)  # fmt: skip


@pytest.mark.parametrize("field", ["quantity", "price", "amount", "maxSlippagePrice"])
@pytest.mark.parametrize("value", NO_DECIMALS, ids=lambda value: repr(value)[:20])
def test_what_is_no_positive_decimal(trader: Account, field: str, value: object) -> None:
    fields: dict[str, object] = {**GOOD, field: value}
    if field == "amount":
        del fields["quantity"]
    code, message = trader.refused("POST", "/trade/order", **fields)
    assert code == "InvalidParameter"
    assert message.startswith(f"{field}:")
    assert len(message) < 300


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("symbol", SHAPELESS),
        ("side", (*SHAPELESS, "", "buy", "LONG")),
        ("type", (*SHAPELESS, "", "limit", "STOP_LIMIT", "STOP")),
        ("timeInForce", (1, True, [], "gtc", "GTX", "DAY", "")),
        ("reduceOnly", (0, 1, "true", "false", [], {})),
        ("priceMatchStrategy", (1, True, "", "PRICE_MATCH_STRATEGY_QUEUE_1", [])),
    ],
)
def test_what_is_of_a_wrong_type_or_no_choice(trader: Account, field: str, values: tuple[object, ...]) -> None:
    for value in values:
        code, message = trader.refused("POST", "/trade/order", **{**GOOD, field: value})
        assert code == "InvalidParameter", value
        assert message.startswith(f"{field}:"), value


@pytest.mark.parametrize("field", ["symbol", "side", "type", "quantity", "price"])
def test_what_is_missing(trader: Account, field: str) -> None:
    fields = {name: value for name, value in GOOD.items() if name != field}
    code, message = trader.refused("POST", "/trade/order", **fields)
    assert (code, message.startswith(f"{field}:")) == ("InvalidParameter", True)


def test_quantity_or_amount_but_not_both(trader: Account) -> None:
    code, message = trader.refused("POST", "/trade/order", **GOOD, amount="1000")
    assert code == "InvalidParameter"
    assert "exactly one of quantity and amount, got both" in message


@pytest.mark.parametrize(
    ("symbol", "field", "value"),
    [
        (PERPETUAL, "price", "40000.05"),
        (PERPETUAL, "price", "0.01"),
        (PERPETUAL, "quantity", "0.0000001"),
        (PERPETUAL, "quantity", "1.0000005"),
        (PERPETUAL, "maxSlippagePrice", "40000.01"),
        ("ETHUSDT.PERP", "price", "2500.001"),
        ("XRPUSDT.PERP", "quantity", "10.05"),
        (SPOT, "price", "40000.05"),
    ],
)
def test_what_is_off_the_tick_or_the_step(trader: Account, symbol: str, field: str, value: str) -> None:
    price = {"ETHUSDT.PERP": "2500", "XRPUSDT.PERP": "2"}.get(symbol, "40000")
    fields = {**GOOD, "symbol": symbol, "quantity": "10", "price": price, field: value}
    code, message = trader.refused("POST", "/trade/order", **fields)
    assert code == "InvalidParameter"
    assert message.startswith(f"{field}:")
    assert "multiple" in message


@pytest.mark.parametrize("price", ["40000.0", "40000.00000", "00040000"])
def test_useless_zeros_are_no_harm(trader: Account, price: str) -> None:
    assert trader.buy("1.000000000", price)["price"] == "40000.0"


def test_market_takes_no_price(trader: Account) -> None:
    code, message = trader.refused("POST", "/trade/order", **{**GOOD, "type": "MARKET"})
    assert (code, message.partition(":")[0]) == ("InvalidParameter", "price")


@pytest.mark.parametrize("symbol", ["NOSUCH", "BTCUSDT.PERPX", "btcusdt", "", "BTCUSDT.PERP\n", "X" * 5000])
def test_an_unknown_symbol(trader: Account, symbol: str) -> None:
    assert trader.refused("POST", "/trade/order", **{**GOOD, "symbol": symbol})[0] == "InvalidSymbol"


def test_unknown_fields_are_ignored_and_null_is_as_good_as_absent(trader: Account) -> None:
    optional = dict.fromkeys(("amount", "priceMatchStrategy", "reduceOnly", "maxSlippagePrice", "timeInForce"))
    order = trader.write("POST", "/trade/order", **GOOD, **optional, clientId="mine", nested={"a": [1, None]})["order"]
    assert (order["status"], order["timeInForce"]) == ("NEW", "GTC")


# 6.3: take-profit and stop-loss.


def amend(account: Account, order: dict[str, Any], **prices: str | None) -> dict[str, Any]:
    fields = {"symbol": order["symbol"], "orderId": order["orderId"], **prices}
    reply = account.write("PUT", "/trade/order", **fields)
    assert set(reply) == {"order"}
    shapes.check(reply["order"], shapes.ORDER)
    row: dict[str, Any] = reply["order"]
    return row


def test_exits_of_an_open_order(alice: Account) -> None:
    order = alice.buy("1", "40000")
    assert amend(alice, order, newTakeProfitPrice="45000")["takeProfitPrice"] == "45000.0"
    row = amend(alice, order, newStopLossPrice="39000", newTakeProfitPrice=None)
    # Null or absent leaves a price as it is.
    assert (row["takeProfitPrice"], row["stopLossPrice"]) == ("45000.0", "39000.0")
    assert amend(alice, order) == row
    assert alice.open_orders() == [row]
    assert [e["execType"] for e in alice.executions(order)] == ["NEW", "REPLACED", "REPLACED"]


@pytest.mark.parametrize(
    ("side", "field", "price"),
    [
        ("BUY", "newTakeProfitPrice", "39999.9"),
        ("BUY", "newStopLossPrice", "40000.1"),
        ("SELL", "newTakeProfitPrice", "40000.1"),
        ("SELL", "newStopLossPrice", "39999.9"),
        ("BUY", "newStopLossPrice", "40000"),
        ("BUY", "newTakeProfitPrice", "45000.005"),
        ("BUY", "newStopLossPrice", "-1"),
        ("BUY", "newStopLossPrice", "0"),
    ],
)
def test_exits_on_the_wrong_side(trader: Account, side: str, field: str, price: str) -> None:
    order = trader.place(side, "1", "40000", symbol="ETHUSDT.PERP")
    code, message = trader.refused(
        "PUT", "/trade/order", symbol=order["symbol"], orderId=order["orderId"], **{field: price}
    )
    assert code == "InvalidParameter"
    assert message.startswith(f"{field}:")


def test_exits_of_a_filled_order(alice: Account, bob: Account) -> None:
    bob.sell("1", "50000")
    order = alice.buy("1")
    row = amend(alice, order, newTakeProfitPrice="55000", newStopLossPrice="45000")
    assert (row["takeProfitPrice"], row["stopLossPrice"], row["status"]) == ("55000.0", "45000.0", "FILLED")
    # On it goes once the position is closed.
    bob.buy("1", "50000")
    alice.sell("1")
    assert (
        alice.refused("PUT", "/trade/order", symbol=PERPETUAL, orderId=order["orderId"], newTakeProfitPrice="56000")[0]
        == "OrderNotFound"
    )


# 6.4 and 6.5: open orders and cancelling.


def test_open_orders_are_an_array_by_symbol(alice: Account) -> None:
    first = alice.buy("1", "40000")
    second = alice.buy("1", "2000", symbol="ETHUSDT.PERP")
    third = alice.sell("1", "35000", type="STOP_MARKET")
    assert alice.get("/trade/order") == [first, second, third]
    assert alice.get(f"/trade/order?symbol={PERPETUAL}") == [first, third]
    assert alice.get("/trade/order?symbol=SOLUSDT.PERP") == []
    assert alice.refused("GET", "/trade/order?symbol=NOSUCH")[0] == "InvalidSymbol"


def test_open_orders_in_an_object_are_a_setting(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market", "--open-orders", "wrapped") as server:
        alice = server.account()
        order = alice.buy("1", "40000")
        assert alice.get("/trade/order") == {"orders": [order]}


def test_cancelling(alice: Account) -> None:
    for kind in ("LIMIT", "STOP_MARKET"):
        order = alice.buy("1", "40000", type=kind)
        assert alice.cancel(order) == {}
        assert alice.open_orders() == []
        past = alice.past(order)
        assert (past["status"], past["orderCancelReason"], past["leavesQty"]) == ("CANCELED", "USER_CANCELED", "1")
        # Once only.
        fields = {"symbol": order["symbol"], "orderId": order["orderId"]}
        assert alice.refused("DELETE", "/trade/order", **fields)[0] == "OrderNotFound"


def test_the_body_of_a_delete_is_signed(trader: Account) -> None:
    order = trader.buy("1", "40000")
    body = json.dumps({"symbol": order["symbol"], "orderId": order["orderId"]}).encode()
    signed_without = trader.headers("DELETE", "/api/v1/trade/order")
    assert trader.send("DELETE", "/trade/order", body, signed_without).status_code == 401
    assert trader.open_orders() == [order]
    # In the query it is no request at all.
    reply = trader.send("DELETE", f"/trade/order?symbol={order['symbol']}&orderId={order['orderId']}")
    assert reply.status_code == 400
    assert trader.send("DELETE", "/trade/order", body).json() == {}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    ("order_id", "code"),
    [
        (NO_ORDER, "OrderNotFound"),
        ("00000000-0000-0000-0000-000000000000", "OrderNotFound"),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", "OrderNotFound"),
        ("", "InvalidParameter"),
        ("1", "InvalidParameter"),
        ("nonsense", "InvalidParameter"),
        ("{01a20e3f-2f1c-7000-8000-00000000ffff}", "InvalidParameter"),
        (1, "InvalidParameter"),
        (None, "InvalidParameter"),
        ([NO_ORDER], "InvalidParameter"),
    ],
)
def test_an_order_that_is_not_there(trader: Account, method: str, order_id: object, code: str) -> None:
    found, message = trader.refused(method, "/trade/order", symbol=PERPETUAL, orderId=order_id)
    assert found == code
    assert code == "OrderNotFound" or message.startswith("orderId:")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_an_order_of_another_symbol_or_account(exchange: Server, alice: Account, bob: Account, method: str) -> None:
    order = alice.buy("1", "40000")
    fields: dict[str, object] = {"orderId": order["orderId"]}
    assert alice.refused(method, "/trade/order", symbol="ETHUSDT.PERP", **fields)[0] == "OrderNotFound"
    assert bob.refused(method, "/trade/order", symbol=PERPETUAL, **fields)[0] == "OrderNotFound"
    # The id is the whole text: no digit of it may be another.
    almost = f"{int(order['orderId'][:8], 16) ^ 1:08x}{order['orderId'][8:]}"
    assert alice.refused(method, "/trade/order", symbol=PERPETUAL, orderId=almost)[0] == "OrderNotFound"
    assert alice.open_orders() == [order]


def test_order_ids_are_different_and_sort_by_age(alice: Account) -> None:
    ids = [alice.buy("0.001", "40000")["orderId"] for _ in range(50)]
    assert ids == sorted(set(ids))


def test_orders_of_many_threads_are_all_there(exchange: Server) -> None:
    accounts = [exchange.account() for _ in range(4)]
    placed: list[str] = []

    def work(account: Account) -> None:
        placed.extend(account.buy("0.001", str(40_000 + number))["orderId"] for number in range(25))

    threads = [threading.Thread(target=work, args=(account,)) for account in accounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(placed)) == 100
    assert {order["orderId"] for account in accounts for order in account.open_orders()} == set(placed)


# 6.6: leverage and margin.


def test_leverage(alice: Account, bob: Account) -> None:
    row = alice.leverage(25, "ISOLATED")
    shapes.check(row, shapes.POSITION)
    assert (row["leverage"], row["marginType"], row["positionQty"]) == (25, "ISOLATED", "0")
    assert alice.position() == row
    bob.sell("1", "50000")
    alice.buy("1")
    row = alice.leverage(50, "ISOLATED")
    assert (row["leverage"], row["initialMargin"]) == (50, "1000")
    assert alice.past(last(alice))["initLeverage"] == 25


@pytest.mark.parametrize(
    ("symbol", "leverage", "code"),
    [
        (PERPETUAL, 100, None),
        (PERPETUAL, 101, "TooHighLeverage"),
        ("SOLUSDT.PERP", 50, None),
        ("SOLUSDT.PERP", 51, "TooHighLeverage"),
        (PERPETUAL, 10**9, "TooHighLeverage"),
        (PERPETUAL, 0, "InvalidParameter"),
        (PERPETUAL, -1, "InvalidParameter"),
        (PERPETUAL, 1.5, "InvalidParameter"),
        (PERPETUAL, "10", "InvalidParameter"),
        (PERPETUAL, None, "InvalidParameter"),
        (PERPETUAL, True, "InvalidParameter"),
        (PERPETUAL, [10], "InvalidParameter"),
        (PERPETUAL, 10**400, None),
        (SPOT, 5, "InvalidParameter"),
        ("NOSUCH", 5, "InvalidSymbol"),
    ],
)
def test_bounds_of_leverage(trader: Account, symbol: str, leverage: object, code: str | None) -> None:
    fields: dict[str, object] = {"symbol": symbol, "leverage": leverage, "marginType": "CROSS"}
    if code is None and leverage != 10**400:
        assert trader.write("POST", "/trade/leverage", **fields)["position"]["leverage"] == leverage
        return
    found, message = trader.refused("POST", "/trade/leverage", **fields)
    assert found == code or (code is None and found in ("TooHighLeverage", "InvalidParameter"))
    assert found == "InvalidSymbol" or message.partition(":")[0] in ("leverage", "symbol")
    assert trader.get("/account/position") == []


@pytest.mark.parametrize("margin_type", ["cross", "", None, 1, "BOTH"])
def test_another_margin_type(trader: Account, margin_type: object) -> None:
    code, message = trader.refused("POST", "/trade/leverage", symbol=PERPETUAL, leverage=5, marginType=margin_type)
    assert (code, message.partition(":")[0]) == ("InvalidParameter", "marginType")


def test_the_margin_type_is_fixed_while_something_is_open(alice: Account, bob: Account) -> None:
    order = alice.buy("1", "50000")
    change = {"symbol": PERPETUAL, "leverage": 10, "marginType": "ISOLATED"}
    assert alice.refused("POST", "/trade/leverage", **change)[0] == "OpenOrdersExist"
    bob.sell("1")
    assert alice.past(order)["status"] == "FILLED"
    assert alice.refused("POST", "/trade/leverage", **change)[0] == "OpenOrdersExist"
    alice.write("POST", "/trade/leverage", **{**change, "marginType": "CROSS", "leverage": 20})
    bob.buy("1", "50000")
    alice.sell("1")
    assert alice.write("POST", "/trade/leverage", **change)["position"]["marginType"] == "ISOLATED"


def test_leverage_moves_as_far_as_the_balance_carries_it(alice: Account, bob: Account) -> None:
    for _ in range(3):
        bob.sell("5", "50000")
        alice.leverage(20)
        alice.buy("5")
        bob.leverage(20)
    before = alice.everything()
    # 15 BTC at 50,000 and 5x would need 150,000.
    code, _ = alice.refused("POST", "/trade/leverage", symbol=PERPETUAL, leverage=5, marginType="CROSS")
    assert code == "InsufficientBalance"
    assert alice.everything() == before
    assert alice.leverage(10)["initialMargin"] == "75000"


@pytest.fixture
def isolated(alice: Account, bob: Account) -> Account:
    """Alice with an isolated long of 1 BTC at 50,000, 10x."""
    alice.leverage(10, "ISOLATED")
    bob.sell("1", "50000")
    alice.buy("1")
    return alice


def margin(account: Account, amount: str, kind: int) -> dict[str, Any]:
    reply = account.write("POST", "/trade/margin", symbol=PERPETUAL, amount=amount, type=kind)
    assert set(reply) == {"position"}
    shapes.check(reply["position"], shapes.POSITION)
    row: dict[str, Any] = reply["position"]
    return row


def test_margin_is_added_and_taken_out(isolated: Account) -> None:
    free = Decimal(isolated.get("/account")["availableBalance"])
    before = isolated.position()
    assert before is not None
    row = margin(isolated, "1000", 1)
    assert Decimal(row["liquidationPrice"]) == Decimal(before["liquidationPrice"]) - 1000
    assert Decimal(isolated.get("/account")["availableBalance"]) == free - 1000
    assert isolated.position() == row
    (held,) = isolated.get("/account/margin")["margins"]
    assert held["reservedForIsolatedMarginPosition"] == "6000"
    margin(isolated, "400.5", 2)
    assert Decimal(isolated.get("/account")["availableBalance"]) == free - Decimal("599.5")
    # No more than was added.
    assert isolated.refused("POST", "/trade/margin", symbol=PERPETUAL, amount="599.6", type=2)[0] == "InvalidMargin"
    margin(isolated, "599.5", 2)
    assert isolated.position() == before


def test_no_more_margin_than_there_is(isolated: Account) -> None:
    code, message = isolated.refused("POST", "/trade/margin", symbol=PERPETUAL, amount="1000000", type=1)
    assert (code, message.partition(":")[0]) == ("InsufficientBalance", "amount")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("amount", value) for value in NO_DECIMALS),
        *(("amount", value) for value in (None, "0.000000001")),
        *(("type", value) for value in (0, 3, -1, "1", None, True, 1.5, [1])),
        *(("symbol", value) for value in SHAPELESS),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_bad_margin_requests(trader: Account, field: str, value: object) -> None:
    fields = {"symbol": PERPETUAL, "amount": "1", "type": 1, field: value}
    code, message = trader.refused("POST", "/trade/margin", **fields)
    assert (code, message.partition(":")[0]) == ("InvalidParameter", field)


def test_margin_without_an_isolated_position(alice: Account, bob: Account) -> None:
    fields: dict[str, object] = {"amount": "1", "type": 1}
    assert alice.refused("POST", "/trade/margin", symbol=PERPETUAL, **fields)[0] == "PositionNotFound"
    assert alice.refused("POST", "/trade/margin", symbol=SPOT, **fields)[0] == "InvalidParameter"
    assert alice.refused("POST", "/trade/margin", symbol="NOSUCH", **fields)[0] == "InvalidSymbol"
    bob.sell("1", "50000")
    alice.buy("1")
    assert alice.refused("POST", "/trade/margin", symbol=PERPETUAL, **fields)[0] == "InvalidMargin"
