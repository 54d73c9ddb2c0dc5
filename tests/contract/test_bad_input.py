"""What no well-behaved client sends: always an error that says what is wrong, never a 500, never a changed state.

That nothing is written to the server's stderr is asserted wherever a server stops.
"""

import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.contract.support import PERPETUAL, Account, Server

WRITES = (
    ("PUT", "/account/trade-mode"), ("POST", "/trade/order"), ("PUT", "/trade/order"), ("DELETE", "/trade/order"),
    ("POST", "/trade/leverage"), ("POST", "/trade/margin"),
)  # fmt: skip
ORDER = {"symbol": PERPETUAL, "side": "BUY", "type": "LIMIT", "quantity": "0.001", "price": "40000"}


@pytest.fixture(scope="module")
def account(quiet: Server) -> Iterator[Account]:
    """An account that nothing of all this may change."""
    account = quiet.account()
    account.buy("0.001", "30000")
    before = account.everything()
    yield account
    assert account.everything() == before
    account.cancel_all()


def refused(account: Account, method: str, target: str, body: bytes, headers: dict[str, str] | None = None) -> str:
    reply = account.send(method, target, body, headers)
    assert reply.status_code == 400, (reply.status_code, reply.text[:300])
    assert reply.headers["content-type"] == "application/json"
    found = reply.json()
    assert set(found) == {"error", "message"}
    assert found["error"] == reply.headers["x-prex-error-type"] == "InvalidParameter"
    message: str = found["message"]
    assert len(message) < 400
    return message


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "blank": b" ",
    "null": b"null",
    "true": b"true",
    "number": b"1",
    "400 digits": b"9" * 400,
    "a huge exponent": b"1e999999999",
    "text": b'"text"',
    "list": b"[]",
    "list of objects": b"[{}]",
    "no JSON": b"symbol=BTCUSDT.PERP&side=BUY",
    "cut off": json.dumps(ORDER).encode()[:-1],
    "cut off in a text": b'{"symbol":"BTC',
    "cut off in an escape": b'{"symbol":"\\u00',
    "two objects": b"{}{}",
    "trailing comma": b'{"symbol":"BTCUSDT.PERP",}',
    "single quotes": b"{'symbol':'BTCUSDT.PERP'}",
    "comment": b"{/* */}",
    "NaN": b'{"symbol":NaN}',
    "Infinity": b'{"symbol":-Infinity}',
    "a raw newline in a text": b'{"symbol":"BTC\nUSDT"}',
    "no UTF-8": b'{"symbol":"\xff\xfe"}',
    "UTF-16": '{"symbol":"BTCUSDT.PERP"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "an overlong encoding": b'{"symbol":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"symbol":"\xed\xa0\x80"}',
    "a lone surrogate": b'{"symbol":"\\ud800"}',
    "NUL bytes": b"\x00" * 100,
    "deep lists": b'{"symbol":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep and cut off": b"[" * 60_000,
    "64 KiB and one": b'{"more":"' + b"x" * 65_526 + b'"}',
    "1 MiB": b'{"more":"' + b"x" * 1_000_000 + b'"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("method", "target"), WRITES)
def test_bodies(account: Account, method: str, target: str, body: bytes) -> None:
    refused(account, method, target, body)


def test_a_body_of_64_kib_is_read(account: Account) -> None:
    body = json.dumps({**ORDER, "quantity": "1.0000001"}).encode()
    assert refused(account, "POST", "/trade/order", body.ljust(65_536)).startswith("quantity:")


def test_a_body_far_too_large_does_not_keep_the_server_busy(account: Account) -> None:
    place = urlsplit(account.server.url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as raw:
        raw.sendall(b"POST /api/v1/trade/order HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            for _ in range(10_000):
                raw.sendall(b"x" * 65_536)
        except OSError:
            pass
        else:
            raise AssertionError("all of it was taken")
    assert account.get("/account")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", "/"]
)
def test_content_types(account: Account, content_type: str) -> None:
    body = json.dumps(ORDER).encode()
    message = refused(account, "POST", "/trade/order", body, {"content-type": content_type})
    assert message.startswith("content-type: expected application/json")


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/json;x=y"]
)
def test_json_by_any_spelling(account: Account, content_type: str) -> None:
    body = json.dumps({**ORDER, "quantity": "-1"}).encode()
    assert refused(account, "POST", "/trade/order", body, {"content-type": content_type}).startswith("quantity:")


def test_an_encoded_body_is_not_decoded(account: Account) -> None:
    body = gzip.compress(json.dumps(ORDER).encode())
    refused(account, "POST", "/trade/order", body, {"content-encoding": "gzip"})


ODD_VALUES: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 1.5, 10**30, "", " ", "0", "-0", "x", "9" * 400, "\u0000", "\U0001f4a9" * 50, [], [[]],
    {}, {"a": {"b": {}}}, ["BTCUSDT.PERP"], "x" * 10_000,
)  # fmt: skip
FIELDS = {
    ("PUT", "/account/trade-mode"): {"tradeMode": "ONE_WAY"},
    ("POST", "/trade/order"): {**ORDER, "quantity": "1.0000001"},
    ("PUT", "/trade/order"): {"symbol": PERPETUAL, "orderId": "01a20e3f-2f1c-7000-8000-00000000ffff"},
    ("DELETE", "/trade/order"): {"symbol": PERPETUAL, "orderId": "01a20e3f-2f1c-7000-8000-00000000ffff"},
    ("POST", "/trade/leverage"): {"symbol": PERPETUAL, "leverage": 0, "marginType": "CROSS"},
    ("POST", "/trade/margin"): {"symbol": PERPETUAL, "amount": "1", "type": 1},
}


@pytest.mark.parametrize("call", WRITES, ids=lambda call: " ".join(call))
def test_every_field_with_every_kind_of_value(account: Account, call: tuple[str, str]) -> None:
    for field in FIELDS[call]:
        for value in ODD_VALUES:
            if field == "leverage" and value == 1 and value is not True:
                continue  # which is nothing odd there
            reply = account.send(*call, json.dumps({**FIELDS[call], field: value}).encode())
            assert reply.status_code == 400, (field, value, reply.text)
            assert set(reply.json()) == {"error", "message"}


@pytest.mark.parametrize("call", WRITES, ids=lambda call: " ".join(call))
def test_repeated_and_misspelled_fields(account: Account, call: tuple[str, str]) -> None:
    good = json.dumps(FIELDS[call])
    for odd in (
        '{"symbol":"NOSUCH","tradeMode":"X",' + good[1:-1] + ',"symbol":"NOSUCH","tradeMode":"X"}',
        good.replace('"symbol"', '"Symbol"').replace('"tradeMode"', '"trade_mode"'),
        good.replace('"symbol"', '" symbol"').replace('"tradeMode"', '"tradeMode "'),
    ):
        assert account.send(*call, odd.encode()).status_code == 400


# Below HTTP as it should be.


def raw_reply(server: Server, data: bytes) -> bytes:
    """What the server answers to these bytes, until it ends the connection or has said nothing for a while."""
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=2) as raw:
        raw.sendall(data)
        raw.shutdown(socket.SHUT_WR)
        found = b""
        while chunk := raw.recv(65_536):
            found += chunk
        return found


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /api/v1/account HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /api/v1/account HTTP/1.1\r\nHost x\r\n\r\n",
        b"POST /api/v1/trade/order HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/trade/order HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
        b"POST /api/v1/trade/order HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http(quiet: Server, data: bytes) -> None:
    reply = raw_reply(quiet, data)
    assert reply == b"" or reply.startswith(b"HTTP/1.1 400 ")
    assert quiet.http.get("/api/v1/public/ping").status_code == 200


def test_a_body_that_never_comes(quiet: Server) -> None:
    head = b"POST /api/v1/trade/order HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    assert b" 500 " not in raw_reply(quiet, head + b'{"symbol"')
    assert quiet.http.get("/api/v1/public/ping").status_code == 200


def test_a_chunked_body_is_read_and_signed_as_a_whole(quiet: Server) -> None:
    account = quiet.account()
    body = json.dumps({"tradeMode": "ONE_WAY"}).encode()
    headers = account.headers("PUT", "/api/v1/account/trade-mode", body) | {"content-type": "application/json"}
    reply = quiet.http.put(
        "/api/v1/account/trade-mode", content=(body[i : i + 5] for i in range(0, len(body), 5)), headers=headers
    )
    assert (reply.status_code, reply.json()) == (200, {"tradeMode": "ONE_WAY"})


BAD_UPGRADES: dict[str, dict[str, Any]] = {
    "no key": {"Sec-WebSocket-Key": None},
    "a key that is no base64": {"Sec-WebSocket-Key": "!!!"},
    "a short key": {"Sec-WebSocket-Key": "c2hvcnQ="},
    "another version": {"Sec-WebSocket-Version": "8"},
    "no version": {"Sec-WebSocket-Version": None},
    "a body": {"Content-Length": "4"},
    "two keys": {"api-key": "a\r\napi-key: b"},
}


@pytest.mark.parametrize("change", BAD_UPGRADES.values(), ids=BAD_UPGRADES)
def test_bad_upgrades(quiet: Server, change: dict[str, Any]) -> None:
    headers: dict[str, Any] = {
        "Host": "x", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **quiet.demo.headers("GET", "/api/v1/stream"), **change,
    }  # fmt: skip
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    reply = raw_reply(quiet, "\r\n".join(["GET /api/v1/stream HTTP/1.1", *lines, "", ""]).encode())
    status = reply.partition(b"\r\n")[0]
    assert status.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 ", b"HTTP/1.1 426 ")), reply
    assert quiet.http.get("/api/v1/public/ping").status_code == 200
