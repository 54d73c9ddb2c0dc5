"""The application behind the real server, for what only a socket can send."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from tests.rest.support import Client

from tickwire.wire.requests import MAX_BODY_BYTES

MODE = "/api/v1/account/trade-mode"
BODY = b'{"tradeMode":"ONE_WAY"}'


class Server:
    """A running server, and raw bytes to and from it."""

    def __init__(self, port: int, client: Client) -> None:
        self.port = port
        self.client = client

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def exchange(self, *parts: bytes) -> bytes:
        """Send the parts, and read until the server closes or says no more for a while."""
        reader, writer = await self.connect()
        for part in parts:
            writer.write(part)
            await writer.drain()
        received = b""
        try:
            async with asyncio.timeout(5):
                received = await reader.read(-1)
        finally:
            writer.close()
        return received

    def head(self, method: str, target: str, body: bytes = b"", *lines: str, version: str = "1.1") -> bytes:
        """A signed head of a request without its last line; the connection is closed after the reply."""
        signed = self.client.signed(method, target, body)
        headers = [f"{name}: {value}" for name, value in signed.items()]
        text = "\r\n".join([f"{method} {target} HTTP/{version}", "host: x", "connection: close", *headers, *lines])
        return text.encode("latin-1") + b"\r\n\r\n"


@pytest.fixture
async def server(client: Client) -> AsyncIterator[Server]:
    config = uvicorn.Config(
        client.application, http="httptools", ws="none", lifespan="off", log_level="critical", access_log=False
    )
    running = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        task = asyncio.create_task(running.serve([listener]))
        try:
            while not running.started:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)
            yield Server(listener.getsockname()[1], client)
        finally:
            running.should_exit = True
            await task


async def test_a_plain_request(server: Server) -> None:
    reply = await server.exchange(server.head("GET", "/api/v1/account"))
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"totalWalletBalance":"10000"' in reply


async def test_the_target_is_signed_as_sent(server: Server) -> None:
    for target in ("/api/v1/account?", "/api/v1/account?a=%20b&&c=%ff", "/api/v1/market/ticker?symbol=%42TCUSDT.PERP"):
        assert (await server.exchange(server.head("GET", target))).startswith(b"HTTP/1.1 200 OK\r\n"), target


async def test_a_chunked_body(server: Server) -> None:
    head = server.head("PUT", MODE, BODY, "transfer-encoding: chunked", "content-type: application/json")
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:5], BODY[5:])]
    reply = await server.exchange(head, *chunks, b"0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert reply.endswith(b'{"tradeMode":"ONE_WAY"}')


async def test_a_body_in_single_bytes(server: Server) -> None:
    head = server.head("PUT", MODE, BODY, f"content-length: {len(BODY)}")
    reply = await server.exchange(head, *(BODY[at : at + 1] for at in range(len(BODY))))
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_expect_100_continue(server: Server) -> None:
    head = server.head("PUT", MODE, BODY, f"content-length: {len(BODY)}", "expect: 100-continue")
    reply = await server.exchange(head, BODY)
    assert reply.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_http_1_0(server: Server) -> None:
    reply = await server.exchange(server.head("GET", "/api/v1/account", version="1.0"))
    assert reply.split(b"\r\n")[0].endswith(b" 200 OK")
    assert b"transfer-encoding" not in reply


async def test_head_has_no_body(server: Server) -> None:
    reply = await server.exchange(server.head("HEAD", "/api/v1/account"))
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert reply.endswith(b"\r\n\r\n")


async def test_two_requests_on_one_connection(server: Server) -> None:
    first = server.head("GET", "/api/v1/account").replace(b"connection: close\r\n", b"")
    reply = await server.exchange(first + server.head("GET", "/api/v1/trade/symbol"))
    assert reply.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert reply.index(b"totalWalletBalance") < reply.index(b"perpetualSwap")


@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_a_body_that_is_too_large_is_refused_and_its_end_waited_for(server: Server, coding: str) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    if coding == "length":
        line, sent = f"content-length: {len(body)}", body
    else:
        line, sent = "transfer-encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    reply = await server.exchange(server.head("POST", "/api/v1/trade/order", body, line), sent)
    assert reply.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"body: expected at most 65536 bytes, got 65537" in reply


@pytest.mark.parametrize("target", ["/api/v1/trade/order", "/api/v1/nope", "/_tickwire/deposit"])
async def test_a_body_without_an_end_is_cut_off(server: Server, target: str) -> None:
    reader, writer = await server.connect()
    head = server.head("POST", target, b"", "content-length: 1000000000000").replace(b"connection: close\r\n", b"")
    writer.write(head)
    sent = 0
    async with asyncio.timeout(20):
        try:
            while sent < 200 * 1024 * 1024:
                writer.write(bytes(65536))
                await writer.drain()
                sent += 65536
        except ConnectionError:
            pass
    writer.close()
    # Far from the terabyte announced: what the server read and what the sockets on the way hold.
    assert sent < 50 * 1024 * 1024
    del reader


async def test_a_body_that_ends_too_early_does_nothing(server: Server) -> None:
    head = server.head("PUT", MODE, BODY, f"content-length: {len(BODY)}")
    reader, writer = await server.connect()
    writer.write(head + BODY[:-1])
    await writer.drain()
    writer.write_eof()
    async with asyncio.timeout(5):
        received = await reader.read(-1)
    writer.close()
    assert not received.startswith(b"HTTP/1.1 200")
    assert server.client.gateway.log == []
    assert server.client.application.failures == 0


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/v1/account HTTP/1.1\r\nhost: x\r\napi-key: \x00\r\n\r\n",
        b"GET /api/v1/account HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_no_http_is_refused(server: Server, head: bytes) -> None:
    assert (await server.exchange(head)).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert (await server.exchange(server.head("GET", "/api/v1/account"))).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_header_bytes_beyond_ascii(server: Server) -> None:
    lines = b"GET /api/v1/account HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    headers = b"api-key: \xff\xfe\r\napi-expires: \xd9\xa1\r\napi-signature: \xe9\r\n\r\n"
    reply = await server.exchange(lines + headers)
    assert reply.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert server.client.application.failures == 0


async def test_a_client_that_goes_away_leaves_the_server_well(server: Server) -> None:
    for _ in range(20):
        _, writer = await server.connect()
        writer.write(server.head("GET", "/docs/openapi.json"))
        writer.transport.abort()
    reply = await server.exchange(server.head("GET", "/api/v1/account"))
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
