from hypothesis import given
from hypothesis import strategies as st
from tests.exchange.world import BTC, World

from tickwire.exchange.conditionals import SWEEP_AT, Bracket, Trigger, TriggerQueue

triggers = st.lists(st.tuples(st.integers(90, 110), st.booleans(), st.booleans()), max_size=30)


@given(triggers, st.integers(180, 220))
def test_all_that_the_mid_has_reached_come_out_nearest_first(entries: list[tuple[int, bool, bool]], mid: int) -> None:
    queue = TriggerQueue()
    waiting = []
    for number, (price, rising, active) in enumerate(entries):
        trigger = Trigger(number, price, rising)
        queue.add(trigger)
        trigger.active = active
        if active:
            waiting.append(trigger)
    assert sorted(t.id for t in queue) == [t.id for t in waiting]
    due = []
    while (trigger_or_none := queue.pop_due(mid)) is not None:
        due.append(trigger_or_none)
    rising = [t for t in waiting if t.rising and t.price * 2 <= mid]
    falling = [t for t in waiting if not t.rising and t.price * 2 >= mid]
    assert due == sorted(rising, key=lambda t: (t.price, t.id)) + sorted(falling, key=lambda t: (-t.price, t.id))
    assert sorted(t.id for t in queue) == sorted(t.id for t in waiting if t not in due)


def test_what_no_longer_waits_is_swept_out() -> None:
    queue = TriggerQueue()
    kept = [Trigger(number, 200 + number, number % 2 == 0) for number in range(100)]
    for trigger in kept:
        queue.add(trigger)
    for number in range(100, 5_000):
        trigger = Trigger(number, 300, True)
        queue.add(trigger)
        trigger.active = False
    assert sorted(t.id for t in queue) == list(range(100))
    assert len(queue._rising) + len(queue._falling) <= SWEEP_AT + 1


def test_a_bracket_cancels_both_its_prices() -> None:
    world = World("anna")
    bracket = Bracket(world.account("anna"), world.market(BTC), -1, None)
    assert bracket.position_wide
    bracket.take_profit, stop_loss = Trigger(1, 5, True), Trigger(2, 3, False)
    bracket.stop_loss = stop_loss
    bracket.cancel()
    assert (bracket.take_profit, bracket.stop_loss, stop_loss.active) == (None, None, False)
