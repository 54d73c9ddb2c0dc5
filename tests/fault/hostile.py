"""Clients that mean harm: `python -m tests.fault.hostile PORT KEY SECRET EACH`, EACH of every kind at the same time.

They come from several loopback addresses. Prints one JSON object: for each kind how often it ended how.
"""

import asyncio
import json
import os
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable

import uvloop

from tickwire.wire.signing import STREAM_PATH, sign

# A mask of zeros leaves the payload as it is: what is sent can be made once.
MASK = b"\x00\x00\x00\x00"
ADDRESSES = [f"127.0.0.{host}" for host in range(2, 22)]
# How long a client that reads nothing goes on with it.
PATIENCE = 6.0


def frame(first: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, 0x80 | size)) + MASK + payload
    if size < 65_536:
        return bytes((first, 0x80 | 126)) + struct.pack(">H", size) + MASK + payload
    return bytes((first, 0x80 | 127)) + struct.pack(">Q", size) + MASK + payload


def bomb() -> bytes:
    """Less than 64 KiB that inflate to 62 MiB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = compressor.compress(bytes(62 * 1024 * 1024)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert len(data) < 65_536
    return frame(0xC1, data.removesuffix(b"\x00\x00\xff\xff"))


BOMB = bomb()
PINGS = frame(0x89) * 5_000
FRAGMENTS = frame(0x01) + frame(0x00) * 5_000
SUBSCRIBE = frame(0x81, b'{"op":"subscribe","args":["orderbook.BTCUSDT.PERP","orderbook.delta.BTCUSDT.PERP"]}')


class Client:
    """One connection of one kind."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str, secret: str) -> None:
        self.reader = reader
        self.writer = writer
        self.key = key
        self.secret = secret

    def request(self, secret: str | None = None) -> bytes:
        expires = str(int(time.time()) + 60)
        signature = sign(secret or self.secret, "GET", STREAM_PATH, expires)
        lines = [
            f"GET {STREAM_PATH} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Extensions: permessage-deflate", f"api-key: {self.key}", f"api-expires: {expires}",
            f"api-signature: {signature}", "", "",
        ]  # fmt: skip
        return "\r\n".join(lines).encode()

    async def status(self) -> str:
        head = await self.reader.readuntil(b"\r\n\r\n")
        return head.split()[1].decode()

    async def open(self) -> None:
        self.writer.write(self.request())
        assert await self.status() == "101"

    async def end(self) -> str:
        """The code of the close frame that comes, past all else."""
        while True:
            first, size = await self.reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack(">H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
            payload = await self.reader.readexactly(size)
            if first == 0x88:
                return str(int.from_bytes(payload[:2], "big"))

    async def send(self, data: bytes) -> str:
        await self.open()
        self.writer.write(data)
        return await self.end()

    # The kinds.

    async def says_nothing(self) -> str:
        return (await self.reader.read()).decode() or "closed"

    async def trickles(self) -> str:
        for byte in self.request()[:-1]:
            self.writer.write(bytes((byte,)))
            try:
                return await asyncio.wait_for(self.status(), 0.2)
            except TimeoutError:
                continue
        return await self.status()

    async def endless_head(self) -> str:
        self.writer.write(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000)
        return await self.status()

    async def wrong_secret(self) -> str:
        self.writer.write(self.request("guessed"))
        return await self.status()

    async def no_http(self) -> str:
        self.writer.write(os.urandom(2_000))
        return await self.status()

    async def bombs(self) -> str:
        return await self.send(BOMB)

    async def pings(self) -> str:
        return await self.send(PINGS)

    async def fragments(self) -> str:
        return await self.send(FRAGMENTS)

    async def unmasked(self) -> str:
        return await self.send(b"\x81\x04ping")

    async def reads_nothing(self) -> str:
        await self.open()
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(40):
            self.writer.write(SUBSCRIBE)
        await asyncio.sleep(PATIENCE)
        return "open"


KINDS: dict[str, Callable[[Client], Awaitable[str]]] = {
    name: getattr(Client, name)
    for name in (
        "says_nothing", "trickles", "endless_head", "wrong_secret", "no_http", "bombs", "pings", "fragments",
        "unmasked", "reads_nothing",
    )
}  # fmt: skip


async def attack(port: int, key: str, secret: str, each: int) -> dict[str, Counter[str]]:
    ends: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}

    async def one(kind: str, address: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        try:
            async with asyncio.timeout(45):
                ends[kind][await KINDS[kind](Client(reader, writer, key, secret))] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            ends[kind][type(error).__name__] += 1
        finally:
            writer.transport.abort()

    places = [(kind, number) for number in range(each) for kind in KINDS]
    await asyncio.gather(*(one(kind, ADDRESSES[number % len(ADDRESSES)]) for kind, number in places))
    return ends


if __name__ == "__main__":
    print(json.dumps(uvloop.run(attack(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))))
