"""Decimals and times to and from texts."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.client.numbers import decimal, decimal_text, moment, time_text


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=None))
def test_a_decimal_goes_to_the_wire_exactly_and_without_an_exponent(value: Decimal) -> None:
    text = decimal_text("price", value)
    assert "e" not in text.lower()
    assert decimal(text) == value


@settings(deadline=None)
@given(st.integers())
def test_an_integer_too(value: int) -> None:
    assert decimal(decimal_text("price", value)) == value


def test_a_text_goes_as_it_is() -> None:
    assert decimal_text("price", "0.10") == "0.10"


@pytest.mark.parametrize("value", [0.1, True, None, b"1", [1]])
def test_anything_else_is_a_type_error_that_names_the_argument(value: object) -> None:
    with pytest.raises(TypeError, match=r"price: expected a Decimal, an int or a str, got"):
        decimal_text("price", value)  # type: ignore[arg-type]


def test_a_float_is_told_how_to_write_it() -> None:
    with pytest.raises(TypeError, match=r'a float is not exact, write "0.1" or Decimal\("0.1"\)'):
        decimal_text("price", 0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_is_refused_both_ways(text: str) -> None:
    with pytest.raises(ValueError, match="price: expected a finite number"):
        decimal_text("price", Decimal(text))
    with pytest.raises(ValueError, match="expected a decimal"):
        decimal(text)


@pytest.mark.parametrize("text", ["", "1,5", "abc"])
def test_a_text_that_is_no_decimal(text: str) -> None:
    with pytest.raises(ValueError, match="expected a decimal"):
        decimal(text)


def test_null_stays_none() -> None:
    assert decimal(None) is None
    assert moment(None) is None


def test_a_datetime_goes_as_nanoseconds_whatever_its_zone() -> None:
    utc = datetime(2025, 12, 17, 12, 50, 42, 95607, tzinfo=UTC)
    assert time_text("start", utc) == "1765975842095607000"
    assert time_text("start", utc.astimezone(timezone(timedelta(hours=9)))) == "1765975842095607000"
    assert moment("1765975842095607088") == utc


def test_nanoseconds_go_as_they_are() -> None:
    assert time_text("start", 1765975842095607088) == "1765975842095607088"
    assert time_text("start", "1765975842095607088") == "1765975842095607088"
    assert time_text("start", None) is None


def test_a_datetime_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="start: expected a datetime with a time zone"):
        time_text("start", datetime(2025, 12, 17))


@pytest.mark.parametrize("value", [1.5, True])
def test_a_time_that_is_none(value: object) -> None:
    with pytest.raises(TypeError, match="start: expected ns since the epoch or a datetime"):
        time_text("start", value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "soon", "9" * 40])
def test_a_timestamp_text_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected nanoseconds since the epoch"):
        moment(text)
