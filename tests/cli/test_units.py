"""Durations, sizes and times as people write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.cli.units import parse_duration, parse_size, parse_time

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("90s", 90 * SECOND),
        ("1.5h", 5_400 * SECOND),
        ("250ms", SECOND // 4),
        ("1d", 86_400 * SECOND),
        ("2m", 120 * SECOND),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(("text", "size"), [("200MB", 2 * 10**8), ("1GiB", 2**30), ("0.5kB", 500), ("7B", 7)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-1s", "1 h", "1e3s", "0s", "0.0s", "1w", "nan", "1.s", "٣s", "9" * 13 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["5", "1mb", "1Mb", "0MB", "MB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size such as"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1765975842095607088", 1_765_975_842_095_607_088),
        ("2025-12-17T12:50:42", 1_765_975_842 * SECOND),
        ("2025-12-17 12:50:42.5Z", 1_765_975_842 * SECOND + SECOND // 2),
        ("2025-12-17T14:50:42+02:00", 1_765_975_842 * SECOND),
        ("2025-12-17", 1_765_929_600 * SECOND),
        ("+10m", 600 * SECOND + 7),
    ],
)
def test_times(text: str, nanoseconds: int) -> None:
    assert parse_time(text, begin=7) == nanoseconds


@pytest.mark.parametrize("text", ["", "now", "12:30", "1765975842", "1969-01-01", "2500-01-01", "9" * 19, "+soon", "+"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        parse_time(text, begin=0)


@given(st.text(max_size=25))
def test_nothing_else_is_raised(text: str) -> None:
    for parse in (parse_duration, parse_size, lambda text: parse_time(text, 0)):
        with contextlib.suppress(ValueError):
            assert parse(text) >= 0
