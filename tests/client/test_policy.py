from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.client.policy import (
    TABLE,
    Action,
    BackOff,
    Dial,
    End,
    Finish,
    Input,
    Reconnector,
    State,
    Wait,
    judge,
)
from tickwire.wire.closes import CLOSES

LOST = End("the connection was cut")
EXPIRED = End("expired", status=401, error="api.unauthorized")


def test_the_table_is_the_one_that_is_printed_above_it() -> None:
    import tickwire.client.policy as module

    assert module.__doc__ is not None
    lines = [line for line in module.__doc__.splitlines() if line.startswith("    ")]
    head, *rows = lines
    columns = [(head.index(input.value), input) for input in Input]
    printed = {
        (State[row.split()[0]], input): State[row[start:].split()[0]]
        for row in rows
        for start, input in columns
        if row[start : start + 1].strip()
    }
    assert printed == TABLE


@pytest.mark.parametrize("close", CLOSES.values(), ids=CLOSES.keys())
def test_the_catalogue_says_whether_to_come_back(close) -> None:  # type: ignore[no-untyped-def]
    assert judge(End(close.reason, close_code=close.code)).come_back is close.reconnect


@pytest.mark.parametrize(
    ("end", "come_back"),
    [
        (LOST, True),
        (End("", close_code=1000), True),
        (End("", close_code=1006), True),
        (End("any reason", close_code=1008), False),
        (End("any reason", close_code=1012), True),
        (End("any reason", close_code=1013), True),
        (End("x", close_code=4000), True),
        (End("too many", status=429, retry_after=3), True),
        (End("away", status=502), True),
        (End("moved", status=302), True),
        (End("Invalid Origin", status=403), False),
        (End("none such", status=404), False),
        (End("revoked", status=401, error="api.invalidSession"), False),
        (EXPIRED, True),
    ],
)
def test_what_passes_and_what_does_not(end: End, come_back: bool) -> None:
    assert judge(end).come_back is come_back


def test_a_server_says_when_to_come_back() -> None:
    policy = Reconnector(draw=lambda: 0.0)
    policy.due()
    action = policy.ended(End("too many", status=429, retry_after=7), 0.0)
    assert action == Wait(7.0, 1, End("too many", status=429, retry_after=7))


def test_a_busy_server_gets_a_moment_of_peace() -> None:
    for code in (1012, 1013):
        policy = Reconnector(draw=lambda: 0.0)
        policy.due()
        policy.opened(0.0)
        action = policy.ended(End("", close_code=code), 0.0)
        assert isinstance(action, Wait)
        assert action.delay == 1.0


def test_delays_double_up_to_a_bound_and_start_over_after_a_stable_connection() -> None:
    policy = Reconnector(BackOff(first=1.0, longest=5.0, stable_after=10.0), draw=lambda: 1.0)
    delays = []
    for _ in range(5):
        policy.due()
        action = policy.ended(LOST, 0.0)
        assert isinstance(action, Wait)
        delays.append(action.delay)
    assert delays == [1.0, 2.0, 4.0, 5.0, 5.0]
    policy.due()
    policy.opened(0.0)
    action = policy.ended(LOST, 9.0)
    assert isinstance(action, Wait)
    assert (action.delay, action.attempt) == (5.0, 6)
    policy.due()
    policy.opened(20.0)
    action = policy.ended(LOST, 30.0)
    assert isinstance(action, Wait)
    assert (action.delay, action.attempt) == (1.0, 1)


def test_a_refused_signature_is_tried_once_more_with_another_clock() -> None:
    policy = Reconnector()
    policy.due()
    assert isinstance(policy.ended(EXPIRED, 0.0), Wait)
    policy.due()
    assert policy.ended(EXPIRED, 1.0) == Finish(EXPIRED)
    # After one that worked, it may happen again: the machine's clock has jumped.
    policy = Reconnector()
    for _ in range(3):
        policy.due()
        assert isinstance(policy.ended(EXPIRED, 0.0), Wait)
        policy.due()
        policy.opened(1.0)
        assert isinstance(policy.ended(LOST, 2.0), Wait)


def test_what_is_not_in_the_table_cannot_happen() -> None:
    policy = Reconnector()
    with pytest.raises(RuntimeError, match="expected a transition of the table, got opened while idle"):
        policy.opened(0.0)


ends = st.builds(
    End,
    st.sampled_from(["", "cut", *(close.reason for close in CLOSES.values())]),
    status=st.sampled_from([0, 302, 400, 401, 403, 404, 429, 500, 503]),
    error=st.sampled_from(["", "api.unauthorized", "api.invalidSession"]),
    close_code=st.sampled_from([0, 1000, 1001, 1002, 1003, 1006, 1008, 1009, 1012, 1013, 4001]),
    retry_after=st.floats(0, 1000),
)
steps = st.one_of(st.just("opened"), ends, st.floats(0, 100))  # opened, ended, time goes by


@given(st.lists(steps, max_size=60), st.floats(0, 1))
def test_whatever_happens_it_dials_waits_within_bounds_or_is_finished(
    script: list[str | End | float], draw: float
) -> None:
    back_off = BackOff(first=0.5, longest=8.0, stable_after=5.0)
    policy = Reconnector(back_off, draw=lambda: draw)
    now, attempts, opened_at = 0.0, 0, 0.0
    action: Action = policy.due()
    assert action == Dial()
    for step in script:
        if isinstance(step, float):
            now += step
        elif step == "opened":
            if policy.state is State.CONNECTING:
                policy.opened(now)
                opened_at = now
        elif isinstance(step, End) and policy.state in (State.CONNECTING, State.OPEN):
            stable = policy.state is State.OPEN and now - opened_at >= back_off.stable_after
            action = policy.ended(step, now)
            if isinstance(action, Finish):
                break
            assert isinstance(action, Wait)
            attempts = 1 if stable else attempts + 1
            assert action.attempt == attempts
            earliest = judge(step).earliest
            assert earliest <= action.delay <= earliest + min(8.0, 0.5 * 2 ** (attempts - 1))
            assert judge(step).come_back
            assert policy.state is State.WAITING
            assert policy.due() == Dial()
    if isinstance(action, Finish):
        assert policy.state is State.FINISHED
        forbidden: list[Callable[[], object]] = [
            policy.due,
            lambda: policy.opened(now),
            lambda: policy.ended(LOST, now),
        ]
        for call in forbidden:
            with pytest.raises(RuntimeError):
                call()
    assert policy.stopped() == Finish(None)
    assert policy.stopped() == Finish(None)
