"""Reading replies: by the contract, and of servers that are newer than it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.client.replies import Candle, decode_rows, tolerant
from tickwire.wire import rows

ORDER = {
    "orderId": "01a20eb1-fa71-7000-8000-000000017513", "symbol": "BTCUSDT.PERP", "side": "BUY", "orderType": "LIMIT",
    "quantity": "1", "amount": None, "price": "2", "triggerPrice": None, "status": "NEW", "timeInForce": "GTC",
    "takeProfitPrice": None, "stopLossPrice": None, "leavesQty": "1",
}  # fmt: skip


def decode(value: object, kind: Any) -> Any:
    return decode_rows(msgspec.json.encode(value), kind)


def test_a_row_of_the_contract_is_of_the_documented_class() -> None:
    row = decode(ORDER, rows.Order)
    assert type(row) is rows.Order
    assert row.price == "2"


def test_unknown_fields_are_no_harm() -> None:
    assert type(decode({**ORDER, "new": {"deep": [1]}}, rows.Order)) is rows.Order


def test_a_value_that_is_new_in_an_enumeration_is_kept() -> None:
    row = decode({**ORDER, "status": "EXPIRED", "orderType": "TRAILING"}, rows.Order)
    assert isinstance(row, rows.Order)
    assert (row.status, row.order_type, row.price) == ("EXPIRED", "TRAILING", "2")


def test_what_may_be_null_may_be_missing() -> None:
    found = decode([{"symbol": "BTCUSDT", "priceChange24h": "-1"}], list[rows.Ticker])
    assert isinstance(found[0], rows.Ticker)
    assert (found[0].price_change24h, found[0].mark_price) == ("-1", None)


def test_in_both_forms_of_the_open_orders() -> None:
    kind = list[rows.Order] | rows.OrderList
    strange = {**ORDER, "status": "EXPIRED"}
    assert decode([strange], kind)[0].status == "EXPIRED"
    wrapped = decode({"orders": [strange]}, kind)
    assert isinstance(wrapped, rows.OrderList)
    assert wrapped.orders[0].status == "EXPIRED"


def test_a_candle_may_grow() -> None:
    assert decode([["1", "2", "3", "4", "5", "6", "7", "8"]], list[Candle]) == [
        Candle("1", "2", "3", "4", "5", "6", "7")
    ]


@pytest.mark.parametrize("wrong", [{"symbol": None}, {"price": 2}, {"price": 2.5}, {"symbol": 1}, {"status": 7}])
def test_wrong_types_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(ORDER | wrong, rows.Order)


def test_a_missing_field_that_is_never_null_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="orderId"):
        decode({name: value for name, value in ORDER.items() if name != "orderId"}, rows.Order)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_rows_or_a_decode_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_rows(body, rows.Order)


def test_nesting_without_end_is_a_decode_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_rows(b'{"new":' + b"[" * 100_000, rows.Order)


@pytest.mark.parametrize("name", [name for name in rows.__all__ if isinstance(getattr(rows, name), type)])
def test_every_row_has_its_tolerant_form(name: str) -> None:
    kind = getattr(rows, name)
    made = tolerant(kind)
    assert made is not kind
    assert issubclass(made, kind)
    names = {field.encode_name for field in msgspec.structs.fields(kind)}
    assert {field.encode_name for field in msgspec.structs.fields(made)} == names
