"""Connections before they are a stream: uvicorn's HTTP protocol with bounds of its own.

uvicorn waits for ever for the end of a request, keeps a head of any size, and takes any number of connections. Here a
request, that for an upgrade too, has to arrive within a time, byte by byte or not; its head within a size; and beyond
a number of connections each further one is answered with 503. Between two requests uvicorn's own keep-alive counts.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tickwire.stream.shared import Stream
from tickwire.wire.errors import ApiError

__all__ = ["make_http_protocol"]

# More than any client sends, the target with a signature in it included; h11 has the same bound.
_HEAD_BYTES = 16 * 1024

# Whoever finds no room may try again soon, but is not to hammer.
_RETRY_SECONDS = 10

# What is left of a connection's time when an answer without a request has been written.
_LINGER_SECONDS = 1.0


def make_http_protocol(stream: Stream) -> type[asyncio.Protocol]:
    """The class to give to uvicorn as ``http=``; what it refuses is counted with the stream's counters."""

    class BoundHttpProtocol(_BoundedHttpProtocol):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._stream = stream

    return BoundHttpProtocol


class _BoundedHttpProtocol(HttpToolsProtocol):
    """One HTTP connection: uvicorn's, with a timer around it and two counts before it."""

    _stream: Stream

    _deadline: asyncio.TimerHandle | None = None
    _head = 0  # bytes of the head under way
    _reading_head = True
    _whole = True  # no request is under way
    _no_room = False
    _upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take the connection, and wait for its first request."""
        super().connection_made(transport)
        self._no_room = len(self.connections) > self._stream.settings.limits.connections
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        if self._no_room:
            self._refuse("connections", "Overloaded", f"retry-after: {_RETRY_SECONDS}\r\n")
            return
        if self._reading_head and self._head + len(data) > _HEAD_BYTES:
            # No more than a head may have: the parser makes an object of each header.
            rest = _HEAD_BYTES - self._head
            head, data = data[:rest], data[rest:]
            self._feed(head)
            if self._head >= _HEAD_BYTES:
                self._refuse("request_head", "HeadTooLarge")
        self._feed(data)
        # Most requests are whole with their first segment, and need no timer.
        if not self._whole and not self.transport.is_closing():
            self._arm()

    def _feed(self, data: bytes) -> None:
        # What comes behind an upgrade without waiting for its answer is dropped, as uvicorn does it.
        if self._upgraded or self.transport.is_closing():
            return
        if self._reading_head:
            self._head += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._whole = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._reading_head = False
        self._head = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._reading_head = self._whole = True
        self._disarm()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The request was one for a stream, which has its own timers."""
        self._disarm()
        self._upgraded = self._whole = True
        super().handle_websocket_upgrade()

    # Time.

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._stream.settings.request_timeout, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._reading_head and not self._head:
            self._note("request_timeout", "RequestTimeout")
            self.transport.abort()
        else:
            self._refuse("request_timeout", "RequestTimeout")

    def _note(self, limit: str, code: str) -> None:
        self._stream.counters.limited(limit)
        self._stream.log.refused(code, limit, self.client[0] if self.client else "", what="connection")

    def _refuse(self, limit: str, code: str, header: str = "") -> None:
        """Answer and close; the answer names no request, as there may be none yet."""
        self._disarm()
        self._note(limit, code)
        error = ApiError(code)
        body = error.body()
        head = (
            f"HTTP/1.1 {error.status} {code}\r\ncontent-type: application/json\r\nx-prex-error-type: {code}\r\n"
            f"content-length: {len(body)}\r\n{header}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
        # What the peer does not take of it is not waited for.
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)
