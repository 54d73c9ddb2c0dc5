"""Whatever a client that can sign sends, the reply is one of the documented ones: never a failure of the server."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rest.support import PERPETUAL, START, TOKEN, Client, DirectGateway, make_application

from tickwire.rest.application import endpoints
from tickwire.rest.control import control_endpoints
from tickwire.rest.endpoint import Endpoint

TABLE = endpoints()
CONTROL = control_endpoints(dict)

DECIMALS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.sampled_from(["0.01", "1", "74937.0", "74000", "0", "-1", "1e5", "NaN", "٣", "1" * 40, "1" * 50, "0.1234567"]),
)
WORDS = st.sampled_from(
    [
        PERPETUAL, "BTCUSDT", "ETHUSDT.PERP", "NOPE", "BUY", "SELL", "LIMIT", "MARKET", "STOP_MARKET", "GTC", "IOC",
        "CROSS", "ISOLATED", "ONE_WAY", "MULTIPLE_POSITIONS", "PRICE_MATCH_STRATEGY_COUNTERPARTY_1", "USDT", "BTC",
        "alice", "house", "insurance", "read", "trade", "SPOT", "PERPETUAL", "TRADE", "FUNDING", "1", "1D", "100",
        "019b2c5c-dcd0-7000-8000-00000000000b", "019b2c5c-dcd0-7fff-bfff-ffffffffffff", str(START), "9" * 19,
    ]
)  # fmt: skip
TEXTS = st.one_of(WORDS, DECIMALS, st.text(max_size=20))
SCALARS = st.one_of(
    TEXTS, st.none(), st.booleans(), st.integers(), st.sampled_from([1, 2, 10, 20, 2**63, 10**30]), st.floats(width=32)
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


ORDER_IDS = st.integers(0, 60).map(lambda number: f"019b2c5c-dcd0-7000-8000-{number:012x}")
SYMBOLS = st.sampled_from([PERPETUAL, PERPETUAL, PERPETUAL, "BTCUSDT", "ETHUSDT.PERP"])
SIZES = st.sampled_from(["0.01", "0.001", "1", "0.000001", "500"])
PRICES = st.sampled_from(["74937.0", "74937.1", "74000.0", "76000.0", "80000", "0.1"])
TIMES = st.integers(START, START + 10**6).map(str)
ORDERS = st.one_of(
    st.fixed_dictionaries(
        {
            "symbol": SYMBOLS,
            "side": st.sampled_from(["BUY", "SELL"]),
            "type": st.sampled_from(["LIMIT", "STOP_MARKET"]),
            "quantity": SIZES,
            "price": PRICES,
        }
    ),
    st.fixed_dictionaries(
        {"symbol": SYMBOLS, "side": st.sampled_from(["BUY", "SELL"]), "type": st.just("MARKET"), "quantity": SIZES}
    ),
)
# What a sensible client puts into a field: without it hardly a request would get past the decoder.
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "symbol": SYMBOLS,
    "side": st.sampled_from(["BUY", "SELL"]),
    "quantity": SIZES,
    "price": PRICES,
    "maxSlippagePrice": PRICES,
    "newTakeProfitPrice": PRICES,
    "newStopLossPrice": PRICES,
    "orderId": ORDER_IDS,
    "before": ORDER_IDS,
    "after": ORDER_IDS,
    "leverage": st.integers(1, 110),
    "marginType": st.sampled_from(["CROSS", "ISOLATED"]),
    "tradeMode": st.sampled_from(["ONE_WAY", "ONE_WAY", "ONE_WAY", "MULTIPLE_POSITIONS"]),
    "reduceOnly": st.booleans(),
    "timeInForce": st.sampled_from(["GTC", "IOC", "FOK"]),
    "priceMatchStrategy": st.just("PRICE_MATCH_STRATEGY_COUNTERPARTY_1"),
    "interval": st.sampled_from(["1", "60", "1D", "1M"]),
    "limit": st.integers(100, 1000).map(str),
    "count": st.integers(1, 5).map(str),
    "startTime": TIMES,
    "endTime": TIMES,
    "productType": st.sampled_from(["SPOT", "PERPETUAL"]),
    "execType": st.sampled_from(["NEW", "TRADE", "FUNDING"]),
    "asset": st.sampled_from(["USDT", "BTC"]),
    "currency": st.just("USDT"),
    "account": st.sampled_from(["alice", "bob", "house"]),
    "scopes": st.sampled_from([["read"], ["trade", "read"]]),
    "allow": st.sampled_from([[], ["192.0.2.0/24"], ["::1", "nowhere"]]),
}


def mostly(usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any], tenths: int = 9) -> st.SearchStrategy[Any]:
    return st.integers(1, 10).flatmap(lambda roll: usual if roll <= tenths else other)


def likely(endpoint: Endpoint, name: str) -> st.SearchStrategy[Any]:
    if name == "type":
        return st.sampled_from([1, 2]) if endpoint.path.endswith("margin") else st.sampled_from(["LIMIT", "MARKET"])
    if name == "amount":
        return st.sampled_from(["5", "1000", "0.5", "-1"])
    return LIKELY.get(name, TEXTS)


def fields(endpoint: Endpoint) -> dict[str, st.SearchStrategy[Any]]:
    """Each field of the request with what may be in it: mostly something sensible."""
    other = SCALARS if endpoint.takes_body else TEXTS
    return {
        field.encode_name: mostly(likely(endpoint, field.encode_name), other)
        for field in msgspec.structs.fields(endpoint.request)
    }


def required(endpoint: Endpoint) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(endpoint.request) if field.required}


def own_fields(endpoint: Endpoint) -> st.SearchStrategy[dict[str, Any]]:
    every, needed = fields(endpoint), required(endpoint)
    if endpoint.path == "/api/v1/trade/order" and endpoint.method == "POST":
        # Most of its optional fields exclude each other: a good order with at most one more of them.
        extra = st.sampled_from(sorted(every)).flatmap(lambda name: every[name].map(lambda value: {name: value}))
        return st.tuples(ORDERS, mostly(st.just({}), extra, 5)).map(lambda parts: {**parts[0], **parts[1]})
    return st.fixed_dictionaries(
        {name: every[name] for name in needed},
        optional={name: strategy for name, strategy in every.items() if name not in needed},
    )


def body_of(endpoint: Endpoint) -> st.SearchStrategy[bytes]:
    """Bodies of the endpoint's own fields, some of them damaged, and any others."""
    own = own_fields(endpoint).map(msgspec.json.encode)
    damaged = st.tuples(own, st.integers(0, 50), st.binary(min_size=1, max_size=3)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
    )
    return mostly(own, st.one_of(VALUES.map(msgspec.json.encode), st.binary(max_size=100), damaged), 7)


def query_of(endpoint: Endpoint) -> st.SearchStrategy[str]:
    """Queries of the endpoint's own parameters, and any others."""
    own = own_fields(endpoint).map(lambda pairs: list(pairs.items()))
    pairs = st.lists(st.tuples(st.sampled_from([*fields(endpoint), "other"]), TEXTS), max_size=5)
    written = mostly(own, pairs, 7).map(
        lambda found: "&".join(f"{name}={quote(value, safe='')}" for name, value in found)
    )
    return mostly(written, st.text("abc=&%+;/?:0129é", max_size=30).map(lambda text: quote(text, safe="=&%+;/?:")))


@st.composite
def requests(draw: st.DrawFn, table: tuple[Endpoint, ...]) -> tuple[Endpoint, str, bytes]:
    endpoint = draw(st.sampled_from(table))
    query = "" if endpoint.takes_body else draw(query_of(endpoint))
    body = draw(body_of(endpoint)) if endpoint.takes_body else b""
    return endpoint, query, body


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    gateway = DirectGateway(Path(tmp_path_factory.mktemp("exchange")))
    gateway.open_market()
    asyncio.run(gateway.open_account("alice"))
    yield Client(make_application(gateway, limits=None), gateway, gateway.keys.create("alice", ["read", "trade"]))
    gateway.close()


def check_reply(client: Client, endpoint: Endpoint, reply: Any) -> None:
    assert client.application.failures == 0
    # Without limits their headers are left out; all else is as documented.
    reply.headers.update({"x-ratelimit-limit": "1", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "1"})
    client.documented.check(endpoint.method, endpoint.path, reply)


@settings(max_examples=600, deadline=None)
@given(request=requests(TABLE))
def test_any_signed_request(exchange: Client, request: tuple[Endpoint, str, bytes]) -> None:
    endpoint, query, body = request
    target = f"{endpoint.path}?{query}" if query else endpoint.path

    async def send() -> None:
        headers = exchange.signed(endpoint.method, target, body)
        reply = await exchange.send(endpoint.method, target, body, headers)
        # httpx may write a target in another way than it was signed; that is no fault of the application.
        if reply.status_code != 401:
            check_reply(exchange, endpoint, reply)

    asyncio.run(send())


@settings(max_examples=200, deadline=None)
@given(request=requests(CONTROL), key=st.text("abc-_%/é", max_size=10))
def test_any_request_of_the_control_plane(exchange: Client, request: tuple[Endpoint, str, bytes], key: str) -> None:
    endpoint, query, body = request

    async def send() -> None:
        target = endpoint.path.replace("{key}", quote(key, safe=""))
        target = f"{target}?{query}" if query else target
        reply = await exchange.send(endpoint.method, target, body, {"x-tickwire-token": TOKEN})
        if endpoint.path != "/_tickwire/health":
            check_reply(exchange, endpoint, reply)

    asyncio.run(send())


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]),
    endpoint=st.sampled_from(TABLE),
    headers=st.dictionaries(
        st.sampled_from(["api-key", "api-expires", "api-signature", "content-type"]),
        st.one_of(st.binary(max_size=30), st.sampled_from([b"1765975900", b"9" * 400, b"demo-key-1", b"0" * 64])),
    ),
)
def test_any_headers_without_a_valid_signature(
    exchange: Client, method: str, endpoint: Endpoint, headers: dict[str, bytes]
) -> None:
    async def send() -> None:
        reply = await exchange.http.request(method, endpoint.path, headers=headers)
        assert reply.status_code in (401, 405) or endpoint.scope is None
        assert exchange.application.failures == 0

    asyncio.run(send())
