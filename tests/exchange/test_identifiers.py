import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.exchange.identifiers import execution_uuid, order_uuid, parse_order_id
from tickwire.wire.errors import ApiError

TIME = 1_765_975_842_095_607_088
numbers = st.integers(0, 2**62 - 1)
times = st.integers(0, 2**48 * 1_000_000 - 1)


@given(numbers, times)
def test_an_order_id_reads_back(number: int, time: int) -> None:
    text = order_uuid(number, time)
    assert parse_order_id("orderId", text) == number
    assert parse_order_id("orderId", text.upper()) == number


@given(numbers, times)
def test_ids_are_uuids_of_version_7(number: int, time: int) -> None:
    for text in (order_uuid(number, time), execution_uuid(number, time)):
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert parsed.version == 7
        assert parsed.variant == uuid.RFC_4122
        assert parsed.int >> 80 == time // 1_000_000


@given(numbers, numbers)
def test_ids_of_one_moment_sort_by_number(one: int, other: int) -> None:
    assert (order_uuid(one, TIME) < order_uuid(other, TIME)) == (one < other)


def test_orders_and_executions_never_share_an_id() -> None:
    assert order_uuid(7, TIME) != execution_uuid(7, TIME)


@pytest.mark.parametrize("text", ["", "7", "not-a-uuid", "0199b1a0-0000-7000-8000-00000000000", "{}"])
def test_what_is_no_uuid_is_an_invalid_parameter(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_order_id("orderId", text)
    assert caught.value.code == "InvalidParameter"
    assert caught.value.message.startswith("orderId: expected an order id")


@pytest.mark.parametrize(
    "text", [execution_uuid(7, TIME), "c7b9bb7e-4fdc-4c27-8f42-3e9b9a2d0c11", str(uuid.UUID(int=0))]
)
def test_a_uuid_that_is_not_of_our_making_is_no_order(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_order_id("orderId", text)
    assert caught.value.code == "OrderNotFound"
