"""Contract, section 2: signatures, keys, scopes, and how a request or an upgrade is refused."""

import time
from typing import Any

import httpx
import pytest
from tests.contract.support import PERPETUAL, STREAM, Account, Server, sign
from websockets.exceptions import ConnectionClosed, InvalidStatus

UNAUTHORIZED = (401, "api.unauthorized")
UNKNOWN_KEY = (401, "api.invalidSession")
FORBIDDEN = (403, "Forbidden")
DAY = 24 * 3600

Refusal = tuple[int, str]


def rest_refusal(reply: httpx.Response) -> Refusal:
    """Status and code of a refusal whose form is as it should be."""
    code = reply.headers["x-prex-error-type"]
    assert reply.json() == {"error": code}
    assert reply.headers["content-type"] == "application/json"
    return reply.status_code, code


def stream_refusal(account: Account, headers: dict[str, str], query: str = "") -> Refusal:
    """The same of an upgrade."""
    with pytest.raises(InvalidStatus) as caught:
        open_stream(account, headers, query)
    response = caught.value.response
    code = response.headers["x-prex-error-type"]
    assert response.body == b'{"error":"%b"}' % code.encode()
    assert response.headers["content-type"] == "application/json"
    return response.status_code, code


def open_stream(account: Account, headers: dict[str, str], query: str = "") -> Any:
    with account.stream(additional_headers=headers, url=account.server.stream_url + query) as stream:
        stream.send(op="ping")
        return stream.receive()["op"]


def test_vector() -> None:
    assert (
        sign("secret", "GET", "/api/v1/account", "1700000000")
        == "325b3b678130137bd18545487eb8152a9626d00e569b30b7f6ced15d34eaa534"
    )


def test_no_key_is_needed_for_ping_and_time(quiet: Server) -> None:
    reply = quiet.http.get("/api/v1/public/ping")
    assert (reply.status_code, reply.text) == (200, "{}")
    assert quiet.http.get("/api/v1/public/time").status_code == 200


# What can be wrong with the three values, for REST and stream alike.


def missing(name: str) -> Any:
    return lambda account, method, target: {
        key: value for key, value in account.headers(method, target).items() if key != name
    }


def with_expires(offset: float) -> Any:
    return lambda account, method, target: account.headers(method, target, expires=str(int(time.time() + offset)))


def with_value(name: str, value: str) -> Any:
    return lambda account, method, target: account.headers(method, target) | {name: value}


def signed_as(method: str, target: str) -> Any:
    return lambda account, *_: account.headers(method, target)


BAD_CREDENTIALS = {
    "no key": (missing("api-key"), UNAUTHORIZED),
    "no expiry": (missing("api-expires"), UNAUTHORIZED),
    "no signature": (missing("api-signature"), UNAUTHORIZED),
    "empty key": (with_value("api-key", ""), UNAUTHORIZED),
    "empty signature": (with_value("api-signature", ""), UNAUTHORIZED),
    "expired": (with_expires(-2), UNAUTHORIZED),
    "expired long ago": (lambda a, m, t: a.headers(m, t, expires="1"), UNAUTHORIZED),
    "more than a day ahead": (with_expires(DAY + 60), UNAUTHORIZED),
    "milliseconds": (lambda a, m, t: a.headers(m, t, expires=str(time.time_ns() // 10**6)), UNAUTHORIZED),
    "a fraction": (lambda a, m, t: a.headers(m, t, expires=f"{time.time() + 60:.3f}"), UNAUTHORIZED),
    "a sign": (lambda a, m, t: a.headers(m, t, expires=f"+{int(time.time()) + 60}"), UNAUTHORIZED),
    "words": (lambda a, m, t: a.headers(m, t, expires="tomorrow"), UNAUTHORIZED),
    "400 digits": (lambda a, m, t: a.headers(m, t, expires="9" * 400), UNAUTHORIZED),
    "wrong signature": (with_value("api-signature", "0" * 64), UNAUTHORIZED),
    "not hex": (with_value("api-signature", "signed"), UNAUTHORIZED),
    "upper case": (
        lambda a, m, t: (h := a.headers(m, t)) | {"api-signature": h["api-signature"].upper()},
        UNAUTHORIZED,
    ),
    "another path": (signed_as("GET", "/api/v1/market/ticker"), UNAUTHORIZED),
    "another method": (signed_as("POST", "/api/v1/account"), UNAUTHORIZED),
    "unknown key": (with_value("api-key", "no-such-key-0123"), UNKNOWN_KEY),
    "key of 4 kB": (with_value("api-key", "k" * 4_000), UNKNOWN_KEY),
}
CASES = pytest.mark.parametrize(("make", "refusal"), BAD_CREDENTIALS.values(), ids=BAD_CREDENTIALS)


@CASES
def test_rest_refuses(quiet: Server, make: Any, refusal: Refusal) -> None:
    headers = make(quiet.demo, "GET", "/api/v1/account")
    assert rest_refusal(quiet.http.get("/api/v1/account", headers=headers)) == refusal


@CASES
def test_stream_refuses_before_the_upgrade(quiet: Server, make: Any, refusal: Refusal) -> None:
    assert stream_refusal(quiet.demo, make(quiet.demo, "GET", STREAM)) == refusal


@CASES
def test_stream_refuses_the_same_in_its_query(quiet: Server, make: Any, refusal: Refusal) -> None:
    query = httpx.QueryParams(make(quiet.demo, "GET", STREAM))
    assert stream_refusal(quiet.demo, {}, f"?{query}") == refusal


@pytest.mark.parametrize("offset", [5, 3600, DAY - 60])
def test_expiry_may_be_up_to_a_day_ahead(quiet: Server, offset: int) -> None:
    headers = quiet.demo.headers("GET", "/api/v1/account", expires=str(int(time.time()) + offset))
    assert quiet.http.get("/api/v1/account", headers=headers).status_code == 200


def test_the_signature_covers_query_and_body(quiet: Server) -> None:
    demo = quiet.demo
    target = f"/api/v1/market/ticker?symbol={PERPETUAL}"
    assert quiet.http.get(target, headers=demo.headers("GET", target)).status_code == 200
    other = demo.headers("GET", "/api/v1/market/ticker")
    assert rest_refusal(quiet.http.get(target, headers=other)) == UNAUTHORIZED

    path, body = "/api/v1/account/trade-mode", b'{"tradeMode":"ONE_WAY"}'
    signed = demo.headers("PUT", path, body) | {"content-type": "application/json"}
    assert quiet.http.put(path, content=body, headers=signed).status_code == 200
    assert rest_refusal(quiet.http.put(path, content=body + b" ", headers=signed)) == UNAUTHORIZED
    assert rest_refusal(quiet.http.put(path, content=body, headers=demo.headers("PUT", path))) == UNAUTHORIZED


@pytest.mark.parametrize(
    "query",
    [
        "?symbol=BTCUSDT.PERP", "?symbol=BTCUSDT%2EPERP", "?symbol=%42TCUSDT.PERP", "?symbol=BTCUSDT.PERP&symbol2=%20+",
        "?symbol=BTCUSDT.PERP&", "?", "?unknown=1&other",
    ],
)  # fmt: skip
def test_the_query_is_signed_exactly_as_sent(quiet: Server, query: str) -> None:
    # Escapes are neither resolved nor made uniform before the signature is checked.
    assert quiet.demo.send("GET", "/market/ticker" + query).status_code == 200


def test_a_secret_is_used_as_text_even_when_it_looks_like_hex(quiet: Server) -> None:
    account = quiet.key("hex-secret", key="hex-secret-key", secret="00ff00ff00ff00ff")
    assert account.get("/account")["totalWalletBalance"] == "100000"


def test_a_secret_of_every_printable_character_works(quiet: Server) -> None:
    secret = "".join(map(chr, range(0x21, 0x7F)))
    assert quiet.key("odd-secret", secret=secret).get("/account/position") == []


def test_header_names_are_read_in_any_case(quiet: Server) -> None:
    headers = {name.title(): value for name, value in quiet.demo.headers("GET", "/api/v1/account").items()}
    assert quiet.http.get("/api/v1/account", headers=headers).status_code == 200
    headers = {name.upper(): value for name, value in quiet.demo.headers("GET", STREAM).items()}
    assert open_stream(quiet.demo, headers) == "pong"


# The stream's handshake.


def test_stream_by_headers(quiet: Server) -> None:
    assert open_stream(quiet.demo, quiet.demo.headers("GET", STREAM)) == "pong"


def test_stream_by_query_for_browsers(quiet: Server) -> None:
    # Signed without the query, whatever else is in it.
    query = httpx.QueryParams(quiet.demo.headers("GET", STREAM) | {"client": "browser"})
    assert open_stream(quiet.demo, {}, f"?{query}") == "pong"


def test_stream_is_not_signed_with_its_query(quiet: Server) -> None:
    headers = quiet.demo.headers("GET", f"{STREAM}?client=browser")
    assert stream_refusal(quiet.demo, headers, "?client=browser") == UNAUTHORIZED


def test_an_open_socket_outlives_its_expiry(quiet: Server) -> None:
    expires = int(time.time()) + 1
    headers = quiet.demo.headers("GET", STREAM, expires=str(expires))
    with quiet.demo.stream("account", additional_headers=headers) as stream:
        while time.time() < expires + 1.2:
            time.sleep(0.1)
        assert stream_refusal(quiet.demo, headers) == UNAUTHORIZED
        stream.subscribe("account.order")
        stream.send(op="ping")
        assert stream.receive()["op"] == "pong"


def test_revoking_a_key_closes_its_sockets_and_no_others(quiet: Server) -> None:
    account = quiet.account()
    other = quiet.key(account.name)
    with account.stream("account") as first, account.stream("account") as second, other.stream("account") as third:
        assert quiet.control("DELETE", f"keys/{account.key}") == {"revoked": True}
        for stream in (first, second):
            with pytest.raises(ConnectionClosed) as caught:
                stream.receive()
            assert caught.value.rcvd is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1008, "key revoked")
        third.send(op="ping")
        assert third.receive()["op"] == "pong"
    assert rest_refusal(account.send("GET", "/account")) == UNKNOWN_KEY
    assert stream_refusal(account, account.headers("GET", STREAM)) == UNKNOWN_KEY
    assert other.get("/account")["totalWalletBalance"] == "100000"


# Scopes and addresses.

READS = (
    "/market/contract", "/market/ticker", "/market/funding-info", f"/market/kline?symbol={PERPETUAL}&interval=1",
    f"/market/orderbook?symbol={PERPETUAL}", "/market/fee-rate", "/account", "/account/margin", "/account/balance",
    "/account/position", "/trade/order", "/trade/symbol", "/trade/order/history", "/trade/execution/history",
)  # fmt: skip
WRITES = (
    ("PUT", "/account/trade-mode"), ("POST", "/trade/order"), ("PUT", "/trade/order"), ("DELETE", "/trade/order"),
    ("POST", "/trade/leverage"), ("POST", "/trade/margin"),
)  # fmt: skip


@pytest.fixture(scope="module")
def scoped(quiet: Server) -> dict[str, Account]:
    """Keys of one account, by scope."""
    return {scope: quiet.key("scoped", scopes=[scope]) for scope in ("read", "trade")}


@pytest.mark.parametrize("target", READS)
def test_gets_need_the_scope_read(scoped: dict[str, Account], target: str) -> None:
    assert scoped["read"].send("GET", target).status_code == 200
    assert rest_refusal(scoped["trade"].send("GET", target)) == FORBIDDEN


@pytest.mark.parametrize(("method", "target"), WRITES)
def test_writes_need_the_scope_trade(scoped: dict[str, Account], method: str, target: str) -> None:
    assert rest_refusal(scoped["read"].send(method, target, b"{}")) == FORBIDDEN
    # Let in, and refused for its fields.
    assert scoped["trade"].refused(method, target)[0] == "InvalidParameter"


def test_the_stream_needs_the_scope_read(scoped: dict[str, Account]) -> None:
    reader, trader = scoped["read"], scoped["trade"]
    assert open_stream(reader, reader.headers("GET", STREAM)) == "pong"
    assert stream_refusal(trader, trader.headers("GET", STREAM)) == FORBIDDEN


@pytest.mark.parametrize("allow", [["127.0.0.1"], ["127.0.0.0/8"], ["192.0.2.0/24", "::ffff:127.0.0.1"]])
def test_a_key_may_be_bound_to_addresses(quiet: Server, allow: list[str]) -> None:
    account = quiet.key("bound", allow=allow)
    assert account.send("GET", "/account").status_code == 200
    assert open_stream(account, account.headers("GET", STREAM)) == "pong"


@pytest.mark.parametrize("allow", [["192.0.2.1"], ["127.0.0.2", "::1"]])
def test_a_key_is_refused_elsewhere(quiet: Server, allow: list[str]) -> None:
    account = quiet.key("bound", allow=allow)
    # No header that a client can set changes where it comes from.
    forged = {"x-forwarded-for": "192.0.2.1", "forwarded": "for=192.0.2.1", "x-real-ip": "192.0.2.1"}
    assert rest_refusal(account.send("GET", "/account", headers=forged)) == FORBIDDEN
    assert stream_refusal(account, account.headers("GET", STREAM) | forged) == FORBIDDEN


# Paths.


@pytest.mark.parametrize(
    "path", ["/api/v1", "/api/v1/", "/api/v1/no/such", "/api/v1/account/", "/api/v1//account", "/api/v1/Account"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_an_unknown_path_is_an_invalid_origin(quiet: Server, method: str, path: str) -> None:
    reply = quiet.http.request(method, path)
    assert (reply.status_code, reply.text) == (403, "Invalid Origin")
    assert reply.headers["content-type"].partition(";")[0] == "text/plain"


def test_an_upgrade_of_an_unknown_path_is_an_invalid_origin(quiet: Server) -> None:
    demo = quiet.demo
    with (
        pytest.raises(InvalidStatus) as caught,
        demo.stream(url=demo.server.stream_url + "/more", additional_headers=demo.headers("GET", STREAM + "/more")),
    ):
        pass
    response = caught.value.response
    assert (response.status_code, response.body) == (403, b"Invalid Origin")
    assert response.headers["content-type"].partition(";")[0] == "text/plain"


def test_a_known_path_names_the_methods_it_takes(quiet: Server) -> None:
    reply = quiet.http.patch("/api/v1/trade/order")
    assert reply.status_code == 405
    assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD", "POST", "PUT", "DELETE"}
    assert reply.json()["error"] == reply.headers["x-prex-error-type"] == "MethodNotAllowed"


def test_the_stream_without_an_upgrade_says_what_is_missing(quiet: Server) -> None:
    reply = quiet.http.get(STREAM)
    assert reply.status_code == 400
    assert "expected a WebSocket handshake" in reply.json()["message"]
