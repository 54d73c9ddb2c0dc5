"""Handshakes as browsers send them: headers, order and offers taken from what they put on the wire.

A page can't set headers, so the signature comes in the query.
"""

import base64
import json
import os
import struct
import zlib
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.contract.raw import RawSocket, connect
from tests.contract.support import PERPETUAL, STREAM, Account, Server

CHROMIUM = """\
Host: exchange.example.com
Connection: Upgrade
Pragma: no-cache
Cache-Control: no-cache
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36
Upgrade: websocket
Origin: https://dashboard.example.com
Sec-WebSocket-Version: 13
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-US,en;q=0.9
Cookie: theme=dark; session=0123456789abcdef
Sec-WebSocket-Key: {key}
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits
"""
FIREFOX = """\
Host: exchange.example.com
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0
Accept: */*
Accept-Language: en-US,en;q=0.5
Accept-Encoding: gzip, deflate, br, zstd
Sec-WebSocket-Version: 13
Origin: https://dashboard.example.com
Sec-WebSocket-Extensions: permessage-deflate
Sec-WebSocket-Key: {key}
Sec-GPC: 1
Connection: keep-alive, Upgrade
Cookie: theme=dark; session=0123456789abcdef
Sec-Fetch-Dest: empty
Sec-Fetch-Mode: websocket
Sec-Fetch-Site: cross-site
Pragma: no-cache
Cache-Control: no-cache
Upgrade: websocket
"""
SAFARI = """\
Upgrade: websocket
Connection: Upgrade
Host: exchange.example.com
Origin: https://dashboard.example.com
Pragma: no-cache
Cache-Control: no-cache
Sec-WebSocket-Key: {key}
Sec-WebSocket-Version: 13
Sec-WebSocket-Extensions: permessage-deflate
User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6
"""
BROWSERS = {"Chromium": CHROMIUM, "Firefox": FIREFOX, "Safari": SAFARI}


def request(account: Account, headers: str) -> bytes:
    query = urlencode(account.headers("GET", STREAM))
    key = base64.b64encode(os.urandom(16)).decode()
    return f"GET {STREAM}?{query} HTTP/1.1\n{headers.format(key=key)}\n".replace("\n", "\r\n").encode()


def deflated(text: str) -> bytes:
    """A message as a browser compresses it."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(text.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


def message(raw: RawSocket) -> Any:
    """The next message, inflated if it is compressed."""
    first, payload = raw.receive()
    if first == 0xC1:
        payload = zlib.decompressobj(wbits=-15).decompress(payload + b"\x00\x00\xff\xff")
    return json.loads(payload)


def follow(raw: RawSocket) -> None:
    """Subscribe by a compressed frame, take a compressed SNAPSHOT, and close as a page that is left."""
    assert raw.status == "HTTP/1.1 101 Switching Protocols\r\n"
    assert raw.headers["upgrade"] == "websocket"
    assert raw.headers["connection"].lower() == "upgrade"
    offer = raw.headers["sec-websocket-extensions"].split("; ")
    # A browser fails the connection over any parameter that it has not offered.
    assert set(offer) == {"permessage-deflate", "server_no_context_takeover", "client_no_context_takeover"}
    assert "sec-websocket-protocol" not in raw.headers
    topic = f"orderbook.{PERPETUAL}"
    for _ in range(2):
        raw.send(0xC1, deflated(json.dumps({"op": "subscribe", "args": [topic]})))
        reply = message(raw)
        while "success" not in reply:
            reply = message(raw)
        assert reply == {"success": True, "op": "subscribe", "args": [topic]}
        assert message(raw)["data"][0]["actionType"] == "SNAPSHOT"
    raw.send(0x88, struct.pack(">H", 1001))
    assert raw.close_code() == 1001
    assert raw.receive() == (0, b"")


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_browser_opens_a_stream(live: Server, browser: str) -> None:
    with RawSocket(live.demo, connection=connect(live), request=request(live.demo, BROWSERS[browser])) as raw:
        follow(raw)
