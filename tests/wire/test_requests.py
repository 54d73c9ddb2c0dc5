import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.wire.errors import ApiError
from tickwire.wire.requests import (
    AmendOrderRequest,
    KlineQuery,
    LeverageRequest,
    MarginRequest,
    OrderHistoryQuery,
    OrderRequest,
    SymbolQuery,
    TradeModeRequest,
    decode_body,
    decode_query,
)

ORDER = {"symbol": "BTCUSDT.PERP", "side": "BUY", "type": "LIMIT", "quantity": "0.1", "price": "70000.5"}


def body(**fields: Any) -> bytes:
    return json.dumps(ORDER | fields).encode()


def test_an_order() -> None:
    request = decode_body(body(timeInForce="IOC", reduceOnly=True, maxSlippagePrice="70001", unknown=1), OrderRequest)
    assert request == OrderRequest(
        symbol="BTCUSDT.PERP",
        side="BUY",
        type="LIMIT",
        quantity="0.1",
        price="70000.5",
        reduce_only=True,
        max_slippage_price="70001",
        time_in_force="IOC",
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", 0.1),  # a decimal is a text, never a number
        ("quantity", 1),
        ("side", "buy"),
        ("type", "STOP"),
        ("timeInForce", "GTX"),
        ("reduceOnly", "true"),
        ("symbol", None),
        ("priceMatchStrategy", "COUNTERPARTY_1"),
    ],
)
def test_a_wrong_type_names_its_field(field: str, value: object) -> None:
    with pytest.raises(ApiError) as caught:
        decode_body(body(**{field: value}), OrderRequest)
    assert caught.value.code == "InvalidParameter"
    assert caught.value.message.startswith(f"{field}: ")


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ApiError, match="orderId: expected a value, got nothing"):
        decode_body(b'{"symbol":"BTCUSDT"}', AmendOrderRequest)


def test_null_counts_as_absent() -> None:
    request = decode_body(body(amount=None, reduceOnly=None, timeInForce=None), OrderRequest)
    assert (request.amount, request.reduce_only, request.time_in_force) == (None, None, None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "body: expected a JSON object, got nothing"),
        (b"[]", "body: expected object, got array"),
        (b"null", "body: expected object, got null"),
        (b"{", "body: expected a JSON object: "),
        (b'{"symbol":"\xff"}', "body: expected a JSON object: "),
        (b'{"symbol":"A","x":' + b"[" * 60 + b"]" * 60 + b"}", "body: expected a flat JSON object"),
        (b" " * 65_537, "body: expected at most 65536 bytes, got 65537"),
        (b'{"symbol":"\\ud800"}', "body: expected a JSON object: "),
    ],
)
def test_a_body_that_is_none(data: bytes, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode_body(data, OrderRequest)
    assert caught.value.code == "InvalidParameter"
    assert caught.value.message.startswith(message)


@given(st.binary(max_size=80))
def test_no_body_raises_anything_else(data: bytes) -> None:
    with pytest.raises(ApiError, match="InvalidParameter"):
        decode_body(data, OrderRequest)


def test_other_bodies() -> None:
    assert decode_body(b'{"symbol":"A","leverage":5,"marginType":"CROSS"}', LeverageRequest).leverage == 5
    assert decode_body(b'{"symbol":"A","amount":"5","type":2}', MarginRequest).type == 2
    assert decode_body(b'{"tradeMode":"ONE_WAY"}', TradeModeRequest).trade_mode == "ONE_WAY"
    for data, kind in (
        (b'{"symbol":"A","leverage":5.5,"marginType":"CROSS"}', LeverageRequest),
        (b'{"symbol":"A","leverage":true,"marginType":"CROSS"}', LeverageRequest),
        (b'{"symbol":"A","amount":"5","type":3}', MarginRequest),
        (b'{"tradeMode":"HEDGE"}', TradeModeRequest),
    ):
        with pytest.raises(ApiError, match="InvalidParameter"):
            decode_body(data, kind)


def test_queries() -> None:
    assert decode_query({}, SymbolQuery).symbol is None
    query = decode_query({"symbol": "A", "interval": "1", "limit": "1000", "startTime": "1" * 19}, KlineQuery)
    assert (query.limit, query.start_time) == (1_000, "1" * 19)
    assert decode_query({}, OrderHistoryQuery).count == 64


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"symbol": "A"}, "interval: expected a value, got nothing"),
        ({"symbol": "A", "interval": "1", "limit": "99"}, "limit: expected int >= 100"),
        ({"symbol": "A", "interval": "1", "limit": "1001"}, "limit: expected int <= 1000"),
        ({"symbol": "A", "interval": "1", "limit": "many"}, "limit: expected int, got str"),
    ],
)
def test_a_bad_query_names_its_parameter(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode_query(parameters, KlineQuery)
    assert caught.value.message.startswith(message)
