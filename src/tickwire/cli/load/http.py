"""Requests that cost next to nothing, for what is timed: one keep-alive connection, one request at a time."""

import asyncio
from types import TracebackType

import httptools
import msgspec

from tickwire.cli.load.reader import Server

__all__ = ["HttpConnection", "Reply"]

_SECONDS = 20.0


class Reply(msgspec.Struct, frozen=True):
    """Status and body of a reply."""

    status: int
    body: bytes

    @property
    def code(self) -> str:
        """What the server calls a refusal; its status where it gives no code."""
        try:
            return msgspec.json.decode(self.body, type=_Refusal).error or str(self.status)
        except msgspec.MsgspecError:
            return str(self.status)


class _Refusal(msgspec.Struct):
    error: str = ""


class HttpConnection:
    """A connection to a server's REST API; opened, and opened anew, when there is something to ask."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> "HttpConnection":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def call(self, method: str, target: str, body: bytes = b"", *, signed: bool = True) -> Reply:
        """Send a request and wait for its reply. Raises ``OSError``, ``TimeoutError``, ``EOFError``."""
        host, port, context = self._server.address
        try:
            async with asyncio.timeout(_SECONDS):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(host, port, ssl=context)
                reader, writer = self._streams
                lines = [f"{method} {target} HTTP/1.1", f"host: {host}:{port}"]
                if signed:
                    headers = self._server.signed(method, target, body)
                    lines += [f"{name}: {value}" for name, value in headers.items()]
                if body:
                    lines += ["content-type: application/json", f"content-length: {len(body)}"]
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                answer = _Answer()
                parser = httptools.HttpResponseParser(answer)
                while not answer.complete:
                    data = await reader.read(65_536)
                    if not data:
                        raise EOFError("expected a reply, but the server closed the connection")
                    parser.feed_data(data)
                if not parser.should_keep_alive():
                    self.close()
                return Reply(parser.get_status_code(), b"".join(answer.body))
        except BaseException:
            self.close()  # whatever else comes would be the answer to this request
            raise


class _Answer:
    """What the parser calls."""

    def __init__(self) -> None:
        self.body: list[bytes] = []
        self.complete = False

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        self.complete = True
