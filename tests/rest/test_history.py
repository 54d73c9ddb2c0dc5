import pytest
from tests.rest.support import PERPETUAL, Client, DirectGateway
from tests.rest.test_trade import LIMIT, MARKET, place


async def test_orders_newest_first_and_paged_by_order_id(client: Client) -> None:
    ids = [(await place(client, LIMIT))["orderId"] for _ in range(5)]
    path = "/api/v1/trade/order/history"
    newest = await client.get(f"{path}?count=2")
    assert [row["orderId"] for row in newest["history"]] == [ids[4], ids[3]]
    assert (newest["hasPrev"], newest["hasNext"]) == (False, True)
    older = await client.get(f"{path}?count=2&after={ids[3]}")
    assert [row["orderId"] for row in older["history"]] == [ids[2], ids[1]]
    assert (older["hasPrev"], older["hasNext"]) == (True, True)
    newer = await client.get(f"{path}?count=2&before={ids[1]}")
    assert [row["orderId"] for row in newer["history"]] == [ids[3], ids[2]]


async def test_an_order_in_history_shows_how_it_ended(client: Client) -> None:
    order = await place(client, LIMIT)
    await client.call("DELETE", "/api/v1/trade/order", {"symbol": PERPETUAL, "orderId": order["orderId"]})
    (row,) = (await client.get("/api/v1/trade/order/history"))["history"]
    assert (row["status"], row["orderCancelReason"], row["cumQty"]) == ("CANCELED", "USER_CANCELED", "0")


async def test_executions_by_order_type_and_product(client: Client) -> None:
    filled = await place(client, MARKET)
    resting = await place(client, LIMIT)
    path = "/api/v1/trade/execution/history"
    every = (await client.get(path))["history"]
    assert {row["orderId"] for row in every} == {filled["orderId"], resting["orderId"]}
    trades = (await client.get(f"{path}?execType=TRADE"))["history"]
    assert [(row["orderId"], row["lastPrice"]) for row in trades] == [(filled["orderId"], "74937.1")]
    of_order = (await client.get(f"{path}?orderId={resting['orderId']}"))["history"]
    assert {row["orderId"] for row in of_order} == {resting["orderId"]}
    assert (await client.get(f"{path}?productType=SPOT"))["history"] == []
    assert (await client.get(f"{path}?productType=PERPETUAL&symbol={PERPETUAL}"))["history"] == every


async def test_times_are_inclusive(client: Client) -> None:
    await place(client, LIMIT)
    path = "/api/v1/trade/order/history"
    (row,) = (await client.get(path))["history"]
    time = int(row["orderTime"])
    assert (await client.get(f"{path}?startTime={time}&endTime={time}"))["history"] == [row]
    assert (await client.get(f"{path}?startTime={time + 1}"))["history"] == []


async def test_another_account_sees_nothing_of_it(client: Client, gateway: DirectGateway) -> None:
    await place(client, LIMIT)
    await gateway.open_account("bob")
    bob = Client(client.application, gateway, gateway.keys.create("bob", ["read"]))
    assert (await bob.get("/api/v1/trade/order/history"))["history"] == []
    assert (await bob.get("/api/v1/trade/execution/history"))["history"] == []


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("count=0", "InvalidParameter", "count"),
        ("count=1001", "InvalidParameter", "count"),
        ("productType=FUTURE", "InvalidParameter", "productType"),
        ("productType=null", "InvalidParameter", "productType"),
        ("before=17", "InvalidParameter", "before"),
        ("after=123e4567-e89b-42d3-a456-426614174000", "OrderNotFound", "after"),
        ("startTime=1765975842000", "InvalidParameter", "startTime"),
        ("startTime=1765975842000000001&endTime=1765975842000000000", "InvalidParameter", "endTime"),
    ],
)
async def test_a_bad_query_names_its_field(client: Client, query: str, code: str, field: str) -> None:
    for kind in ("order", "execution"):
        reply = await client.call("GET", f"/api/v1/trade/{kind}/history?{query}")
        assert (reply.status_code, reply.json()["error"]) == (400, code)
        assert reply.json()["message"].startswith(f"{field}: ")


@pytest.mark.parametrize(("query", "field"), [("execType=DIVIDEND", "execType"), ("orderId=1", "orderId")])
async def test_a_bad_query_of_executions(client: Client, query: str, field: str) -> None:
    reply = await client.call("GET", f"/api/v1/trade/execution/history?{query}")
    assert reply.status_code == 400
    assert reply.json()["message"].startswith(f"{field}: ")
