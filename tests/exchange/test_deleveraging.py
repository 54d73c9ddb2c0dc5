"""The insurance fund unwinds what it took over as far as it can pay, then positions on the other side are closed."""

import random

from tests.exchange.test_liquidation import EXAMPLES, NO_FEES
from tests.exchange.world import BTC, BUY, ETH, SELL, World, amount_text, money

from tickwire.exchange import views
from tickwire.exchange.commands import (
    CancelAll,
    Command,
    CreateAccount,
    Deposit,
    PlaceOrder,
    SetLeverage,
    Tick,
    VenuePrices,
)
from tickwire.exchange.deleveraging import deleveraging_rank
from tickwire.exchange.state import INSURANCE
from tickwire.wire.intervals import SECOND


def liquidated_long(fund: str, mark: str, shorts: dict[str, str]) -> World:
    """Anna is long at 30,000 with 50x (bankrupt at 29,400) against ``shorts`` (quantities), and the mark falls."""
    world = World(*shorts, instruments=EXAMPLES, insurance_fund=money(fund), **NO_FEES)
    world.open("anna", "10000")
    world.mark("30000")
    world.leverage("anna", 50, isolated=True)
    for name, quantity in shorts.items():
        world.trade("30000", quantity, "anna", name)
    world.mark(mark)
    assert world.size("anna") == "0"
    return world


def test_a_fund_with_equity_keeps_what_the_book_does_not_take() -> None:
    world = liquidated_long("1000", "29000", {"boris": "1"})
    assert (world.size(INSURANCE), world.size("boris")) == ("1", "-1")
    world.wait()
    assert world.size(INSURANCE) == "1", "equity of 600: 1,000 less 400 at the mark"


def test_a_fund_without_equity_is_relieved_at_the_bankruptcy_price() -> None:
    world = liquidated_long("300", "29000", {"boris": "1"})
    assert world.size(INSURANCE) == "1", "taken over on the way, at a mark of 29,500"
    world.wait()
    assert (world.size(INSURANCE), world.size("boris")) == ("0", "0")
    assert world.wallet(INSURANCE) == "300", "it neither gains nor loses"
    assert world.wallet("boris") == "1000600", "closed at 29,400"
    assert world.wallet("anna") == "9400"


def test_the_book_is_used_only_as_far_as_the_fund_can_pay() -> None:
    world = World("boris", "carla", instruments=EXAMPLES, insurance_fund=money("100"), **NO_FEES)
    world.open("anna", "10000")
    world.mark("30000")
    world.leverage("anna", 50, isolated=True)
    world.trade("30000", "1", "anna", "boris")
    world.buy("carla", "1", "29350")
    world.buy("carla", "1", "29290")
    world.mark("29360")  # of the house, above carla's bids; the mark is under the threshold of 29,700
    assert world.size("carla") == "1", "0.05 of the fund's 0.1 a unit"
    assert world.wallet(INSURANCE) == "50"
    assert world.size(INSURANCE) == "0"


def test_who_is_closed_first() -> None:
    """Profit over entry times effective leverage: of two equal shorts, that of the smaller account."""
    world = World("boris", "eddy", instruments=EXAMPLES, insurance_fund=money("1"), **NO_FEES)
    world.open("anna", "10000")
    world.open("carla", "2000")
    world.mark("30000")
    world.leverage("anna", 50, isolated=True)
    world.leverage("carla", 50)
    world.trade("30000", "0.5", "anna", "boris")
    world.trade("30000", "0.5", "eddy", "carla")
    engine = world.engine

    def ranks() -> dict[str, int]:
        return {
            name: deleveraging_rank(engine, world.account(name), world.position(name)) for name in ("boris", "carla")
        }

    assert ranks() == {"boris": 0, "carla": 0}, "no profit yet"
    world.venues("29900")
    assert ranks()["carla"] > ranks()["boris"] > 0
    world.mark("29000")
    world.wait()
    assert world.size("anna") == world.size(INSURANCE) == world.size("carla") == "0"
    assert world.size("boris") == "-0.5"


def test_the_trader_sees_a_filled_order_with_its_reason() -> None:
    world = liquidated_long("300", "29000", {"boris": "1"})
    events = world.wait()
    seen = [(e.account, e.execution.exec_type, e.order and e.order.order_cancel_reason) for e in events.executions]
    assert seen == [("boris", "TRADE", "DELEVERAGING")]
    assert events.executions[0].execution.last_price == "29400.0"


def test_a_crash_of_forty_percent_with_a_thousand_levered_accounts() -> None:
    """Long and short, cross and isolated: nobody ends below zero, and no unit of money is made or lost."""
    world = World(insurance_fund=money("20000"))
    engine = world.engine
    random_ = random.Random(7)
    time = world.time
    ended: dict[str, set[str]] = {"LIQUIDATION": set(), "DELEVERAGING": set()}
    names = [f"trader{number:04}" for number in range(1_000)]

    def apply(*commands: Command) -> None:
        nonlocal time
        for command in commands:
            time += 1_000
            for event in engine.apply(time, command).executions:
                reason = event.order.order_cancel_reason if event.order else None
                if reason in ended and event.execution.exec_type == "TRADE":
                    ended[reason].add(event.account)

    for name in ("dealer", "seller", *names):
        amount = money("1000000000") if not name.startswith("trader") else random_.randrange(100, 3_000) * money("1")
        apply(CreateAccount(name), Deposit(name, "USDT", amount))
    prices = {BTC: 749_370, ETH: 251_840}
    for symbol, price in prices.items():
        apply(VenuePrices(symbol, (price,) * 5))
        for step in range(40):
            for side in (BUY, SELL):
                apply(PlaceOrder("dealer", symbol, side, 1, quantity=2_000_000, price=price - side * step * 20))
    for name in names:
        symbol = random_.choice((BTC, BTC, BTC, ETH))
        apply(SetLeverage(name, symbol, random_.choice((5, 10, 25, 50, 100)), random_.random() < 0.5))
        amount = random_.randrange(500, 20_000) * money("1")
        apply(PlaceOrder(name, symbol, random_.choice((BUY, BUY, SELL)), 2, amount=amount))
        if random_.random() < 0.2:
            apply(PlaceOrder(name, ETH, random_.choice((BUY, SELL)), 2, amount=amount // 4))
    holders = {symbol: len(engine.markets[symbol].holders) for symbol in prices}
    assert holders[BTC] > 500

    def money_of_all() -> int:
        total = sum(account.wallets.get("USDT", 0) for account in engine.accounts.values())
        total += sum(account.unrealized_pnl() for account in engine.accounts.values())
        return total + engine.fees["USDT"]

    assert money_of_all() == engine.deposits["USDT"]
    for step in range(1, 41):
        for symbol, price in prices.items():
            # The dealer goes with the fall and leaves little in the book.
            now = price * (100 - step) // 100
            time += SECOND
            apply(CancelAll("dealer", symbol), VenuePrices(symbol, (now,) * 5))
            for side in (BUY, SELL):
                apply(PlaceOrder("dealer", symbol, side, 1, quantity=50_000, price=now - side * 20))
            for command in (PlaceOrder("seller", symbol, SELL, 2, amount=money("10")), Tick()):
                apply(command)
                assert money_of_all() == engine.deposits["USDT"]
    assert len(ended["LIQUIDATION"]) > 200
    assert ended["DELEVERAGING"], "the fund of 20,000 was enough"
    for name in names:
        assert engine.accounts[name].wallets["USDT"] >= 0, name
        assert not views.account(engine, name).total_margin_balance.startswith("-"), name
    assert engine.insurance.wallets["USDT"] >= 0, amount_text(engine.insurance.wallets["USDT"])
    for symbol in prices:
        positions = [account.positions[symbol].quantity for account in engine.markets[symbol].holders.values()]
        assert sum(positions) == 0
