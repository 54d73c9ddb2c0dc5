"""What no exchange offers: the control plane, and the documents that the server gives out."""

import json
from typing import Any

import httpx
import pytest
from tests.contract import shapes
from tests.contract.support import PERPETUAL, Account, Server, until
from websockets.exceptions import ConnectionClosed

CONTROL = (("GET", "keys"), ("POST", "keys"), ("DELETE", "keys/some-key-1"), ("POST", "deposit"))


def call(server: Server, method: str, path: str, body: object = None, token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"x-tickwire-token": token}
    return server.http.request(method, f"/_tickwire/{path}", json=body, headers=headers)


def test_health_is_for_anybody(live: Server) -> None:
    reply = call(live, "GET", "health")
    assert reply.status_code == 200
    health = reply.json()
    assert (health["status"], health["market"]) == ("ok", True)
    assert shapes.timestamp(health["time"])
    with live.demo.stream("account", f"ticker.{PERPETUAL}"):
        later = call(live, "GET", "health").json()
        assert later["sessions"] == health["sessions"] + 1
        assert later["subscriptions"] == health["subscriptions"] + 2
    until(lambda: call(live, "GET", "health").json()["sequence"] > health["sequence"])


@pytest.mark.parametrize(("method", "path"), CONTROL)
@pytest.mark.parametrize("token", [None, "", "wrong", "x" * 5000])
def test_all_else_needs_the_token(quiet: Server, method: str, path: str, token: str | None) -> None:
    reply = call(quiet, method, path, {"account": "mallory"}, token)
    assert (reply.status_code, reply.json()) == (403, {"error": "Forbidden"})
    assert "mallory" not in [row["account"] for row in quiet.control("GET", "keys")["keys"]]


def test_an_api_key_is_no_token(quiet: Server) -> None:
    headers = quiet.demo.headers("GET", "/_tickwire/keys")
    assert quiet.http.get("/_tickwire/keys", headers=headers).status_code == 403
    assert call(quiet, "GET", "keys", token=quiet.demo.secret).status_code == 403


def test_keys(quiet: Server) -> None:
    made = quiet.control("POST", "keys", {"account": "somebody", "scopes": ["read"], "allow": ["127.0.0.1"]})
    assert set(made) == {"key", "secret", "account", "scopes", "allow", "created"}
    rows = {row["key"]: row for row in quiet.control("GET", "keys")["keys"]}
    assert rows[made["key"]] == {name: value for name, value in made.items() if name != "secret"}
    assert quiet.control("DELETE", f"keys/{made['key']}") == {"revoked": True}
    assert quiet.control("DELETE", f"keys/{made['key']}") == {"revoked": False}
    assert made["key"] not in [row["key"] for row in quiet.control("GET", "keys")["keys"]]
    # A text that was a key once is never one again.
    reply = call(quiet, "POST", "keys", {"account": "somebody", "key": made["key"]}, quiet.token)
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "account"),
        ({"account": ""}, "account"),
        ({"account": "a b"}, "account"),
        ({"account": 1}, "account"),
        ({"account": "a", "scopes": []}, "scopes"),
        ({"account": "a", "scopes": ["write"]}, "scopes"),
        ({"account": "a", "allow": ["nowhere"]}, "allow"),
        ({"account": "a", "key": "short"}, "key"),
        ({"account": "a", "secret": "with a blank"}, "secret"),
        ({"account": "a", "secret": ""}, "secret"),
    ],
)
def test_bad_keys(quiet: Server, body: dict[str, Any], field: str) -> None:
    before = quiet.control("GET", "keys")
    reply = call(quiet, "POST", "keys", body, quiet.token)
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")
    assert field in reply.json()["message"]
    assert quiet.control("GET", "keys") == before


def test_deposits_and_withdrawals(alice: Account, bob: Account) -> None:
    def move(amount: str, asset: str = "USDT") -> Any:
        return alice.server.control("POST", "deposit", {"account": "alice", "asset": asset, "amount": amount})

    assert move("50.5") == {
        "asset": "USDT", "balance": "100050.5", "availableBalance": "100050.5", "maxWithdrawableAmount": "100050.5",
    }  # fmt: skip
    assert move("-50.5")["balance"] == "100000"
    assert move("0.00000001", "BTC")["balance"] == "0.00000001"
    # What a position holds stays.
    bob.sell("1", "50000")
    alice.buy("1")
    reply = call(
        alice.server, "POST", "deposit", {"account": "alice", "asset": "USDT", "amount": "-95000"}, alice.server.token
    )
    assert (reply.status_code, reply.json()["error"]) == (400, "InsufficientBalance")
    assert move("-94970")["availableBalance"] == "0"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": "-0"}, "amount"),
        ({"amount": 5}, "amount"),
        ({"amount": "0.000000001"}, "amount"),
        ({"amount": "9" * 30}, "amount"),
        ({"asset": "NOSUCH"}, "asset"),
        ({"account": "nobody-knows"}, "account"),
    ],
)
def test_bad_deposits(quiet: Server, change: dict[str, Any], field: str) -> None:
    body = {"account": "demo", "asset": "USDT", "amount": "1", **change}
    before = quiet.demo.get("/account/balance")
    reply = call(quiet, "POST", "deposit", body, quiet.token)
    assert reply.status_code == 400
    assert field in reply.json()["message"]
    assert quiet.demo.get("/account/balance") == before


@pytest.mark.parametrize("path", ["", "nothing", "keys/", "keys/a/b", "deposit/x", "Keys"])
def test_what_is_not_there(quiet: Server, path: str) -> None:
    assert call(quiet, "GET", path, token=quiet.token).status_code in (404, 405)


def test_the_control_plane_is_not_below_the_api(quiet: Server) -> None:
    assert quiet.http.get("/api/v1/_tickwire/health").status_code == 403
    assert call(quiet, "PATCH", "keys", token=quiet.token).status_code == 405


def test_a_key_for_an_account_that_exists_brings_no_money(alice: Account) -> None:
    alice.server.key("alice")
    assert alice.get("/account")["totalWalletBalance"] == "100000"


def test_a_revoked_keys_sockets_are_closed(alice: Account) -> None:
    with alice.stream("account") as stream:
        alice.server.control("DELETE", f"keys/{alice.key}")
        with pytest.raises(ConnectionClosed) as caught:
            stream.receive()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008


# Documents.


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/stream"])
def test_pages_for_people(quiet: Server, path: str) -> None:
    reply = quiet.http.get(path)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.text.startswith("<!doctype html>") or reply.text.startswith("<!DOCTYPE html>")
    assert "tickwire" in reply.text.lower()


def test_the_openapi_document_describes_every_path(quiet: Server) -> None:
    document = quiet.http.get("/docs/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    assert ("POST", "/api/v1/trade/order") in operations
    assert ("DELETE", "/api/v1/trade/order") in operations
    assert ("GET", "/api/v1/trade/execution/history") in operations
    for method, path in operations:
        # Each is known to the server: with no key it asks for one, or is open.
        status = quiet.http.request(method, path.replace("{key}", "some-key-1")).status_code
        assert status in (200, 401, 403), (method, path)
        assert status != 403 or path.startswith("/_tickwire/")


def test_the_asyncapi_document_names_every_topic(quiet: Server) -> None:
    text = json.dumps(quiet.http.get("/docs/asyncapi.json").json())
    for topic in (
        "ticker.{symbol}", "kline.{interval}.{symbol}", "orderbook.{symbol}", "orderbook.delta.{symbol}", "account",
        "account.margin", "account.balance", "account.position", "account.order", "account.execution",
    ):  # fmt: skip
        assert topic in text, topic


def test_no_page_is_no_page(quiet: Server) -> None:
    for path in ("/nothing", "/docs/", "/docs/../server.json", "/docs/%2e%2e/server.json", "/favicon.ico.txt"):
        reply = quiet.http.get(path, extensions={"target": path.encode()})
        assert reply.status_code == 404, path
    assert quiet.http.post("/docs").status_code == 405
