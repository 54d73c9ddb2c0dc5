"""A server of the stream alone, on real sockets, and the clients that the tests talk to it with."""

import asyncio
import base64
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import uvicorn
import websockets
from tests.stream.support import MemoryFeed, key, read_frames
from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode

from tickwire.keys.keyring import ApiKey, KeyRing
from tickwire.stream.connections import make_http_protocol
from tickwire.stream.settings import StreamSettings
from tickwire.stream.transport import Stream, StreamProtocol, make_stream_protocol
from tickwire.wire.signing import STREAM_PATH, sign


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"rest"})


class Bench:
    """A server on a free port."""

    def __init__(self, directory: Path, stream_settings: StreamSettings) -> None:
        self.feed = MemoryFeed()
        self.keys = KeyRing.open(directory)
        self.key = self.keys.create("alice", ["read"])
        self.stream = Stream(self.feed, self.keys, time.time_ns, stream_settings)
        self.config = uvicorn.Config(
            application, ws=make_stream_protocol(self.stream), http=make_http_protocol(self.stream), lifespan="off",
            log_level="critical", loop="none",
        )  # fmt: skip
        self.server = uvicorn.Server(self.config)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.clients: list[RawSocket] = []

    async def start(self) -> None:
        # What uvicorn's serve() does, without the main loop: that looks for a reason to stop every 100 ms only.
        self.config.load()
        self.server.lifespan = self.config.lifespan_class(self.config)
        await self.server.startup([self.listener])
        self.watchdog = asyncio.get_running_loop().call_later(40, self.abort)

    async def stop(self) -> None:
        """What uvicorn does when it is told to stop."""
        self.server.started = False
        await self.server.shutdown([self.listener])

    def abort(self) -> None:
        """Tear every socket down; uvloop's wait for one that says nothing is not ended by the tests' timeout."""
        for protocol in self.protocols:
            protocol._transport.abort()
        for client in self.clients:
            client.writer.transport.abort()

    async def close(self) -> None:
        self.watchdog.cancel()
        self.abort()
        await self.gone()
        if self.server.started:
            for server in self.server.servers:
                server.close()
        self.keys.close()

    def signed(self, key: ApiKey | None = None) -> dict[str, str]:
        key = key or self.key
        expires = str(int(time.time()) + 60)
        return {
            "api-key": key.key,
            "api-expires": expires,
            "api-signature": sign(key.secret, "GET", STREAM_PATH, expires),
        }

    def connect(self, query: str = "", **more: Any) -> Any:
        more.setdefault("additional_headers", self.signed())
        more.setdefault("compression", None)
        return websockets.connect(f"ws://127.0.0.1:{self.port}{STREAM_PATH}{query}", **more)

    @property
    def protocols(self) -> list[StreamProtocol]:
        return [each for each in self.server.server_state.connections if isinstance(each, StreamProtocol)]

    async def gone(self) -> None:
        """Wait until the server has no socket left."""
        async with asyncio.timeout(10):
            while self.protocols:  # noqa: ASYNC110  # sockets end in many ways, and say so to nobody
                await asyncio.sleep(0.002)


class RawSocket:
    """A client that can do everything wrong."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self, path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, dict[str, str]]:
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.writer.write("\r\n".join(lines).encode("latin-1"))
        return await self.response()

    async def response(self) -> tuple[int, dict[str, str]]:
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(": ") for line in lines if line)
        return int(status.split()[1]), {name.lower(): value for name, _, value in pairs}

    def send(self, opcode: int, data: bytes, fin: bool = True) -> None:
        self.writer.write(Frame(Opcode(opcode), data, fin).serialize(mask=True))

    async def frame(self) -> tuple[int, bytes]:
        head = await self.reader.readexactly(2)
        size = head[1]
        if size == 126:
            head += await self.reader.readexactly(2)
            size = int.from_bytes(head[2:], "big")
        ((opcode, payload),) = read_frames(head + await self.reader.readexactly(size))
        return opcode, payload

    async def message(self) -> dict[str, Any]:
        opcode, payload = await self.frame()
        assert opcode == 1
        message: dict[str, Any] = json.loads(payload)
        return message

    async def close_code(self) -> int:
        """The code of the next close frame, and that the end follows."""
        while True:
            opcode, payload = await self.frame()
            if opcode == 8:
                assert await self.reader.read() == b""
                return int.from_bytes(payload[:2], "big")


UPGRADE = {
    "Host": "localhost",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
}


def upgrade(**more: str) -> dict[str, str]:
    return UPGRADE | {"Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode()} | more


async def raw(bench: Bench) -> RawSocket:
    client = RawSocket(*await asyncio.open_connection("127.0.0.1", bench.port))
    bench.clients.append(client)
    return client


async def raw_open(bench: Bench, **more: str) -> RawSocket:
    client = await raw(bench)
    status, _ = await client.request(STREAM_PATH, upgrade(**more) | bench.signed())
    assert status == 101
    return client


QUICK = StreamSettings(close_timeout=0.2)


async def ask(client: ClientConnection, message: str | bytes) -> dict[str, Any]:
    await client.send(message)
    reply: dict[str, Any] = json.loads(await client.recv())
    return reply


async def subscribe(client: ClientConnection, *names: str) -> None:
    assert (await ask(client, json.dumps({"op": "subscribe", "args": names})))["success"]
    for name in names:
        message = json.loads(await client.recv())
        assert (message["topic"], message["data"][0]["actionType"]) == (name, "SNAPSHOT")


async def stall(bench: Bench, name: str, until: str, size: int = 50_000) -> None:
    """Publish until the server's only reader is behind in the sense of ``until``, an attribute of its outbox."""
    bench.feed.padding = "x" * size
    outbox = bench.protocols[0]._reader.outbox
    while not getattr(outbox, until):
        assert bench.protocols, "the reader is gone"
        bench.feed.change(key(name))
        await asyncio.sleep(0)


def small_buffer() -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.setblocking(False)
    return connection


async def stalled_client(bench: Bench, *names: str) -> RawSocket:
    """A subscribed client that reads no more than it is asked to."""
    connection = small_buffer()
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", bench.port))
    client = RawSocket(*await asyncio.open_connection(sock=connection, limit=1_024))
    bench.clients.append(client)
    status, _ = await client.request(STREAM_PATH, upgrade() | bench.signed())
    assert status == 101
    client.send(1, json.dumps({"op": "subscribe", "args": names}).encode())
    assert (await client.message())["success"]
    for _ in names:
        await client.message()
    return client
