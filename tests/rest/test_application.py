import asyncio
import logging
from typing import Any

import pytest
from tests.rest.support import PERPETUAL, Client, DirectGateway, make_application

from tickwire.exchange.commands import Command
from tickwire.rest.application import Application, endpoints
from tickwire.rest.limits import RequestLimits
from tickwire.wire.requests import MAX_BODY_BYTES

ACCOUNT = "/api/v1/account"
ORDER = "/api/v1/trade/order"


# Who may do what (contract section 2).


async def test_every_endpoint_but_two_needs_a_signature(anonymous: Client) -> None:
    for endpoint in endpoints():
        reply = await anonymous.send(endpoint.method, endpoint.path)
        if endpoint.path.startswith("/api/v1/public/"):
            assert reply.status_code == 200
            continue
        assert (reply.status_code, reply.text) == (401, '{"error":"api.unauthorized"}'), endpoint.path
        assert reply.headers["x-prex-error-type"] == "api.unauthorized"
        assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("replaced", "status", "code"),
    [
        ({"signature": "0" * 64}, 401, "api.unauthorized"),
        ({"signature": "\xe9"}, 401, "api.unauthorized"),
        ({"expires": "1765975841"}, 401, "api.unauthorized"),
        ({"expires": "1766975841"}, 401, "api.unauthorized"),
        ({"expires": "soon"}, 401, "api.unauthorized"),
        ({"key": "no-such-key"}, 401, "api.invalidSession"),
    ],
)
async def test_a_signature_that_does_not_hold(client: Client, replaced: dict[str, str], status: int, code: str) -> None:
    headers = client.signed("GET", ACCOUNT, **replaced)
    reply = await client.http.get(ACCOUNT, headers={name: value.encode("latin-1") for name, value in headers.items()})
    assert (reply.status_code, reply.json()) == (status, {"error": code})


@pytest.mark.parametrize("header", ["api-key", "api-expires", "api-signature"])
async def test_a_missing_header(client: Client, header: str) -> None:
    headers = client.signed("GET", ACCOUNT)
    del headers[header]
    reply = await client.send("GET", ACCOUNT, headers=headers)
    assert (reply.status_code, reply.json()) == (401, {"error": "api.unauthorized"})


async def test_a_revoked_key(client: Client, gateway: DirectGateway) -> None:
    assert client.key is not None
    gateway.keys.revoke(client.key.key)
    assert (await client.call("GET", ACCOUNT)).json() == {"error": "api.invalidSession"}


async def test_scopes(application: Application, gateway: DirectGateway) -> None:
    order = {"symbol": PERPETUAL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    reader = Client(application, gateway, gateway.keys.create("alice", ["read"]))
    trader = Client(application, gateway, gateway.keys.create("alice", ["trade"]))
    assert (await reader.call("GET", ACCOUNT)).status_code == 200
    assert (await trader.call("POST", ORDER, order)).status_code == 200
    for reply in (await reader.call("POST", ORDER, order), await trader.call("GET", ACCOUNT)):
        assert (reply.status_code, reply.json()) == (403, {"error": "Forbidden"})
        assert reply.headers["x-prex-error-type"] == "Forbidden"


async def test_a_key_works_from_its_addresses_only(application: Application, gateway: DirectGateway) -> None:
    inside = Client(application, gateway, gateway.keys.create("alice", ["read"], ["192.0.2.0/24"]))
    outside = Client(application, gateway, gateway.keys.create("alice", ["read"], ["198.51.100.1"]))
    assert (await inside.call("GET", ACCOUNT)).status_code == 200
    assert (await outside.call("GET", ACCOUNT)).status_code == 403


async def test_the_signature_is_over_the_raw_target(client: Client) -> None:
    plain = f"/api/v1/market/ticker?symbol={PERPETUAL}"
    encoded = "/api/v1/market/ticker?symbol=BTCUSDT%2EPERP&now=a+b"
    assert (await client.call("GET", encoded)).json()["symbol"] == PERPETUAL
    reply = await client.send("GET", encoded, headers=client.signed("GET", plain))
    assert reply.status_code == 401


async def test_an_empty_query_may_be_signed_with_its_question_mark(client: Client) -> None:
    assert (await client.send("GET", ACCOUNT, headers=client.signed("GET", f"{ACCOUNT}?"))).status_code == 200


async def test_the_signature_covers_the_body(client: Client) -> None:
    headers = client.signed("PUT", "/api/v1/account/trade-mode", b'{"tradeMode":"ONE_WAY"}')
    reply = await client.send("PUT", "/api/v1/account/trade-mode", b'{"tradeMode":"MULTIPLE_POSITIONS"}', headers)
    assert reply.status_code == 401


async def test_a_body_on_a_get_is_signed_and_ignored(client: Client) -> None:
    assert (await client.call("GET", ACCOUNT, b"whatever")).status_code == 200
    assert (await client.send("GET", ACCOUNT, b"x", client.signed("GET", ACCOUNT))).status_code == 401


# Paths, methods and content types.


@pytest.mark.parametrize(
    "target", ["/api/v1", "/api/v1/", "/api/v1/nope", "/api/v1/account/", "/api/v1/%61ccount", "/api/v1//account"]
)
async def test_an_unknown_path(client: Client, target: str) -> None:
    reply = await client.send("GET", target)
    assert (reply.status_code, reply.text) == (403, "Invalid Origin")
    assert reply.headers["content-type"] == "text/plain"
    assert reply.headers["x-ratelimit-limit"] == "100"


async def test_a_path_with_another_method(client: Client) -> None:
    for method in ("POST", "OPTIONS", "PATCH", "BREW"):
        reply = await client.send(method, ACCOUNT)
        assert (reply.status_code, reply.json()["error"]) == (405, "MethodNotAllowed")
        assert reply.headers["allow"] == "GET, HEAD"
        assert reply.headers["x-ratelimit-remaining"]
    reply = await client.send("PATCH", ORDER)
    assert reply.headers["allow"] == "POST, PUT, GET, DELETE, HEAD"


async def test_head_is_get_without_the_body(client: Client) -> None:
    get = await client.send("GET", ACCOUNT, headers=client.signed("GET", ACCOUNT))
    head = await client.send("HEAD", ACCOUNT, headers=client.signed("HEAD", ACCOUNT))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert (await client.send("HEAD", ACCOUNT, headers=client.signed("GET", ACCOUNT))).status_code == 401


async def test_the_stream_wants_an_upgrade(anonymous: Client) -> None:
    reply = await anonymous.send("GET", "/api/v1/stream")
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")
    assert reply.json()["message"].startswith("upgrade: expected")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 200),
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 400),
        ("application/x-www-form-urlencoded", 400),
        ("", 400),
    ],
)
async def test_a_write_is_json(client: Client, content_type: str | None, status: int) -> None:
    body = b'{"tradeMode":"ONE_WAY"}'
    headers = client.signed("PUT", "/api/v1/account/trade-mode", body)
    if content_type is not None:
        headers["content-type"] = content_type
    reply = await client.send("PUT", "/api/v1/account/trade-mode", body, headers)
    assert reply.status_code == status
    if status == 400:
        assert reply.json()["error"] == "InvalidParameter"
        assert reply.json()["message"].startswith("content-type: expected application/json")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"tradeMode":"\xff"}', b"[" * 60_000])
async def test_a_body_that_is_no_json_object(client: Client, body: bytes) -> None:
    reply = await client.call("PUT", "/api/v1/account/trade-mode", body)
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")
    assert reply.json()["message"].startswith("body: expected")


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 3 * 1024 * 1024])
async def test_a_body_that_is_too_large(client: Client, size: int) -> None:
    reply = await client.call("POST", ORDER, b" " * size)
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")
    assert reply.json()["message"].startswith(f"body: expected at most {MAX_BODY_BYTES} bytes")


async def test_a_body_as_large_as_may_be(client: Client) -> None:
    body = b'{"tradeMode":"ONE_WAY"}'.rjust(MAX_BODY_BYTES)
    assert (await client.call("PUT", "/api/v1/account/trade-mode", body)).status_code == 200


# The order of things.


async def test_a_read_shows_only_what_is_committed(client: Client, gateway: DirectGateway) -> None:
    committed = asyncio.Event()
    shown = asyncio.Event()

    async def settled() -> None:
        shown.set()
        await committed.wait()

    gateway.settled = settled  # type: ignore[method-assign]
    request = asyncio.create_task(client.get(f"/api/v1/market/orderbook?symbol={PERPETUAL}&limit=1"))
    await shown.wait()
    assert not request.done()
    # What comes after the request is not in its reply: it was rendered before the wait.
    gateway.engine.markets.clear()
    committed.set()
    assert (await request)["bids"] == [["74937.0", "1"]]


async def test_a_write_is_one_command_and_waits_for_its_own_commit_alone(
    client: Client, gateway: DirectGateway
) -> None:
    await client.call("PUT", "/api/v1/account/trade-mode", {"tradeMode": "ONE_WAY"})
    assert gateway.log == ["SetTradeMode"]


async def test_when_the_exchange_stops(client: Client, gateway: DirectGateway) -> None:
    gateway.stopped = True
    order = {"symbol": PERPETUAL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    for reply in (await client.call("POST", ORDER, order), await client.call("GET", ACCOUNT)):
        assert (reply.status_code, reply.json()["error"]) == (503, "Unavailable")


async def test_an_unexpected_exception_is_logged_and_not_shown(
    client: Client, gateway: DirectGateway, caplog: pytest.LogCaptureFixture
) -> None:
    async def submit(command: Command, render: Any) -> Any:
        raise RuntimeError("the secret of the machine room")

    gateway.submit = submit  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR, "tickwire.rest"):
        reply = await client.call("PUT", "/api/v1/account/trade-mode", {"tradeMode": "ONE_WAY"})
    assert reply.status_code == 500
    assert reply.json() == {"error": "InternalError", "message": "the server failed on this request"}
    assert reply.headers["x-prex-error-type"] == "InternalError"
    assert client.application.failures == 1
    assert "the secret of the machine room" in caplog.text
    assert "PUT /api/v1/account/trade-mode failed" in caplog.text


async def test_a_client_that_goes_away_in_its_body_gets_no_reply(client: Client) -> None:
    messages: list[Any] = []
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    for path in (b"/api/v1/account/trade-mode", b"/api/v1/nope", b"/_tickwire/deposit"):
        messages[:] = [
            {"type": "http.request", "body": b'{"trade', "more_body": True},
            {"type": "http.disconnect"},
        ]
        scope = {"type": "http", "method": "POST", "raw_path": path, "query_string": b"", "headers": [], "client": None}
        await client.application(scope, receive, send)
        assert messages == []
    assert sent == []


async def test_only_http(application: Application) -> None:
    async def never(*_: Any) -> Any:
        raise AssertionError

    with pytest.raises(ValueError, match="expected an http scope, got websocket"):
        await application({"type": "websocket"}, never, never)


# Limits (contract section 8).


async def test_every_reply_carries_the_limits(client: Client, gateway: DirectGateway) -> None:
    for remaining in (99, 98):
        reply = await client.call("GET", ACCOUNT)
        assert reply.headers["x-ratelimit-limit"] == "100"
        assert reply.headers["x-ratelimit-remaining"] == str(remaining)
        assert int(reply.headers["x-ratelimit-reset"]) == gateway.now() // 10**9 + 1


async def test_too_many_requests_of_one_key(gateway: DirectGateway) -> None:
    application = make_application(gateway, limits=RequestLimits(3))
    client = Client(application, gateway, gateway.keys.create("alice", ["read"]))
    other = Client(application, gateway, gateway.keys.create("alice", ["read"]))
    for _ in range(3):
        assert (await client.call("GET", ACCOUNT)).status_code == 200
    refused = await client.call("GET", ACCOUNT)
    assert (refused.status_code, refused.json()["error"]) == (429, "TooManyRequests")
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-prex-error-type"] == "TooManyRequests"
    assert (await other.call("GET", ACCOUNT)).status_code == 200
    gateway.time += 10**9
    assert (await client.call("GET", ACCOUNT)).status_code == 200


async def test_requests_without_a_valid_key_count_for_their_address(gateway: DirectGateway) -> None:
    application = make_application(gateway, limits=RequestLimits(4))
    client = Client(application, gateway, gateway.keys.create("alice", ["read"]))
    bad = client.signed("GET", ACCOUNT, signature="0" * 64)
    statuses = [
        (await client.send("GET", "/api/v1/public/ping")).status_code,
        (await client.send("GET", "/api/v1/nope")).status_code,
        (await client.send("POST", ACCOUNT)).status_code,
        (await client.send("GET", ACCOUNT, headers=bad)).status_code,
        (await client.send("GET", ACCOUNT, headers=bad)).status_code,
        (await client.send("GET", "/api/v1/nope")).status_code,
    ]
    assert statuses == [200, 403, 405, 401, 429, 429]
    # Nobody uses up a key that he cannot sign for, nor one that comes from the same address.
    assert (await client.call("GET", ACCOUNT)).headers["x-ratelimit-remaining"] == "3"


async def test_without_limits(gateway: DirectGateway) -> None:
    client = Client(make_application(gateway, limits=None), gateway, gateway.keys.create("alice", ["read"]))
    for target in (ACCOUNT, "/api/v1/nope"):
        reply = await client.send("GET", target, headers=client.signed("GET", target))
        assert not [name for name in reply.headers if name.startswith("x-ratelimit")]
