import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.world import BTC, START, World, amount_text, money

from tickwire.exchange import views
from tickwire.exchange.commands import CreateAccount, Deposit, OrderType, PlaceOrder, SetLeverage, VenuePrices
from tickwire.exchange.funding import pay_funding
from tickwire.wire.intervals import HOUR, MINUTE, SECOND

NO_FEES = {"maker_fee_rate": 0, "taker_fee_rate": 0}


@pytest.fixture
def world() -> World:
    """Anna is long 10, Boris short 10, the mark is 38,000."""
    world = World("anna", "boris", **NO_FEES)
    world.mark("38000")
    world.trade("38000", "10", "anna", "boris")
    return world


def paid(world: World, account: str) -> str:
    return amount_text(world.position(account).funding_paid)


def test_example_5_a_long_pays_the_rate_on_its_mark_value(world: World) -> None:
    assert world.market().prices.funding_rate == 10_000
    assert world.market().prices.next_funding == START + 8 * HOUR
    world.wait(8 * HOUR - 1)
    assert paid(world, "anna") == "0"
    events = world.wait(1)
    assert (paid(world, "anna"), paid(world, "boris")) == ("38", "-38")
    assert (world.wallet("anna"), world.wallet("boris")) == ("999962", "1000038")
    rows = {e.account: e.execution for e in events.executions}
    assert (rows["anna"].exec_type, rows["anna"].exec_fee, rows["anna"].last_price, rows["anna"].last_qty) == (
        "FUNDING",
        "38",
        "38000.0",
        "10",
    )
    assert rows["boris"].exec_fee == "-38"
    assert rows["boris"].order_id is None
    assert world.market().prices.next_funding == START + 16 * HOUR
    assert views.funding_infos(world.engine, BTC)[0].last_funding_rate == "0.0001"


def test_it_is_paid_once(world: World) -> None:
    world.wait(8 * HOUR)
    for _ in range(3):
        world.wait()
    assert paid(world, "anna") == "38"
    world.wait(8 * HOUR - 4 * SECOND)
    assert paid(world, "anna") == "38"
    world.wait()
    assert paid(world, "anna") == "76"


def test_a_negative_rate_goes_from_shorts_to_longs(world: World) -> None:
    world.market().prices.funding_rate = -20_000
    pay_funding(world.engine, world.market())
    assert (paid(world, "anna"), paid(world, "boris")) == ("-76", "76")


def test_a_closed_position_pays_nothing(world: World) -> None:
    world.trade("38000", "10", "boris", "anna")
    wallet = world.wallet("anna")
    world.wait(8 * HOUR)
    assert world.wallet("anna") == wallet


def test_an_isolated_position_pays_from_its_margin() -> None:
    world = World("anna", "boris", **NO_FEES)
    world.mark("38000")
    world.leverage("anna", 10, isolated=True)
    world.trade("38000", "10", "anna", "boris")
    free, before = world.free("anna"), views.position(world.engine, "anna", BTC)
    world.wait(8 * HOUR)
    assert world.position("anna").isolated_margin == money("37962")
    assert world.free("anna") == free
    after = views.position(world.engine, "anna", BTC)
    assert (before.liquidation_price, after.liquidation_price) == ("34390.0", "34393.8")
    assert after.break_even_price == "38003.8"


def test_funding_may_liquidate(world: World) -> None:
    world.open("carl", "400")
    world.leverage("carl", 100, isolated=True)
    world.trade("38000", "1", "carl", "boris")
    world.mark("37811")  # 380 - 189 are left, 1 above the maintenance margin; funding takes 3.78
    assert world.size("carl") == "1"
    world.wait(8 * HOUR)
    assert world.size("carl") == "0"


def test_the_premium_is_sampled_each_minute_against_the_impact_prices() -> None:
    world = World("anna", **NO_FEES)
    world.venues("50000")
    assert world.market().prices.premium_count == 0
    world.wait(MINUTE)
    assert world.market().prices.premium_count == 1
    assert world.market().prices.funding_rate == 10_000
    # 20,000 of impact: 0.2 at 50,200 and the rest at 50,100.
    world.buy("anna", "0.2", "50200")
    world.buy("anna", "5", "50100")
    world.wait(MINUTE)
    impact = (money("10040") + money("9960")) / (0.2 + 9_960 / 50_100)  # what the samples are close to
    premium = impact / money("1") / 50_000 - 1
    expected = (0 * 1 + premium * 2) / 3 - 0.0005
    assert world.market().prices.funding_rate == pytest.approx(expected * 10**8, abs=2)
    # One sample a minute.
    world.wait(MINUTE - SECOND)
    assert world.market().prices.premium_count == 2
    world.wait()
    assert world.market().prices.premium_count == 3


positions = st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=2, max_size=7)


@settings(max_examples=30, deadline=None)
@given(positions, st.sampled_from([10_000, -375_000, 375_000, 1, -3]), st.integers(300_001, 600_000))
def test_payments_sum_to_zero_whatever_the_sizes(sizes: list[tuple[int, bool]], rate: int, price: int) -> None:
    world = World()
    engine = world.engine
    engine.apply(world.time, VenuePrices(BTC, (price,)))
    for number, (size, isolated) in enumerate(sizes):
        names = f"long {number}", f"short {number}"
        for name, side in zip(names, (1, -1), strict=True):
            engine.apply(world.time, CreateAccount(name))
            engine.apply(world.time, Deposit(name, "USDT", money("1000000")))
            engine.apply(world.time, SetLeverage(name, BTC, 5, isolated))
            # Neighbours trade with each other, so positions of different sizes meet.
            engine.apply(world.time, PlaceOrder(name, BTC, side, OrderType.LIMIT, size * 10_007 + number, price=price))
    before = {name: account.wallets.get("USDT", 0) for name, account in engine.accounts.items()}
    engine.events.executions.clear()
    market = engine.markets[BTC]
    market.prices.funding_rate = rate
    pay_funding(engine, market)
    changes = {name: account.wallets.get("USDT", 0) - before[name] for name, account in engine.accounts.items()}
    assert sum(changes.values()) == 0
    for name, change in changes.items():
        if name == "insurance":
            continue
        position = engine.accounts[name].positions[BTC]
        exact = -position.quantity * price * market.multiplier * rate / 10**8
        assert change == pytest.approx(exact, abs=len(sizes) + 2)
        assert position.funding_paid == -change
        pays = position.quantity * rate > 0
        assert change < 0 if pays else change > 0
