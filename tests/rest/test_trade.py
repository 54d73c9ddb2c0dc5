from typing import Any

import pytest
from tests.rest.support import PERPETUAL, Client, DirectGateway, make_application

LIMIT = {"symbol": PERPETUAL, "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "74000.0"}
MARKET = {"symbol": PERPETUAL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}


async def place(client: Client, order: dict[str, Any]) -> dict[str, Any]:
    reply = await client.call("POST", "/api/v1/trade/order", order)
    assert reply.status_code == 200, reply.text
    placed: dict[str, Any] = reply.json()["order"]
    return placed


async def test_an_order_from_placing_to_cancelling(client: Client) -> None:
    order = await place(client, LIMIT)
    assert (order["status"], order["leavesQty"], order["price"]) == ("NEW", "0.01", "74000.0")
    assert await client.get(f"/api/v1/trade/order?symbol={PERPETUAL}") == [order]
    assert await client.get("/api/v1/trade/order?symbol=BTCUSDT") == []

    cancelled = await client.call("DELETE", "/api/v1/trade/order", {"symbol": PERPETUAL, "orderId": order["orderId"]})
    assert (cancelled.status_code, cancelled.text) == (200, "{}")
    assert await client.get("/api/v1/trade/order") == []
    again = await client.call("DELETE", "/api/v1/trade/order", {"symbol": PERPETUAL, "orderId": order["orderId"]})
    assert (again.status_code, again.json()["error"]) == (400, "OrderNotFound")


async def test_open_orders_may_be_wrapped(client: Client, gateway: DirectGateway) -> None:
    order = await place(client, LIMIT)
    wrapped = Client(make_application(gateway, open_orders="wrapped"), gateway, client.key, "wrapped")
    assert await wrapped.get("/api/v1/trade/order") == {"orders": [order]}


async def test_a_market_order_shows_its_fills(client: Client) -> None:
    order = await place(client, MARKET)
    assert (order["status"], order["leavesQty"], order["timeInForce"]) == ("FILLED", "0", "IOC")


async def test_take_profit_and_stop_loss(client: Client) -> None:
    order = await place(client, MARKET)
    reply = await client.call(
        "PUT",
        "/api/v1/trade/order",
        {"symbol": PERPETUAL, "orderId": order["orderId"], "newTakeProfitPrice": "80000.0", "newStopLossPrice": None},
    )
    assert reply.status_code == 200, reply.text
    assert (reply.json()["order"]["takeProfitPrice"], reply.json()["order"]["stopLossPrice"]) == ("80000.0", None)


async def test_leverage_and_isolated_margin(client: Client) -> None:
    reply = await client.call(
        "POST", "/api/v1/trade/leverage", {"symbol": PERPETUAL, "leverage": 20, "marginType": "ISOLATED"}
    )
    assert (reply.status_code, reply.json()["position"]["leverage"]) == (200, 20)
    none = await client.call("POST", "/api/v1/trade/margin", {"symbol": PERPETUAL, "amount": "5", "type": 1})
    assert (none.status_code, none.json()["error"]) == (400, "PositionNotFound")
    await place(client, MARKET)
    added = await client.call("POST", "/api/v1/trade/margin", {"symbol": PERPETUAL, "amount": "5", "type": 1})
    assert (added.status_code, added.json()["position"]["marginType"]) == (200, "ISOLATED")
    high = await client.call(
        "POST", "/api/v1/trade/leverage", {"symbol": PERPETUAL, "leverage": 101, "marginType": "ISOLATED"}
    )
    assert (high.status_code, high.json()["error"]) == (400, "TooHighLeverage")


async def test_symbols(client: Client) -> None:
    symbols = await client.get("/api/v1/trade/symbol")
    assert PERPETUAL in symbols["perpetualSwap"]
    assert "BTCUSDT" in symbols["spot"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"symbol": 5}, "symbol"),
        ({"side": "LONG"}, "side"),
        ({"quantity": 0.01}, "quantity"),
        ({"quantity": "NaN"}, "quantity"),
        ({"quantity": "1e-2"}, "quantity"),
        ({"quantity": "0.0000001"}, "quantity"),
        ({"quantity": "-1"}, "quantity"),
        ({"quantity": "0.01", "amount": "5"}, "quantity"),
        ({"quantity": None}, "quantity"),
        ({"price": None}, "price"),
        ({"price": "74000.05"}, "price"),
        ({"reduceOnly": "yes"}, "reduceOnly"),
        ({"timeInForce": "DAY"}, "timeInForce"),
        ({"priceMatchStrategy": "BEST"}, "priceMatchStrategy"),
        ({"type": "MARKET", "price": None, "timeInForce": "IOC"}, "timeInForce"),
    ],
)
async def test_a_bad_order_names_its_field(client: Client, changed: dict[str, Any], field: str) -> None:
    reply = await client.call("POST", "/api/v1/trade/order", {**LIMIT, **changed})
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")
    assert reply.json()["message"].startswith(f"{field}: expected")
    assert reply.headers["x-prex-error-type"] == "InvalidParameter"


async def test_a_field_that_is_missing_is_named_and_one_that_is_unknown_is_ignored(client: Client) -> None:
    reply = await client.call("POST", "/api/v1/trade/order", {"symbol": PERPETUAL, "side": "BUY"})
    assert reply.json()["message"] == "type: expected a value, got nothing"
    await place(client, {**LIMIT, "clientOrderId": "mine"})


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({**LIMIT, "symbol": "NOPE"}, "InvalidSymbol"),
        ({**LIMIT, "quantity": "0.000001"}, "MinNotional"),
        ({**LIMIT, "quantity": "100"}, "InsufficientBalance"),
        ({**MARKET, "reduceOnly": True}, "ReduceOnlyRejected"),
        ({**MARKET, "symbol": "ETHUSDT.PERP"}, "NoCounterparty"),
        ({**MARKET, "maxSlippagePrice": "74937.0"}, "SlippageExceeded"),
    ],
)
async def test_an_order_that_the_engine_refuses(client: Client, order: dict[str, Any], code: str) -> None:
    reply = await client.call("POST", "/api/v1/trade/order", order)
    assert (reply.status_code, reply.json()["error"]) == (400, code)
    assert await client.get("/api/v1/trade/order") == []


@pytest.mark.parametrize(
    "order_id", ["", "7", "019b2c8a-3f2f-7000-8000-0000000004d", "not-a-uuid-not-a-uuid-not-a-uuid-1234"]
)
async def test_what_is_no_order_id(client: Client, order_id: str) -> None:
    for method in ("DELETE", "PUT"):
        reply = await client.call(method, "/api/v1/trade/order", {"symbol": PERPETUAL, "orderId": order_id})
        assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")
        assert reply.json()["message"].startswith("orderId: ")
