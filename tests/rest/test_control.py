from typing import Any

import httpx
import msgspec
import pytest
from tests.rest.support import TOKEN, Client, DirectGateway

KEYS = "/_tickwire/keys"
DEPOSIT = "/_tickwire/deposit"


async def control(client: Client, method: str, target: str, body: object = None) -> httpx.Response:
    content = b"" if body is None else msgspec.json.encode(body)
    reply = await client.send(method, target, content, {"x-tickwire-token": TOKEN})
    client.documented.check(method, "/_tickwire/keys/{key}" if target.startswith(f"{KEYS}/") else target, reply)
    return reply


async def test_health_is_for_anybody(anonymous: Client) -> None:
    reply = await anonymous.send("GET", "/_tickwire/health")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok", "version": "1.2.3"})


@pytest.mark.parametrize(
    ("method", "target"), [("GET", KEYS), ("POST", KEYS), ("DELETE", f"{KEYS}/some-key"), ("POST", DEPOSIT)]
)
@pytest.mark.parametrize("headers", [{}, {"x-tickwire-token": ""}, {"x-tickwire-token": TOKEN + "x"}])
async def test_all_else_needs_the_token(client: Client, method: str, target: str, headers: dict[str, str]) -> None:
    reply = await client.send(method, target, b"{}", headers)
    assert (reply.status_code, reply.json()) == (403, {"error": "Forbidden"})


async def test_a_key_from_creation_to_revocation(anonymous: Client, gateway: DirectGateway) -> None:
    created = await control(
        anonymous, "POST", KEYS, {"account": "carol", "scopes": ["read"], "allow": ["192.0.2.0/24"]}
    )
    assert created.status_code == 200
    made = created.json()
    assert (made["account"], made["scopes"], made["allow"]) == ("carol", ["read"], ["192.0.2.0/24"])

    key = gateway.keys.find(made["key"])
    assert key is not None
    assert key.secret == made["secret"]
    carol = Client(anonymous.application, gateway, key)
    assert (await carol.get("/api/v1/account"))["totalWalletBalance"] == "10000"

    listed = (await control(anonymous, "GET", KEYS)).json()["keys"]
    assert [row["key"] for row in listed] == [made["key"]]
    assert made["secret"] not in str(listed)

    revoked = await control(anonymous, "DELETE", f"{KEYS}/{made['key']}")
    assert revoked.json() == {"revoked": True}
    assert (await control(anonymous, "DELETE", f"{KEYS}/{made['key']}")).json() == {"revoked": False}
    assert (await carol.call("GET", "/api/v1/account")).json() == {"error": "api.invalidSession"}


async def test_a_key_may_be_given_with_its_secret(anonymous: Client) -> None:
    wanted = {"account": "alice", "key": "my-own-key", "secret": "my-own-secret"}
    created = (await control(anonymous, "POST", KEYS, wanted)).json()
    assert (created["key"], created["secret"], created["scopes"]) == ("my-own-key", "my-own-secret", ["read", "trade"])
    again = await control(anonymous, "POST", KEYS, wanted)
    assert (again.status_code, again.json()["error"]) == (400, "InvalidParameter")
    assert again.json()["message"].startswith("key: expected one never used before")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"account": ""}, "account"),
        ({"account": "a b"}, "account"),
        ({"account": "house.maker"}, "account"),
        ({"account": "insurance"}, "account"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["admin"]}, "scopes"),
        ({"allow": ["everywhere"]}, "allow"),
        ({"key": "short"}, "key"),
        ({"secret": "with blanks"}, "secret"),
    ],
)
async def test_a_key_that_cannot_be_made(
    anonymous: Client, gateway: DirectGateway, changed: dict[str, Any], field: str
) -> None:
    accounts = set(gateway.engine.accounts)
    reply = await control(anonymous, "POST", KEYS, {"account": "carol", **changed})
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")
    assert reply.json()["message"].startswith(field)
    assert gateway.keys.list() == []
    assert set(gateway.engine.accounts) == accounts


async def test_no_key_without_its_account(anonymous: Client, gateway: DirectGateway) -> None:
    gateway.stopped = True
    reply = await control(anonymous, "POST", KEYS, {"account": "carol"})
    assert (reply.status_code, reply.json()["error"]) == (503, "Unavailable")
    assert gateway.keys.list() == []


async def test_deposits_in_and_out(anonymous: Client) -> None:
    more = await control(anonymous, "POST", DEPOSIT, {"account": "alice", "asset": "USDT", "amount": "2500.5"})
    assert (more.status_code, more.json()["balance"]) == (200, "12500.5")
    less = await control(anonymous, "POST", DEPOSIT, {"account": "alice", "asset": "USDT", "amount": "-12500"})
    assert (less.status_code, less.json()["balance"]) == (200, "0.5")
    below = await control(anonymous, "POST", DEPOSIT, {"account": "alice", "asset": "USDT", "amount": "-1"})
    assert (below.status_code, below.json()["error"]) == (400, "InsufficientBalance")
    spot = await control(anonymous, "POST", DEPOSIT, {"account": "alice", "asset": "BTC", "amount": "1"})
    assert spot.json() == {"asset": "BTC", "balance": "1", "availableBalance": "1", "maxWithdrawableAmount": "1"}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"account": "nobody"}, "account"),
        ({"asset": "EUR"}, "asset"),
        ({"amount": "0"}, "amount"),
        ({"amount": "-0"}, "amount"),
        ({"amount": "--1"}, "amount"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": 5}, "amount"),
        ({"amount": "0.000000001"}, "amount"),
        ({"amount": "99999999999999999"}, "amount"),
        ({"amount": "39999999999"}, "amount"),
    ],
)
async def test_a_deposit_that_cannot_be(anonymous: Client, changed: dict[str, Any], field: str) -> None:
    reply = await control(anonymous, "POST", DEPOSIT, {"account": "alice", "asset": "USDT", "amount": "1", **changed})
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")
    assert reply.json()["message"].startswith(f"{field}: ")


async def test_other_methods_and_paths(anonymous: Client) -> None:
    reply = await anonymous.send("PUT", KEYS, headers={"x-tickwire-token": TOKEN})
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, POST, HEAD")
    for target in ("/_tickwire/", "/_tickwire/nope", "/_tickwire/keys/a/b"):
        assert (await anonymous.send("GET", target, headers={"x-tickwire-token": TOKEN})).status_code == 404


async def test_a_form_of_another_site_does_nothing(anonymous: Client, gateway: DirectGateway) -> None:
    reply = await anonymous.send(
        "POST", KEYS, b'{"account":"alice"}', {"content-type": "text/plain", "origin": "https://evil.example"}
    )
    assert reply.status_code == 403
    assert gateway.keys.list() == []
