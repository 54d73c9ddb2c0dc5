from tests.rest.support import PERPETUAL, Client, DirectGateway

from tickwire.exchange.commands import PlaceOrder


async def test_an_account_that_did_nothing(client: Client) -> None:
    assert await client.get("/api/v1/account") == {
        "totalWalletBalance": "10000",
        "totalUnrealizedPnl": "0",
        "totalMarginBalance": "10000",
        "totalMarginReserved": "0",
        "availableBalance": "10000",
    }
    assert await client.get("/api/v1/account/position") == []


async def test_margin_is_wrapped_and_balance_is_not(client: Client) -> None:
    margin = await client.get("/api/v1/account/margin?currency=USDT")
    assert [row["currency"] for row in margin["margins"]] == ["USDT"]
    balances = await client.get("/api/v1/account/balance?asset=USDT")
    assert [(row["asset"], row["balance"]) for row in balances] == [("USDT", "10000")]
    assert [row["balance"] for row in await client.get("/api/v1/account/balance?asset=DOGE")] == ["0"]


async def test_an_unknown_asset_or_currency_names_the_field(client: Client) -> None:
    for target, field in (("balance?asset=NOPE", "asset"), ("margin?currency=DOGE", "currency")):
        reply = await client.call("GET", f"/api/v1/account/{target}")
        assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")
        assert reply.json()["message"].startswith(f"{field}: ")


async def test_a_position_is_shown_to_its_account_only(client: Client, gateway: DirectGateway) -> None:
    gateway.apply(PlaceOrder("alice", PERPETUAL, -1, 2, quantity=10_000))
    (position,) = await client.get(f"/api/v1/account/position?symbol={PERPETUAL}")
    assert (position["positionSide"], position["positionQty"]) == ("SHORT", "0.01")
    await gateway.open_account("bob")
    bob = Client(client.application, gateway, gateway.keys.create("bob", ["read"]))
    assert await bob.get("/api/v1/account/position") == []


async def test_the_trade_mode_is_echoed_and_holds(client: Client) -> None:
    order = {"symbol": PERPETUAL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    reply = await client.call("PUT", "/api/v1/account/trade-mode", {"tradeMode": "MULTIPLE_POSITIONS"})
    assert (reply.status_code, reply.json()) == (200, {"tradeMode": "MULTIPLE_POSITIONS"})
    refused = await client.call("POST", "/api/v1/trade/order", order)
    assert (refused.status_code, refused.json()["error"]) == (400, "InvalidTradeMode")
    await client.call("PUT", "/api/v1/account/trade-mode", {"tradeMode": "ONE_WAY"})
    assert (await client.call("POST", "/api/v1/trade/order", order)).status_code == 200


async def test_an_unknown_trade_mode_names_the_field(client: Client) -> None:
    reply = await client.call("PUT", "/api/v1/account/trade-mode", {"tradeMode": "HEDGE"})
    assert reply.status_code == 400
    assert reply.json()["message"].startswith("tradeMode: ")
