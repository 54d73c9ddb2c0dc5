import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.rest.parameters import parse_period, parse_query
from tickwire.wire.errors import ApiError

NAMES = frozenset({"symbol", "limit"})
INTEGERS = frozenset({"limit"})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"symbol=BTCUSDT.PERP&limit=5", {"symbol": "BTCUSDT.PERP", "limit": "5"}),
        (b"limit=05", {"limit": "05"}),
        (b"symbol=", {"symbol": ""}),
        (b"symbol", {"symbol": ""}),
        (b"", {}),
        (b"&&=&", {}),
        (b"symbol=a=b", {"symbol": "a=b"}),
        (b"symbol=a%3Db+c%2B", {"symbol": "a=b c+"}),
        (b"%73ymbol=x", {"symbol": "x"}),
        (b"symbol=%E2%82%AC", {"symbol": "\u20ac"}),
        (b"symbol=\xe2\x82\xac", {"symbol": "\u20ac"}),
        (b"symbol=%", {"symbol": "%"}),
        (b"symbol=%zz", {"symbol": "%zz"}),
        (b"other=1&other=2&symbol=x&%ff=%ff", {"symbol": "x"}),
    ],
)
def test_a_query_is_read(query: bytes, expected: dict[str, str]) -> None:
    assert parse_query(query, NAMES, INTEGERS) == expected


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"symbol=a&symbol=a", "symbol: expected at most once"),
        (b"symbol=a&%73ymbol=b", "symbol: expected at most once"),
        (b"symbol=%ff", "symbol: expected UTF-8"),
        (b"limit=1e2", "limit: expected digits, got '1e2'"),
        (b"limit=1.0", "limit: expected digits"),
        (b"limit=-1", "limit: expected digits"),
        (b"limit=%D9%A1", "limit: expected digits"),
        (b"limit=", "limit: expected digits, got ''"),
    ],
)
def test_a_query_is_refused(query: bytes, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_query(query, NAMES, INTEGERS)
    assert caught.value.code == "InvalidParameter"
    assert caught.value.message.startswith(message)


@given(st.binary(max_size=200))
def test_any_query_is_read_or_refused_with_a_reply(query: bytes) -> None:
    try:
        parameters = parse_query(query, NAMES, INTEGERS)
    except ApiError as error:
        error.body()
    else:
        assert parameters.keys() <= NAMES


def test_a_period() -> None:
    assert parse_period(None, None) == (None, None)
    assert parse_period("1765975842000000000", None) == (1765975842000000000, None)
    assert parse_period("1765975842000000000", "1765975842000000000") == (1765975842000000000, 1765975842000000000)


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("1765975842", None, "startTime"),
        ("1765975842000", None, "startTime"),
        (None, "", "endTime"),
        (None, "-765975842000000000", "endTime"),
        (None, "9223372036854775808", "endTime"),
        ("1765975842000000001", "1765975842000000000", "endTime"),
    ],
)
def test_a_period_is_refused(start: str | None, end: str | None, field: str) -> None:
    with pytest.raises(ApiError, match=f"InvalidParameter: {field}: expected"):
        parse_period(start, end)
