"""Clients that cost next to nothing: plain sockets, requests made of bytes, frames taken apart by hand.

A client library costs more than the server answers in, so with one of them a benchmark would measure the library.
"""

import base64
import os
import select
import socket
import time

import msgspec

from tickwire.wire.signing import STREAM_PATH, sign

__all__ = ["Address", "Credentials", "HttpConnection", "Reply", "StreamConnection", "call", "request"]

Address = tuple[str, int]

TIMEOUT_SECONDS = 20.0
# Signatures stay good for longer than any benchmark takes.
EXPIRES_SECONDS = 3600
_BUFFER = 256 * 1024


class Credentials(msgspec.Struct, frozen=True):
    """A key and its secret."""

    key: str
    secret: str
    expires: str = msgspec.field(default_factory=lambda: str(int(time.time()) + EXPIRES_SECONDS))

    def headers(self, method: str, target: str, body: bytes = b"") -> dict[str, str]:
        """The three headers of a signed request."""
        signature = sign(self.secret, method, target, self.expires, body)
        return {"api-key": self.key, "api-expires": self.expires, "api-signature": signature}


def request(
    method: str, target: str, body: bytes = b"", credentials: Credentials | None = None, **headers: str
) -> bytes:
    """One HTTP/1.1 request; ``headers`` with ``_`` for ``-``."""
    lines = [f"{method} {target} HTTP/1.1", "host: benchmark"]
    if credentials is not None:
        lines += [f"{name}: {value}" for name, value in credentials.headers(method, target, body).items()]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Reply(msgspec.Struct, frozen=True):
    """Status and body of a reply."""

    status: int
    body: bytes


def _connect(address: Address) -> socket.socket:
    connection = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class HttpConnection:
    """A keep-alive connection with at most one request under way."""

    def __init__(self, address: Address) -> None:
        self._socket = _connect(address)
        self._received = b""

    def fileno(self) -> int:
        """For select and epoll."""
        return self._socket.fileno()

    def send(self, data: bytes) -> None:
        """Send a request."""
        self._socket.sendall(data)

    def receive(self) -> Reply | None:
        """Read what is there; the reply once all of it is. Raises ``ConnectionError`` when the server has closed."""
        data = self._socket.recv(_BUFFER)
        if not data:
            raise ConnectionError("expected a reply, but the server closed the connection")
        received = self._received = self._received + data
        head = received.find(b"\r\n\r\n")
        if head < 0:
            return None
        field = received.lower().find(b"content-length:", 0, head)
        length = int(received[field + 15 : received.index(b"\r\n", field)]) if field >= 0 else 0
        if len(received) < head + 4 + length:
            return None
        self._received = received[head + 4 + length :]
        return Reply(int(received[9:12]), received[head + 4 : head + 4 + length])

    def call(self, data: bytes) -> Reply:
        """Send a request and wait for its reply."""
        self.send(data)
        while (reply := self.receive()) is None:
            pass
        return reply

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def call(address: Address, data: bytes) -> bytes:
    """One request on a connection of its own; the body of its reply. Raises ``RuntimeError`` for a refusal."""
    connection = HttpConnection(address)
    try:
        reply = connection.call(data)
    finally:
        connection.close()
    if reply.status != 200:
        raise RuntimeError(f"expected status 200, got {reply.status} {reply.body[:200]!r}")
    return reply.body


class StreamConnection:
    """A WebSocket that is only read, once it has subscribed. Frames of a server are unmasked, so reading is slicing."""

    def __init__(self, address: Address, credentials: Credentials | None, path: str = STREAM_PATH) -> None:
        self._socket = _connect(address)
        self._received = b""
        nonce = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            request(
                "GET", path, b"", credentials,
                upgrade="websocket", connection="Upgrade", sec_websocket_version="13", sec_websocket_key=nonce,
            )
        )  # fmt: skip
        while (head := self._received.find(b"\r\n\r\n")) < 0:
            self._read()
        if not self._received.startswith(b"HTTP/1.1 101 "):
            raise RuntimeError(f"expected an upgrade, got {self._received[:200]!r}")
        self._received = self._received[head + 4 :]

    def fileno(self) -> int:
        """For select and epoll."""
        return self._socket.fileno()

    def _read(self) -> None:
        data = self._socket.recv(_BUFFER)
        if not data:
            raise ConnectionError("expected frames, but the server closed the connection")
        self._received += data

    def receive(self) -> list[bytes]:
        """Read what is there; the payloads of the text frames that are whole now. Pings are answered."""
        self._read()
        received, start, payloads = self._received, 0, []
        end = len(received)
        while end - start >= 2:
            opcode, length, body = received[start] & 0x0F, received[start + 1], start + 2
            if length == 126:
                length, body = int.from_bytes(received[start + 2 : start + 4]), start + 4
            elif length == 127:
                length, body = int.from_bytes(received[start + 2 : start + 10]), start + 10
            if body + length > end:
                break
            payload = received[body : body + length]
            if opcode == 1:
                payloads.append(payload)
            elif opcode == 9:
                self._send(0x8A, payload)
            elif opcode == 8:
                raise ConnectionError(f"expected data, got a close frame {payload!r}")
            start = body + length
        self._received = received[start:]
        return payloads

    def subscribe(self, *topics: str) -> list[bytes]:
        """Subscribe and wait for the reply and every topic's SNAPSHOT; what came besides and after them."""
        self._send(0x81, msgspec.json.encode({"op": "subscribe", "args": topics}))
        payloads: list[bytes] = []
        while sum(b'"SNAPSHOT"' in payload for payload in payloads) < len(topics):
            if not select.select([self], [], [], TIMEOUT_SECONDS)[0]:
                raise RuntimeError(f"expected a snapshot of each of {topics}, got {payloads!r:.500}")
            payloads += self.receive()
        return payloads

    def _send(self, first: int, payload: bytes) -> None:
        size = len(payload)
        length = bytes((0x80 | size,)) if size < 126 else bytes((0x80 | 126,)) + size.to_bytes(2)
        # Masked with zeros, which leaves the payload as it is.
        self._socket.sendall(bytes((first,)) + length + bytes(4) + payload)

    def close(self) -> None:
        """Close the socket without a closing handshake."""
        self._socket.close()
