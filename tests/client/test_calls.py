"""What each call sends."""

import inspect
import json
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.client import calls
from tickwire.rest.application import endpoints
from tickwire.wire.signing import API_PREFIX

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(deadline=None, max_examples=50)
@given(texts)
def test_what_is_signed_is_what_httpx_sends(symbol: str) -> None:
    for call in (calls.ticker(symbol), calls.klines(symbol, symbol), calls.order_history(symbol, after=symbol)):
        request = httpx.Client(base_url="http://127.0.0.1:8080", verify=False).build_request("GET", call.target)
        assert request.url.raw_path.decode() == call.target
        assert parse_qs(urlsplit(call.target).query, keep_blank_values=True)["symbol"] == [symbol]


def test_every_endpoint_of_the_server_has_its_call() -> None:
    arguments = {
        "symbol": "BTCUSDT.PERP", "interval": "1", "side": "BUY", "order_id": "x", "leverage": 1, "amount": 1,
        "margin_type": "CROSS", "trade_mode": "ONE_WAY", "target": "/api/v1/market/ticker",
    }  # fmt: skip
    sent = set()
    for name in calls.__all__:
        build = getattr(calls, name)
        if name in ("Call", "read_target"):  # which are no calls
            continue
        wanted = [
            parameter.name
            for parameter in inspect.signature(build).parameters.values()
            if parameter.default is parameter.empty
        ]
        call = build(**{name: arguments[name] for name in wanted})
        sent.add((call.method, call.target.partition("?")[0]))
        assert call.idempotent == (call.method == "GET")
        assert call.signed == (not call.target.startswith(API_PREFIX + "/public/"))
    assert sent == {(endpoint.method, endpoint.path) for endpoint in endpoints()}


def body(call: calls.Call[object]) -> dict[str, object]:
    found: dict[str, object] = json.loads(call.body)
    return found


def test_the_type_of_an_order_follows_from_its_prices() -> None:
    market = body(calls.place_order("S", "BUY", "1"))
    assert market == {"symbol": "S", "side": "BUY", "type": "MARKET", "quantity": "1"}
    limit = body(calls.place_order("S", "SELL", amount=Decimal("1E+2"), price=3, time_in_force="IOC"))
    assert limit == {
        "symbol": "S", "side": "SELL", "type": "LIMIT", "amount": "100", "price": "3", "timeInForce": "IOC",
    }  # fmt: skip
    stop = body(calls.place_order("S", "SELL", 1, trigger_price="2", reduce_only=True))
    assert stop == {
        "symbol": "S", "side": "SELL", "type": "STOP_MARKET", "quantity": "1", "price": "2", "reduceOnly": True,
    }  # fmt: skip
    best = body(calls.place_order("S", "BUY", 1, match_best=True, max_slippage_price="9"))
    assert best == {
        "symbol": "S", "side": "BUY", "type": "LIMIT", "quantity": "1", "maxSlippagePrice": "9",
        "priceMatchStrategy": "PRICE_MATCH_STRATEGY_COUNTERPARTY_1",
    }  # fmt: skip


@pytest.mark.parametrize(
    "prices",
    [{"price": 1, "trigger_price": 1}, {"price": 1, "match_best": True}, {"trigger_price": 1, "match_best": True}],
)
def test_an_order_of_two_types_is_refused(prices: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at most one of price, trigger_price and match_best"):
        calls.place_order("S", "BUY", 1, **prices)  # type: ignore[arg-type]


def test_no_float_reaches_the_wire() -> None:
    for build in (
        lambda: calls.place_order("S", "BUY", 0.1),  # type: ignore[arg-type]
        lambda: calls.place_order("S", "BUY", amount=0.1),  # type: ignore[arg-type]
        lambda: calls.place_order("S", "BUY", 1, price=0.1),  # type: ignore[arg-type]
        lambda: calls.place_order("S", "BUY", 1, trigger_price=0.1),  # type: ignore[arg-type]
        lambda: calls.place_order("S", "BUY", 1, max_slippage_price=0.1),  # type: ignore[arg-type]
        lambda: calls.amend_order("S", "x", take_profit=0.1),  # type: ignore[arg-type]
        lambda: calls.amend_order("S", "x", stop_loss=0.1),  # type: ignore[arg-type]
        lambda: calls.add_margin("S", 0.1),  # type: ignore[arg-type]
        lambda: calls.reduce_margin("S", 0.1),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match="a float is not exact"):
            build()
