"""One reader: a socket that has subscribed, whose frames go to the tally. And how a stream is opened at all."""

import asyncio
import functools
import logging
import ssl
import time
from urllib.parse import urlsplit

import msgspec
from websockets.client import ClientProtocol
from websockets.frames import CloseCode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from tickwire.cli.load.tally import ReaderState, Tally
from tickwire.client.framing import FastMessages
from tickwire.service.tls import trusting
from tickwire.wire.signing import STREAM_PATH, sign

__all__ = ["HANDSHAKE_SECONDS", "Reader", "Refused", "Server", "open_reader", "why"]

HANDSHAKE_SECONDS = 20.0
# Every server of this API takes as many topics in one frame.
_TOPICS_A_FRAME = 50
# Signatures hold for a minute, but connecting many readers slowly takes longer: each signs when it connects.
_SIGNATURE_SECONDS = 60

_quiet = logging.getLogger("tickwire.load.protocol")
_quiet.setLevel(logging.CRITICAL)


class Refused(Exception):
    """The handshake was answered with something else than a stream; ``code`` is what the server calls it."""

    def __init__(self, status: int, code: str) -> None:
        self.code = code
        super().__init__(f"{status} {code}".strip())


class Server(msgspec.Struct, frozen=True):
    """Where the stream is, and who reads.

    ``offset`` (ns) leads from this machine's clock to the server's; ``certificate`` is the file of one to trust.
    """

    url: str
    key: str
    secret: str
    certificate: str | None = None
    offset: int = 0

    @property
    def address(self) -> tuple[str, int, ssl.SSLContext | None]:
        """Host, port and, for ``wss``, what the certificate is checked with."""
        parts = urlsplit(self.url)
        secure = parts.scheme == "wss"
        port = parts.port or (443 if secure else 80)
        return parts.hostname or "", port, _trust(self.certificate) if secure else None

    def signed(self, method: str, target: str, body: bytes = b"") -> dict[str, str]:
        """The three headers of a request."""
        expires = str((time.time_ns() + self.offset) // 1_000_000_000 + _SIGNATURE_SECONDS)
        signature = sign(self.secret, method, target, expires, body)
        return {"api-key": self.key, "api-expires": expires, "api-signature": signature}


@functools.cache
def _trust(certificate: str | None) -> ssl.SSLContext:
    # Made once: it reads all certificates of the system. SSL_CERT_FILE names others.
    return ssl.create_default_context() if certificate is None else trusting(certificate)


class Reader(asyncio.Protocol):
    """The client's end of one stream. ``opened`` ends with the handshake, ``subscribed`` with the last topic's first
    frame, or with a refusal of a topic.
    """

    def __init__(self, server: Server, tally: Tally, state: ReaderState) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.subscribed: asyncio.Future[None] = loop.create_future()
        self.state = state
        self._server = server
        self._tally = tally
        self._protocol = ClientProtocol(parse_uri(server.url), max_size=None, logger=_quiet)
        self._messages = FastMessages(self._protocol)
        self._transport: asyncio.Transport
        self._leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's are one by their methods only
        request = self._protocol.connect()
        request.headers.update(self._server.signed("GET", STREAM_PATH))
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Count what has come."""
        now = time.time_ns()
        self._tally.reads += 1
        self._tally.bytes += len(data)
        payloads = self._messages.receive(data)
        if not self.opened.done():
            self._settle_handshake()
        if payloads:
            self._tally.take(self.state, payloads, now)
            if not self.subscribed.done() and (self.state.missing == 0 or self.state.refusal):
                self.subscribed.set_result(None)
        self._flush()

    def eof_received(self) -> None:
        """The server has ended its side."""
        self._messages.receive_eof()
        self._settle_handshake()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Count an end that was not asked for."""
        if not self.opened.done():
            self._settle_handshake()
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("the server closed the connection during the handshake"))
        elif not self._leaving and self.opened.exception() is None:
            close = self._protocol.close_rcvd
            code = CloseCode.ABNORMAL_CLOSURE if close is None else close.code
            self._tally.errors[f"closed {int(code)} {'' if close is None else close.reason}".rstrip()] += 1
        if not self.subscribed.done():
            self.subscribed.cancel()

    def _settle_handshake(self) -> None:
        response = self._messages.response
        if response is None or self.opened.done():
            return
        if response.status_code == 101 and self._protocol.handshake_exc is None:
            self.opened.set_result(None)
        else:
            code = response.headers.get("x-prex-error-type", "") or str(
                "" if response.status_code != 101 else self._protocol.handshake_exc
            )
            self.opened.set_exception(Refused(response.status_code, code))

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()

    def subscribe(self) -> None:
        """Ask for all topics of the reader."""
        names = [topic.decode() for topic in self.state.topics]
        for start in range(0, len(names), _TOPICS_A_FRAME):
            operation = {"op": "subscribe", "args": names[start : start + _TOPICS_A_FRAME]}
            self._protocol.send_text(msgspec.json.encode(operation))
        self._flush()

    def leave(self) -> None:
        """Close the connection, without waiting for the server to say good-bye too."""
        self._leaving = True
        if self._protocol.state is not OPEN:
            self._transport.abort()
            return
        self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
        self._flush()
        self._transport.close()


def why(error: Exception) -> str:
    """What an exception says, or what it is when it says nothing, as a timeout does."""
    return str(error) or type(error).__name__


async def open_reader(server: Server, tally: Tally, state: ReaderState) -> Reader:
    """A reader whose handshake has succeeded. Raises ``Refused``, ``OSError`` or ``TimeoutError``."""
    host, port, context = server.address
    async with asyncio.timeout(HANDSHAKE_SECONDS):
        _, reader = await asyncio.get_running_loop().create_connection(
            lambda: Reader(server, tally, state), host, port, ssl=context
        )
        try:
            await reader.opened
        except BaseException:
            reader.leave()
            raise
    return reader
