"""When a call is tried again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.client.errors import ClientError, ConnectionFailed, InvalidReply, TimedOut, refusal
from tickwire.client.retries import NO_RETRIES, Retries

AWAY = ConnectionFailed("away", may_have_arrived=False)
BROKEN = TimedOut("broken", may_have_arrived=True)
CUT = InvalidReply("cut", 200, temporary=True)
NONSENSE = InvalidReply("nonsense", 200)
BUSY = refusal(503, "Unavailable")
REFUSED = refusal(400, "MinNotional")
WRONG_KEY = refusal(401, "api.unauthorized")


@pytest.mark.parametrize(
    ("error", "read", "write"),
    [
        (AWAY, True, True),
        (BROKEN, True, False),
        (CUT, True, False),
        (NONSENSE, False, False),
        (BUSY, True, False),
        (REFUSED, False, False),
        (WRONG_KEY, False, False),
        (refusal(429, "TooManyRequests", retry_after=1), True, False),
    ],
)
def test_what_is_tried_again(error: ClientError, read: bool, write: bool) -> None:
    assert (Retries().pause(1, error, True) is not None) == read
    assert (Retries().pause(1, error, False) is not None) == write


def test_attempts_are_counted_from_the_first() -> None:
    assert Retries(attempts=3).pause(2, AWAY, True) is not None
    assert Retries(attempts=3).pause(3, AWAY, True) is None
    assert NO_RETRIES.pause(1, AWAY, True) is None


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_the_pause_is_drawn_up_to_a_bound_that_doubles(attempt: int, drawn: float) -> None:
    retries = Retries(attempts=100, first_pause=0.5, longest_pause=8)
    pause = retries.pause(attempt, AWAY, True, lambda: drawn)
    assert pause == drawn * min(8, 0.5 * 2 ** (attempt - 1))


@settings(deadline=None)
@given(st.floats(0, 30), st.floats(0, 1, exclude_max=True))
def test_what_the_server_asks_for_is_waited_for_in_full(asked: float, drawn: float) -> None:
    pause = Retries().pause(1, refusal(429, "TooManyRequests", retry_after=asked), True, lambda: drawn)
    assert pause is not None
    assert asked <= pause <= asked + 0.2


def test_but_not_for_ever() -> None:
    assert Retries(patience=30).pause(1, refusal(429, "TooManyRequests", retry_after=31), True) is None


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_pause": -1}, {"patience": float("nan")}])
def test_settings_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Retries(**wrong)  # type: ignore[arg-type]
