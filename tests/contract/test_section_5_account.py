"""Contract, section 5: the key's own account over REST."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.contract import shapes
from tests.contract.support import PERPETUAL, SPOT, Account, Server

ETHER = "ETHUSDT.PERP"


def money(row: dict[str, Any], *names: str) -> Any:
    return [Decimal(row[name]) for name in names]


# A new account.


def test_a_new_account(trader: Account) -> None:
    row = trader.get("/account")
    shapes.check(row, shapes.ACCOUNT)
    assert row == {
        "totalWalletBalance": "100000",
        "totalUnrealizedPnl": "0",
        "totalMarginBalance": "100000",
        "totalMarginReserved": "0",
        "availableBalance": "100000",
    }
    assert trader.get("/account/position") == trader.get("/trade/order") == []


def test_margin_of_a_new_account(trader: Account) -> None:
    reply = trader.get("/account/margin")
    assert set(reply) == {"margins"}
    (row,) = reply["margins"]
    shapes.check(row, shapes.MARGIN)
    assert row["currency"] == "USDT"
    assert row["crossMarginRatio"] is None
    assert row["marginBalance"] == row["crossMarginAvailable"] == row["isolatedMarginAvailable"] == "100000"
    assert trader.get("/account/margin?currency=USDT") == reply
    assert trader.refused("GET", "/account/margin?currency=BTC")[0] == "InvalidParameter"


def test_balances(quiet: Server, trader: Account) -> None:
    (row,) = trader.get("/account/balance")
    shapes.check(row, shapes.BALANCE)
    assert row == {
        "asset": "USDT", "balance": "100000", "availableBalance": "100000", "maxWithdrawableAmount": "100000",
    }  # fmt: skip
    quiet.control("POST", "deposit", {"account": trader.name, "asset": "ETH", "amount": "1.5"})
    assert [row["asset"] for row in trader.get("/account/balance")] == ["USDT", "ETH"]
    (row,) = trader.get("/account/balance?asset=ETH")
    assert row["balance"] == "1.5"
    # Known, and never held.
    (row,) = trader.get("/account/balance?asset=BTC")
    assert row == {"asset": "BTC", "balance": "0", "availableBalance": "0", "maxWithdrawableAmount": "0"}
    code, message = trader.refused("GET", "/account/balance?asset=NOSUCH")
    assert (code, "asset" in message) == ("InvalidParameter", True)


# A position.


@pytest.fixture
def held(alice: Account, bob: Account) -> Account:
    """Alice with a long of 1 BTC at 50,000 (10x, cross) that has lost 1,000; Bob is the other side."""
    bob.sell("1", "50000")
    alice.buy("1")
    bob.buy("0.001", "49000")
    alice.server.key("carol").sell("0.001")
    return alice


def test_the_account_with_a_position(held: Account) -> None:
    row = held.get("/account")
    shapes.check(row, shapes.ACCOUNT)
    assert row == {
        "totalWalletBalance": "99970",  # less the fee
        "totalUnrealizedPnl": "-1000",
        "totalMarginBalance": "98970",
        "totalMarginReserved": "5000",
        "availableBalance": "93970",
    }
    (margin,) = held.get("/account/margin")["margins"]
    shapes.check(margin, shapes.MARGIN)
    assert money(margin, "unrealizedPnl", "marginBalance", "initPositionMargin") == [-1000, 98970, 5000]
    assert money(margin, "initMarginReserved", "reservedForIsolatedMarginPosition") == [0, 0]
    # Maintenance margin on the mark, over the equity; against the trader in the last digit.
    assert Decimal(margin["crossMarginRatio"]) == Decimal("0.00247550")
    (balance,) = held.get("/account/balance")
    assert money(balance, "balance", "availableBalance", "maxWithdrawableAmount") == [99970, 93970, 93970]


def test_a_position(held: Account) -> None:
    (row,) = held.get("/account/position")
    shapes.check(row, shapes.POSITION)
    assert {name: row[name] for name in row if name not in ("breakEvenPrice", "liquidationPrice")} == {
        "symbol": PERPETUAL,
        "slot": 0,
        "leverage": 10,
        "marginType": "CROSS",
        "buyableBoosts": [],
        "boostRemainingCount": 0,
        "positionSide": "LONG",
        "positionAmount": "1",
        "positionQty": "1",
        "markPrice": "49000.0",
        "unrealizedPnl": "-1000",
        "initialMargin": "5000",
        "maintMargin": "245",
        "entryPrice": "50000",
        "totalFee": "30",
        "boostExpiryTimestamp": None,
        "boostRealizedPnl": None,
    }
    # Closing there at the taker's rate pays both fees: B (1 - 0.0006) = 50,030; against the trader in the last digit.
    assert row["breakEvenPrice"] == "50060.03603"
    # The loss of all of the wallet is beyond zero: nothing liquidates.
    assert row["liquidationPrice"] is None


def test_a_short_is_shown_without_a_sign(held: Account) -> None:
    bob = held.server.key("bob")
    row = bob.position()
    assert row is not None
    shapes.check(row, shapes.POSITION)
    # 1 sold, 0.001 bought back.
    assert (row["positionSide"], row["positionQty"], row["positionAmount"]) == ("SHORT", "0.999", "0.999")
    assert money(row, "unrealizedPnl", "entryPrice") == [999, 50000]
    assert Decimal(row["breakEvenPrice"]) < 50000
    assert Decimal(row["liquidationPrice"]) > 140_000


def test_positions_are_shown_where_there_is_one_or_a_setting(held: Account) -> None:
    held.leverage(25, "ISOLATED", ETHER)
    rows = held.get("/account/position")
    assert [row["symbol"] for row in rows] == [PERPETUAL, ETHER]
    setting = held.position(ETHER)
    assert setting is not None
    shapes.check(setting, shapes.POSITION)
    assert (setting["leverage"], setting["marginType"], setting["positionSide"]) == (25, "ISOLATED", None)
    assert setting["positionQty"] == setting["positionAmount"] == "0"
    assert setting["entryPrice"] is setting["liquidationPrice"] is setting["unrealizedPnl"] is None
    assert held.get("/account/position?symbol=SOLUSDT.PERP") == []


@pytest.mark.parametrize(
    ("symbol", "code"), [("NOSUCH", "InvalidSymbol"), ("", "InvalidSymbol"), (SPOT, "InvalidParameter")]
)
def test_positions_of_what_is_no_perpetual(trader: Account, symbol: str, code: str) -> None:
    assert trader.refused("GET", f"/account/position?symbol={symbol}")[0] == code


def test_the_entry_price_is_an_average_of_what_opened_it(alice: Account, bob: Account) -> None:
    bob.sell("0.5", "5000")
    bob.sell("0.3", "6000")
    alice.buy("0.8", "6000")
    row = alice.position()
    assert row is not None
    assert row["entryPrice"] == "5375"
    # Unchanged when a part is closed.
    bob.buy("0.4", "5500")
    alice.sell("0.4")
    row = alice.position()
    assert row is not None
    assert (row["entryPrice"], row["positionQty"]) == ("5375", "0.4")
    account = alice.get("/account")
    fees = Decimal("0.0006") * (2500 + 1800 + 2200)
    assert Decimal(account["totalWalletBalance"]) == 100_000 + 50 - fees


def test_an_isolated_position(alice: Account, bob: Account) -> None:
    # The example of the exchange: 1 BTC at 20,000, 50x, 0.5 % maintenance.
    alice.leverage(50, "ISOLATED")
    bob.sell("1", "20000")
    alice.buy("1")
    row = alice.position()
    assert row is not None
    shapes.check(row, shapes.POSITION)
    assert money(row, "initialMargin", "maintMargin", "liquidationPrice") == [400, 100, 19700]
    (margin,) = alice.get("/account/margin")["margins"]
    assert money(margin, "reservedForIsolatedMarginPosition", "initPositionMargin") == [400, 0]
    assert margin["crossMarginRatio"] is None


def test_open_orders_hold_margin(alice: Account) -> None:
    alice.buy("1", "50000")
    # 10x: a tenth, the fee at opening, and the fee at closing at the bankruptcy price of 45,000.
    reserve = 5000 + 30 + 27
    account = alice.get("/account")
    assert money(account, "totalMarginReserved", "availableBalance") == [reserve, 100_000 - reserve]
    (margin,) = alice.get("/account/margin")["margins"]
    assert money(margin, "initMarginReserved", "reservedForIsolatedMargin") == [reserve, 0]
    alice.cancel_all()
    assert alice.get("/account")["availableBalance"] == "100000"
    alice.leverage(10, "ISOLATED")
    alice.sell("1", "50000", type="STOP_MARKET")
    (margin,) = alice.get("/account/margin")["margins"]
    assert Decimal(margin["reservedForIsolatedMargin"]) == 5000 + 30 + 33
    assert Decimal(margin["initMarginReserved"]) == 0


def test_profits_count_as_available_but_not_as_withdrawable(alice: Account, bob: Account) -> None:
    bob.sell("1", "50000")
    alice.buy("1")
    bob.buy("0.001", "60000")
    alice.server.key("carol").sell("0.001", "60000")
    (row,) = alice.get("/account/balance")
    assert money(row, "balance", "availableBalance", "maxWithdrawableAmount") == [99970, 104970, 94970]


def test_size_in_quote_is_a_setting(tmp_path: Path) -> None:
    flags = ("--no-market", "--no-limits", "--position-amount", "quote")
    with Server(tmp_path / "data", *flags) as server:
        alice, bob = server.account(), server.account()
        bob.sell("2", "25000")
        alice.buy("2")
        row = alice.position()
        assert row is not None
        assert (row["positionQty"], row["positionAmount"]) == ("2", "50000")


# Trade mode.


def test_trade_mode(alice: Account) -> None:
    order = alice.buy("1", "40000")
    assert alice.write("PUT", "/account/trade-mode", tradeMode="MULTIPLE_POSITIONS") == {
        "tradeMode": "MULTIPLE_POSITIONS"
    }
    assert alice.not_placed("BUY", "1", "40000") == "InvalidTradeMode"
    assert alice.open_orders() == [order]
    alice.cancel(order)
    assert alice.write("PUT", "/account/trade-mode", tradeMode="ONE_WAY") == {"tradeMode": "ONE_WAY"}
    alice.buy("1", "40000")


@pytest.mark.parametrize("mode", ["one_way", "HEDGE", "", None, 1, ["ONE_WAY"]])
def test_another_trade_mode(trader: Account, mode: object) -> None:
    code, message = trader.refused("PUT", "/account/trade-mode", tradeMode=mode)
    assert (code, message.startswith("tradeMode: expected")) == ("InvalidParameter", True)
