"""Alarms: whoever could be liquidated is looked at in time, and hardly anybody else."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.world import World

from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.alarms import SWEEP_AT, AlarmQueue
from tickwire.exchange.instruments import MONEY_UNIT
from tickwire.exchange.margin import maintenance_margin

SYMBOL = "BTCUSDT.PERP"


def holding(world: World, quantity: int) -> tuple[Account, Position]:
    """A position of its own making, outside the engine."""
    position = Position(world.engine.markets[SYMBOL], 10)
    position.quantity = quantity
    return Account("alice", house=False), position


@given(
    quantity=st.integers(1, 10**9) | st.integers(-(10**9), -1),
    price=st.integers(1_000, 10**7),
    slack=st.integers(1, 10**17),
    step=st.integers(0, 10**6),
)
@settings(max_examples=300, deadline=None)
def test_no_price_before_the_alarm_uses_up_the_slack(quantity: int, price: int, slack: int, step: int) -> None:
    account, position = holding(World(), quantity)
    market = position.market
    queue = AlarmQueue()
    queue.watch(account, position, price, slack)
    assert position.alarm_price is not None
    side = 1 if quantity > 0 else -1
    silent = position.alarm_price + side * (1 + step)
    if (silent - price) * side > 0:
        return  # better than where it began
    assert queue.due(silent) == []
    rate = market.instrument.maint_margin_rate
    loss = quantity * (price - silent) * market.multiplier
    growth = maintenance_margin(quantity * silent * market.multiplier, rate) - maintenance_margin(
        quantity * price * market.multiplier, rate
    )
    assert loss + max(0, growth) < slack
    assert queue.due(position.alarm_price) == [(account, position)]


def test_a_new_alarm_replaces_the_old_one_and_old_ones_are_swept() -> None:
    account, position = holding(World(), 1_000_000)
    queue = AlarmQueue()
    for index in range(4 * SWEEP_AT):
        # Each time nearer, so that none is near enough to stay.
        queue.watch(account, position, 749_370, (70_000 - 20 * index) * MONEY_UNIT)
    assert len(queue) <= SWEEP_AT + 1
    assert queue.due(1) == [(account, position)]
    assert queue.due(1) == []


def test_an_alarm_that_is_near_enough_stays() -> None:
    account, position = holding(World(), -1_000_000)
    queue = AlarmQueue()
    queue.watch(account, position, 749_370, 10_000 * MONEY_UNIT)
    number = position.alarm
    queue.watch(account, position, 749_370, 9_900 * MONEY_UNIT)
    assert position.alarm == number
    queue.watch(account, position, 749_370, 5_000 * MONEY_UNIT)
    assert position.alarm == number + 1


def test_a_closed_position_is_never_due() -> None:
    account, position = holding(World(), 1_000_000)
    queue = AlarmQueue()
    queue.watch(account, position, 749_370, 10_000 * MONEY_UNIT)
    position.quantity = 0
    assert queue.due(1) == []
