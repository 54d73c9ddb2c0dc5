"""Every rounding of a fill is against the trader, and no unit of money is made or lost by it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.world import BTC, DEFAULT_INSTRUMENTS, World, amount_text, money

from tickwire.exchange.instruments import load_instruments

# One tick by one step is the smallest unit of money, so a cost divides into parts as badly as it can.
FINE = load_instruments(
    DEFAULT_INSTRUMENTS.replace('tick_size = "0.1"\nstep = "0.000001"', 'tick_size = "0.01"\nstep = "0.000001"')
)


@pytest.mark.parametrize("side", [1, -1])
def test_a_part_that_is_closed_takes_the_cost_that_makes_its_profit_smaller(side: int) -> None:
    world = World("anna", "boris", instruments=FINE, maker_fee_rate=0, taker_fee_rate=0)

    def trade(price: str, quantity: str, opening: bool) -> None:
        buys = (side > 0) == opening
        world.trade(price, quantity, *(("anna", "boris") if buys else ("boris", "anna")))

    trade("10000", "0.001", True)
    trade("10000.01", "0.000999", True)
    position = world.position("anna")
    cost = abs(position.cost)
    trade("10000", "0.001", False)
    exact = (money("10") - cost * 1000 / 1999) * side  # what is realised without rounding
    realised = world.account("anna").wallets["USDT"] - money("1000000")
    assert exact - 1 < realised <= exact
    assert abs(position.cost) == cost - (money("10") - side * realised)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3_000), st.integers(999_000, 1_001_000), st.booleans()), min_size=2, max_size=8)
)
def test_wallet_and_cost_together_carry_exactly_what_was_paid(trades: list[tuple[int, int, bool]]) -> None:
    world = World("anna", "boris", instruments=FINE, maker_fee_rate=0, taker_fee_rate=0)
    instrument = FINE[BTC]
    cash = 0
    held = 0
    for quantity, price, buys in trades:
        names = ("anna", "boris") if buys else ("boris", "anna")
        world.trade(instrument.price_text(price), instrument.quantity_text(quantity + 100), *names)
        change = (quantity + 100) * (1 if buys else -1)
        cash -= change * price * instrument.multiplier
        held += change
        position = world.position("anna")
        assert position.quantity == held
        assert world.account("anna").wallets["USDT"] - position.cost == money("1000000") + cash


def test_a_turn_splits_the_fill_at_its_price() -> None:
    world = World("anna", "boris")
    world.trade("50000", "1", "anna", "boris")
    world.trade("51000", "3", "boris", "anna")
    position = world.position("anna")
    assert (position.quantity, amount_text(position.cost)) == (-2_000_000, "-102000")
    # 1,000 of profit, less the maker's 10 and the taker's 91.8.
    assert world.wallet("anna") == "1000898.2"
    assert amount_text(position.fees_paid) == "61.2"
    assert position.funding_paid == 0


def test_fees_of_a_position_go_with_the_part_that_is_closed() -> None:
    world = World("anna", "boris")
    world.trade("50000", "1", "anna", "boris")
    assert amount_text(world.position("anna").fees_paid) == "10"
    world.trade("50000", "0.25", "boris", "anna")
    assert amount_text(world.position("anna").fees_paid) == "7.5"


def test_only_the_newest_orders_that_opened_a_position_are_remembered() -> None:
    world = World("anna", "boris")
    world.sell("boris", "5", "50000")
    for _ in range(120):
        world.engine.apply(world.time, world.command("anna", 1, "0.001", "50000"))
    opened_by = world.position("anna").opened_by
    assert len(opened_by) == 100
    assert max(opened_by) == world.engine.next_order_id - 1
