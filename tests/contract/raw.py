"""Connections whose every byte the test writes itself."""

import socket
import struct
from urllib.parse import urlsplit

from tests.contract.support import PATIENCE, STREAM, Account, Server

CLOSE = 0x88
PING, PONG = 0x89, 0x8A


def connect(server: Server, source: str = "") -> socket.socket:
    """A connection to the server, from a loopback address of the test's choice."""
    place = urlsplit(server.url)
    return socket.create_connection((place.hostname, place.port), PATIENCE, (source, 0) if source else None)


def upgrade(account: Account, *headers: str) -> bytes:
    """The request for a stream."""
    lines = [
        f"GET {STREAM} HTTP/1.1", f"Host: {urlsplit(account.server.url).netloc}", "Upgrade: websocket",
        "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name}: {value}" for name, value in account.headers("GET", STREAM).items()), *headers,
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode()


class RawSocket:
    """Frames by hand, for what a well-behaved library does not send."""

    def __init__(
        self, account: Account, *headers: str, connection: socket.socket | None = None, request: bytes = b""
    ) -> None:
        self.socket = connection or connect(account.server)
        self.socket.sendall(request or upgrade(account, *headers))
        self.file = self.socket.makefile("rb")
        self.status = self.file.readline().decode()
        self.headers = {}
        while (line := self.file.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value

    def __enter__(self) -> "RawSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, first: int, payload: bytes = b"", *, masked: bool = True) -> None:
        size = len(payload)
        mask = b"\x00\x00\x00\x00" if masked else b""
        bit = 0x80 if masked else 0
        if size < 126:
            head = bytes((first, bit | size))
        elif size < 65_536:
            head = bytes((first, bit | 126)) + struct.pack(">H", size)
        else:
            head = bytes((first, bit | 127)) + struct.pack(">Q", size)
        self.socket.sendall(head + mask + payload)

    def receive(self) -> tuple[int, bytes]:
        """The first byte and the payload of the next frame; nothing at the end."""
        head = self.file.read(2)
        if len(head) < 2:
            return 0, b""
        assert not head[1] & 0x80, "a server does not mask"
        size = head[1]
        if size == 126:
            (size,) = struct.unpack(">H", self.file.read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self.file.read(8))
        return head[0], self.file.read(size)

    def close_code(self) -> int:
        """The code of the close frame that comes, past other frames."""
        while True:
            first, payload = self.receive()
            assert first, "the connection ended without a close frame"
            if first == CLOSE:
                return int(struct.unpack(">H", payload[:2])[0])
