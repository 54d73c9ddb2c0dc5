"""The estimate of the server's clock. Times in ns; the true offset is known here."""

from email.utils import formatdate

from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.client.clock import ServerClock

SECOND = 1_000_000_000
NOW = 1_765_975_842 * SECOND

offsets = st.integers(-400 * 86_400 * SECOND, 400 * 86_400 * SECOND)
delays = st.integers(0, 10 * SECOND)


def header(server_time: int) -> str:
    return formatdate(server_time // SECOND, usegmt=True)


@settings(deadline=None)
@given(offsets, delays, delays)
def test_the_servers_answer_is_within_half_of_the_round_trip(offset: int, there: int, back: int) -> None:
    clock = ServerClock(lambda: NOW)
    assert clock.observe(NOW + there + offset, NOW, NOW + there + back)
    assert clock.uncertainty is not None
    assert abs(clock.offset - offset) <= clock.uncertainty + 1
    assert abs(clock.now() - (NOW + offset)) <= clock.uncertainty + 1


@settings(deadline=None)
@given(offsets, delays, delays, st.integers(0, SECOND))
def test_the_date_header_is_within_what_it_says_of_itself(offset: int, there: int, back: int, age: int) -> None:
    clock = ServerClock(lambda: NOW)
    # The header was written up to a second before it was sent.
    assert clock.observe_date(header(NOW + there + offset - age), NOW, NOW + there + back)
    assert clock.uncertainty is not None
    assert abs(clock.offset - offset) <= clock.uncertainty + 1


def test_a_rough_measure_does_not_replace_a_better_one_that_it_agrees_with() -> None:
    clock = ServerClock(lambda: NOW)
    clock.observe(NOW + 5 * SECOND, NOW, NOW + 1000)
    exact = clock.offset
    assert not clock.observe(NOW + 5 * SECOND + 200, NOW, NOW + 5000)
    assert clock.offset == exact


def test_a_contradiction_means_that_a_clock_was_set() -> None:
    clock = ServerClock(lambda: NOW)
    clock.observe_date(header(NOW), NOW, NOW + 1000)
    assert clock.observe_date(header(NOW + 3600 * SECOND), NOW, NOW + 10 * SECOND)
    assert abs(clock.offset - 3600 * SECOND) <= 6 * SECOND
    clock.observe(NOW, NOW, NOW + 1000)
    assert clock.observe(NOW - 3600 * SECOND, NOW, NOW + 10 * SECOND)
    assert abs(clock.offset + 3600 * SECOND) <= 10 * SECOND


def test_the_server_itself_is_believed_before_any_header() -> None:
    clock = ServerClock(lambda: NOW)
    clock.observe_date(header(NOW + 2 * SECOND), NOW, NOW)
    # However slow its answer was.
    assert clock.observe(NOW, NOW, NOW + 8 * SECOND)
    assert clock.offset == -4 * SECOND
    assert not clock.observe_date(header(NOW + 3600 * SECOND), NOW, NOW)
    assert clock.offset == -4 * SECOND


def test_a_clock_that_was_set_back_during_the_call_teaches_nothing() -> None:
    clock = ServerClock(lambda: NOW)
    assert not clock.observe(NOW, NOW, NOW - 1)
    assert not clock.observe_date(header(NOW), NOW, NOW - 1)
    assert (clock.offset, clock.uncertainty) == (0, None)


def test_a_header_that_is_no_date_is_ignored() -> None:
    clock = ServerClock(lambda: NOW)
    for text in ("", "soon", "Tue, 99 Nov 2026 17:48:42 GMT", "1765975842"):
        assert not clock.observe_date(text, NOW, NOW)
    assert clock.uncertainty is None


def test_a_date_without_a_zone_is_utc() -> None:
    clock = ServerClock(lambda: NOW)
    assert clock.observe_date(header(NOW).replace("GMT", "-0000"), NOW, NOW)
    assert abs(clock.offset) <= SECOND


def test_expiry_in_whole_seconds() -> None:
    clock = ServerClock(lambda: NOW + 999_999_999)
    assert clock.expires(30) == str(NOW // SECOND + 30)


def test_the_local_clock_is_the_machines_by_default() -> None:
    before = ServerClock().now()
    assert before <= ServerClock().now()
