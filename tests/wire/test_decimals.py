import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.wire.decimals import DecimalError, format_decimal, format_fixed, parse_decimal


@pytest.mark.parametrize(
    ("text", "places", "value"),
    [
        ("0", 0, 0),
        ("74937.1", 1, 749_371),
        ("74937", 1, 749_370),
        ("-0.25", 2, -25),
        ("007.50", 1, 75),
        ("1.2300000", 2, 123),
        ("0." + "0" * 37 + "0", 0, 0),
    ],
)
def test_reads_a_decimal_exactly(text: str, places: int, value: int) -> None:
    assert parse_decimal(text, places) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+1",
        ".5",
        "1.",
        "1e3",
        "1E3",
        "NaN",
        "Infinity",
        " 1",
        "1 ",
        "1\n",
        "1_000",
        "1,5",
        "0x10",
        "--1",
        "\uff11",
        "-",
    ],
)
def test_refuses_what_is_no_contract_decimal(text: str) -> None:
    with pytest.raises(DecimalError, match=r'expected a decimal such as "12\.5"'):
        parse_decimal(text, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.12", "expected at most 1 decimals, got '0.12'"),
        ("-0.0", "expected a number without a sign on zero, got negative zero"),
        ("9" * 41, "expected at most 40 characters, got 41"),
    ],
)
def test_says_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(DecimalError, match=message):
        parse_decimal(text, 1)


@pytest.mark.parametrize(
    ("value", "places", "fixed", "shortest"),
    [
        (0, 0, "0", "0"),
        (0, 2, "0.00", "0"),
        (749_370, 1, "74937.0", "74937"),
        (5, 3, "0.005", "0.005"),
        (-5, 3, "-0.005", "-0.005"),
        (-1_200, 3, "-1.200", "-1.2"),
        (100, 0, "100", "100"),
        (100, 2, "1.00", "1"),
    ],
)
def test_writes_fixed_and_shortest_forms(value: int, places: int, fixed: str, shortest: str) -> None:
    assert format_fixed(value, places) == fixed
    assert format_decimal(value, places) == shortest


@given(st.integers(-(10**25), 10**25), st.integers(0, 12))
def test_what_is_written_reads_back(value: int, places: int) -> None:
    for text in (format_fixed(value, places), format_decimal(value, places)):
        assert parse_decimal(text, places) == value
        assert decimal.Decimal(text).scaleb(places) == value
