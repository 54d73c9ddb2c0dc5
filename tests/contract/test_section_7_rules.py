"""Contract, section 7: trading rules, between two accounts that trade only with each other."""

from decimal import Decimal

import pytest
from tests.contract.support import PERPETUAL, SPOT, Account, Server


@pytest.fixture
def long(alice: Account, bob: Account) -> Account:
    """Alice with a long of 1 BTC at 50,000, against Bob's short."""
    bob.sell("1", "50000")
    alice.buy("1")
    return alice


def size(account: Account) -> Decimal:
    """The signed position."""
    row = account.position()
    if row is None or row["positionSide"] is None:
        return Decimal(0)
    return Decimal(row["positionQty"]) * (1 if row["positionSide"] == "LONG" else -1)


def wallet(account: Account) -> Decimal:
    return Decimal(account.get("/account")["totalWalletBalance"])


def balances(account: Account) -> dict[str, tuple[Decimal, Decimal]]:
    """(balance, available) by asset."""
    rows = account.get("/account/balance")
    return {row["asset"]: (Decimal(row["balance"]), Decimal(row["availableBalance"])) for row in rows}


# One net position a symbol.


def test_a_sell_against_a_long_reduces_it(long: Account, bob: Account) -> None:
    bob.buy("0.4", "51000")
    before = wallet(long)
    long.sell("0.4")
    assert (size(long), size(bob)) == (Decimal("0.6"), Decimal("-0.6"))
    # 0.4 times 1,000 gained, less the fee.
    assert wallet(long) - before == 400 - Decimal("0.0006") * 20_400


def test_a_sell_against_a_long_may_flip_it(long: Account, bob: Account) -> None:
    bob.buy("2.5", "51000")
    long.sell("2.5")
    assert (size(long), size(bob)) == (Decimal("-1.5"), Decimal("1.5"))
    row = long.position()
    assert row is not None
    # What is left was opened at the price of the flip, and has paid its part of the fee.
    assert row["entryPrice"] == "51000"
    assert Decimal(row["totalFee"]) == Decimal("0.0006") * 51_000 * Decimal("1.5")


def test_what_one_gains_the_other_loses(long: Account, bob: Account) -> None:
    for side, quantity, price in (
        ("SELL", "0.3", "50500"),
        ("BUY", "0.7", "49800"),
        ("SELL", "2", "49000"),
        ("BUY", "0.6", "50100.1"),
    ):
        bob.place("BUY" if side == "SELL" else "SELL", quantity, price)
        long.place(side, quantity, price)
    assert size(long) + size(bob) == 0
    fees = sum(
        Decimal(row["execFee"])
        for account in (long, bob)
        for row in account.get("/trade/execution/history?execType=TRADE&count=1000")["history"]
    )
    equity = sum(Decimal(account.get("/account")["totalMarginBalance"]) for account in (long, bob))
    assert equity + fees == 200_000


# Reduce-only.


def test_reduce_only_needs_a_position_of_the_other_side(long: Account, bob: Account) -> None:
    carol = long.server.key("carol")
    assert carol.not_placed("BUY", "1", "50000", reduceOnly=True) == "ReduceOnlyRejected"
    assert long.not_placed("BUY", "1", "50000", reduceOnly=True) == "ReduceOnlyRejected"
    assert bob.not_placed("SELL", "1", "50000", reduceOnly=True) == "ReduceOnlyRejected"
    assert long.not_placed("SELL", "1", "50000", symbol=SPOT, reduceOnly=True) == "InvalidParameter"


def test_reduce_only_never_flips(long: Account, bob: Account) -> None:
    bob.buy("5", "50000")
    order = long.past(long.sell("3", reduceOnly=True))
    assert (order["cumQty"], order["status"], order["orderCancelReason"]) == ("1", "CANCELED", "REDUCE_ONLY")
    assert size(long) == 0


def test_a_resting_reduce_only_order_never_flips(long: Account, bob: Account) -> None:
    order = long.sell("3", "52000", reduceOnly=True)
    assert order["status"] == "NEW"
    # It holds no margin.
    assert long.get("/account")["totalMarginReserved"] == "5000"
    bob.buy("2", "52000")
    assert size(long) == 0
    past = long.past(order)
    assert (past["cumQty"], past["status"], past["orderCancelReason"]) == ("1", "CANCELED", "REDUCE_ONLY")


def test_reduce_only_orders_end_with_the_position(long: Account, bob: Account) -> None:
    orders = [long.sell("0.5", "60000", reduceOnly=True), long.sell("1", "40000", type="STOP_MARKET", reduceOnly=True)]
    bob.buy("1", "50000")
    long.sell("1")
    assert [long.past(order)["orderCancelReason"] for order in orders] == ["REDUCE_ONLY", "REDUCE_ONLY"]
    assert long.open_orders() == []


def test_reduce_only_fok_is_measured_by_the_position(long: Account, bob: Account) -> None:
    bob.buy("5", "50000")
    assert long.sell("2", "50000", reduceOnly=True, timeInForce="FOK")["status"] == "CANCELED"
    assert long.sell("1", "50000", reduceOnly=True, timeInForce="FOK")["status"] == "FILLED"


# Triggers, on the mid price.


def quote(account: Account, bid: str, ask: str) -> None:
    """Make a market: a new bid and ask of 5 BTC in place of the old ones."""
    account.cancel_all()
    account.buy("5", bid)
    account.sell("5", ask)


@pytest.fixture
def maker(exchange: Server) -> Account:
    """Someone with enough money to quote."""
    account = exchange.key("maker")
    exchange.control("POST", "deposit", {"account": "maker", "asset": "USDT", "amount": "10000000"})
    return account


@pytest.mark.parametrize(("side", "trigger", "sign"), [("BUY", "50500", 1), ("SELL", "49500", -1)])
def test_stops_fire_on_the_mid_price(
    alice: Account, bob: Account, maker: Account, side: str, trigger: str, sign: int
) -> None:
    quote(maker, "49999", "50001")
    order = alice.place(side, "1", trigger, type="STOP_MARKET")
    # The last price is beyond the trigger, and one side of the book; the mid is not.
    extreme = 50_000 + sign * 999
    quote(maker, str(min(50_000, extreme)), str(max(50_000, extreme)))
    assert alice.open_orders() == [order]
    # Now the mid is there: 50,500 or 49,500.
    extreme += sign
    quote(maker, str(min(50_000, extreme)), str(max(50_000, extreme)))
    assert alice.open_orders() == []
    past = alice.past(order)
    assert (past["status"], past["orderType"], past["triggerPrice"]) == ("FILLED", "STOP_MARKET", f"{trigger}.0")
    assert Decimal(past["avgPrice"]) == extreme
    assert [row["execType"] for row in alice.executions(order)] == ["NEW", "TRIGGERED", "TRADE"]


def test_a_stop_whose_price_is_reached_already_fires_at_once(alice: Account, maker: Account) -> None:
    quote(maker, "49999", "50001")
    order = alice.buy("1", "49000", type="STOP_MARKET")
    assert alice.past(order)["status"] == "FILLED"
    assert size(alice) == 1


@pytest.mark.parametrize(
    ("bid", "ask", "kind", "price"),
    [("55000", "55002", "ORDER_TP", "55000"), ("44998", "45000", "ORDER_SL", "44998")],
)
def test_exits_set_on_an_open_order(alice: Account, maker: Account, bid: str, ask: str, kind: str, price: str) -> None:
    order = alice.buy("1", "50000")
    fields = {"symbol": PERPETUAL, "orderId": order["orderId"]}
    alice.write("PUT", "/trade/order", **fields, newTakeProfitPrice="55001", newStopLossPrice="44999")
    # Nothing is filled yet, so there is nothing to leave.
    quote(maker, "55000", "55002")
    assert size(alice) == 0
    quote(maker, "49999", "50001")
    maker.sell("1", "50000")
    assert size(alice) == 1
    quote(maker, bid, ask)
    assert size(alice) == 0
    closing = alice.get("/trade/order/history")["history"][0]
    assert (closing["conditionalOrderType"], closing["side"], closing["orderType"]) == (kind, "SELL", "MARKET")
    assert (closing["status"], closing["avgPrice"]) == ("FILLED", price)
    # The other one is gone with it.
    quote(maker, "44998", "45000")
    quote(maker, "55000", "55002")
    assert size(alice) == 0


@pytest.mark.parametrize(("bid", "ask", "kind"), [("55000", "55002", "POSITION_TP"), ("44998", "45000", "POSITION_SL")])
def test_exits_set_on_a_filled_order_are_the_positions(
    alice: Account, maker: Account, bid: str, ask: str, kind: str
) -> None:
    quote(maker, "49999", "50001")
    order = alice.buy("1")
    alice.buy("0.5")
    fields = {"symbol": PERPETUAL, "orderId": order["orderId"]}
    alice.write("PUT", "/trade/order", **fields, newTakeProfitPrice="55001", newStopLossPrice="44999")
    quote(maker, bid, ask)
    # All of the position, not just what that order bought.
    assert size(alice) == 0
    closing = alice.get("/trade/order/history")["history"][0]
    assert (closing["conditionalOrderType"], closing["cumQty"]) == (kind, "1.5")


def test_exits_of_a_short(alice: Account, maker: Account) -> None:
    quote(maker, "49999", "50001")
    order = alice.sell("1")
    fields = {"symbol": PERPETUAL, "orderId": order["orderId"]}
    alice.write("PUT", "/trade/order", **fields, newTakeProfitPrice="45000", newStopLossPrice="55000")
    quote(maker, "44998", "45002")
    assert size(alice) == 0
    assert alice.get("/trade/order/history")["history"][0]["conditionalOrderType"] == "POSITION_TP"


# Slippage.


@pytest.mark.parametrize(("closing", "last_filled"), [(False, "50125"), (True, "50250")])
def test_market_orders_stop_at_the_maximum_slippage(
    alice: Account, bob: Account, maker: Account, closing: bool, last_filled: str
) -> None:
    # A quarter of a percent from the best price for BTC, doubled when closing.
    if closing:
        quote(maker, "50000", "60000")
        alice.sell("1")
    maker.cancel_all()
    for price in ("50000", "50125", "50125.1", "50250", "50250.1"):
        maker.sell("0.1", price)
    order = alice.past(alice.buy("1"))
    assert (order["status"], order["orderCancelReason"]) == ("CANCELED", "MAX_SLIPPAGE")
    trades = [row for row in alice.executions(order) if row["execType"] == "TRADE"]
    assert Decimal(trades[-1]["lastPrice"]) == Decimal(last_filled)


def test_triggered_orders_stop_there_too(alice: Account, maker: Account) -> None:
    maker.sell("0.1", "50000")
    maker.sell("0.1", "50125.1")
    maker.buy("1", "49990")
    order = alice.past(alice.buy("0.2", "49000", type="STOP_MARKET"))
    assert (order["cumQty"], order["orderCancelReason"]) == ("0.1", "MAX_SLIPPAGE")


# Self-trade prevention.


def test_two_orders_of_one_account_never_trade(alice: Account, bob: Account) -> None:
    mine = alice.sell("1", "50000")
    theirs = bob.sell("1", "50000")
    order = alice.buy("1", "50000")
    past = alice.past(mine)
    assert (past["status"], past["orderCancelReason"], past["cumQty"]) == ("CANCELED", "SELF_TRADE_PREVENTION", "0")
    assert order["status"] == "FILLED"
    assert bob.past(theirs)["status"] == "FILLED"


# Reserves.


def test_open_orders_reserve_margin_until_they_do_not(alice: Account, bob: Account) -> None:
    assert alice.not_placed("BUY", "19.8", "50000") == "InsufficientBalance"
    order = alice.buy("19", "50000")
    assert alice.not_placed("BUY", "1", "50000") == "InsufficientBalance"
    stop = alice.buy("0.7", "50000", type="STOP_MARKET")
    assert alice.not_placed("BUY", "0.1", "50000") == "InsufficientBalance"
    alice.cancel(stop)
    alice.cancel(order)
    alice.buy("19", "50000")


def test_an_order_that_reduces_reserves_nothing(long: Account) -> None:
    before = long.get("/account")
    long.sell("1", "60000")
    assert long.get("/account") == before
    long.sell("1", "60000")
    assert Decimal(long.get("/account")["totalMarginReserved"]) > Decimal(before["totalMarginReserved"])


# Spot.


def test_spot_moves_both_assets(exchange: Server, alice: Account, bob: Account) -> None:
    exchange.control("POST", "deposit", {"account": "bob", "asset": "BTC", "amount": "2"})
    assert bob.not_placed("SELL", "2.1", "40000", symbol=SPOT) == "InsufficientBalance"
    assert alice.not_placed("SELL", "0.1", "40000", symbol=SPOT) == "InsufficientBalance"
    assert alice.not_placed("BUY", "2.5", "40000", symbol=SPOT) == "InsufficientBalance"

    bid = alice.buy("1", "39000", symbol=SPOT)
    # The price and the taker's fee, all of it: there is no leverage.
    assert balances(alice) == {"USDT": (Decimal(100_000), 100_000 - 39_000 - Decimal("23.4"))}
    alice.cancel(bid)
    bob.sell("1.5", "40000", symbol=SPOT)
    assert balances(bob)["BTC"] == (2, Decimal("0.5"))
    alice.buy("1", "40000", symbol=SPOT)
    assert balances(alice) == {"USDT": (Decimal(59_976), Decimal(59_976)), "BTC": (1, 1)}
    assert balances(bob) == {"USDT": (Decimal(139_992), Decimal(139_992)), "BTC": (1, Decimal("0.5"))}
    assert alice.get("/account/position") == []

    # And back.
    bob.cancel_all()
    bob.buy("1", "41000", symbol=SPOT)
    alice.sell("1", symbol=SPOT)
    assert balances(alice)["BTC"] == (0, 0)
    assert balances(alice)["USDT"][0] == Decimal(59_976) + 41_000 - Decimal("24.6")


def test_a_spot_market_order_by_amount(exchange: Server, alice: Account, bob: Account) -> None:
    exchange.control("POST", "deposit", {"account": "bob", "asset": "ETH", "amount": "10"})
    bob.sell("10", "2500", symbol="ETHUSDT")
    order = alice.buy(symbol="ETHUSDT", amount="1000")
    assert (order["status"], order["quantity"]) == ("FILLED", "0.4")
    assert balances(alice)["ETH"][0] == Decimal("0.4")


def test_spot_stops(exchange: Server, alice: Account, bob: Account) -> None:
    exchange.control("POST", "deposit", {"account": "alice", "asset": "BTC", "amount": "1"})
    bob.buy("1", "39000", symbol=SPOT)
    order = alice.sell("1", "39000", type="STOP_MARKET", symbol=SPOT)
    assert balances(alice)["BTC"] == (1, 0)
    exchange.control("POST", "deposit", {"account": "bob", "asset": "BTC", "amount": "1"})
    # Without an ask there is no mid price; with one at 39,000.2 it is 39,000.1, then 39,000.
    bob.sell("0.5", "39000.2", symbol=SPOT)
    assert alice.open_orders() == [order]
    bob.cancel_all()
    bob.buy("1", "38999.8", symbol=SPOT)
    bob.sell("0.5", "39000.2", symbol=SPOT)
    assert alice.past(order)["status"] == "FILLED"
    assert balances(alice)["BTC"] == (0, 0)
