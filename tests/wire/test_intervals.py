import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.wire.intervals import DAY, HOUR, INTERVALS, MINUTE, SECOND, next_start, start_of

TIMES = st.integers(0, 4_102_444_800 * SECOND)  # to the year 2100
intervals = st.sampled_from(INTERVALS)


def moment(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    time = datetime.datetime(year, month, day, hour, minute, tzinfo=datetime.UTC)
    return int(time.timestamp()) * SECOND


def test_the_contract_lists_fourteen_intervals() -> None:
    assert " ".join(INTERVALS) == "1 3 5 15 30 60 120 180 240 360 720 1D 1W 1M"


@pytest.mark.parametrize(
    ("interval", "start", "following"),
    [
        ("1", moment(2024, 2, 29, 17, 47), moment(2024, 2, 29, 17, 48)),
        ("3", moment(2024, 2, 29, 17, 45), moment(2024, 2, 29, 17, 48)),
        ("180", moment(2024, 2, 29, 15), moment(2024, 2, 29, 18)),
        ("720", moment(2024, 2, 29, 12), moment(2024, 3, 1)),
        ("1D", moment(2024, 2, 29), moment(2024, 3, 1)),
        ("1W", moment(2024, 2, 26), moment(2024, 3, 4)),  # Mondays
        ("1M", moment(2024, 2, 1), moment(2024, 3, 1)),
    ],
)
def test_boundaries(interval: str, start: int, following: int) -> None:
    time = moment(2024, 2, 29, 17, 47) + 12 * SECOND + 345
    assert start_of(interval, time) == start
    assert next_start(interval, start) == following


def test_a_year_ends_in_january() -> None:
    assert next_start("1M", moment(2023, 12, 1)) == moment(2024, 1, 1)
    assert start_of("1W", moment(2024, 1, 1)) == moment(2024, 1, 1)


@given(intervals, TIMES)
def test_candles_follow_each_other_without_a_gap(interval: str, time: int) -> None:
    start = start_of(interval, time)
    following = next_start(interval, start)
    assert start <= time < following
    assert start_of(interval, start) == start
    assert start_of(interval, following) == following
    assert start_of(interval, following - 1) == start


@given(TIMES)
def test_starts_agree_with_the_calendar(time: int) -> None:
    date = datetime.datetime.fromtimestamp(time // SECOND, datetime.UTC)
    midnight = date.replace(hour=0, minute=0, second=0)
    monday = midnight - datetime.timedelta(days=midnight.weekday())
    assert start_of("1D", time) == int(midnight.timestamp()) * SECOND
    assert start_of("1W", time) == int(monday.timestamp()) * SECOND
    assert start_of("1M", time) == int(midnight.replace(day=1).timestamp()) * SECOND
    assert start_of("60", time) == time // HOUR * HOUR
    assert start_of("1", time) == time // MINUTE * MINUTE
    assert start_of("1D", time) == time // DAY * DAY
