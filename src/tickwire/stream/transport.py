"""The socket side: what uvicorn hands an upgrade to.

Everything inbound (the opening handshake, fragments, control frames, the closing handshake, inflating) is left to
``websockets``' sans-I/O ``ServerProtocol``; it sees a few small frames a minute. Data frames never pass through it:
the hub builds them once and the outbox writes their bytes. Control frames may come between two whole frames, so the
two ways of writing do not get in each other's way.
"""

import asyncio
import codecs
import http
import logging
import socket
from typing import Any, cast

from websockets.datastructures import Headers
from websockets.frames import CONT, CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, SEND_EOF, Protocol, Side
from websockets.server import ServerProtocol

from tickwire.keys.keyring import ApiKey
from tickwire.stream.deflate import EXTENSIONS
from tickwire.stream.handshake import UNREADABLE, Refusal, subscriber
from tickwire.stream.hub import Reader
from tickwire.stream.session import UNANSWERED_COST, Session, Step
from tickwire.stream.shared import Stream
from tickwire.stream.upgrade import read_upgrade
from tickwire.stream.writer import Writer
from tickwire.wire.closes import CLOSES, Close

__all__ = ["PROTOCOL_CLOSES", "Stream", "StreamProtocol", "make_stream_protocol"]

# What the protocol logs at INFO (each opening and closing) is counted instead.
_logger = logging.getLogger("tickwire.stream.protocol")
_logger.setLevel(logging.WARNING)

# Bytes in the transport from which a reader is behind. Small, as all of it is older than the state it could have
# had; a reader on a good line never has so much waiting.
_HIGH_WATER = 64 * 1024

# The same for the kernel: unsent bytes above this make the socket unwritable. Without it the send buffer grows to
# megabytes, all of them states that a slow reader is to get before the newest one. Linux calls the socket writable
# again at half of it, so a reader counts as taking something with each 32 KiB.
_UNSENT = 64 * 1024

# The protocol answers pings while it reads. A read of uvloop holds up to 256 KiB, 40,000 empty pings: in slices, a
# flood is noticed before it has been answered.
_SLICE = 1024

# How often a reader that is behind is looked at, as a part of the time after which it is closed.
_STALL_CHECKS = 6

_Utf8Decoder = codecs.getincrementaldecoder("utf-8")

# Names under which a socket's end is counted when it is not one of ``CLOSES``.
PROTOCOL_CLOSES: dict[int, str] = {
    CloseCode.PROTOCOL_ERROR: "protocol_error",
    CloseCode.INVALID_DATA: "invalid_data",
    CloseCode.MESSAGE_TOO_BIG: "too_big",
}


def make_stream_protocol(stream: Stream) -> type[asyncio.Protocol]:
    """The class to give to uvicorn as ``ws=``."""

    class BoundStreamProtocol(StreamProtocol):
        def __init__(self, config: Any, server_state: Any, app_state: Any) -> None:  # noqa: ARG002
            super().__init__(stream, server_state.connections)

    return BoundStreamProtocol


class StreamProtocol(asyncio.Protocol):
    """One socket, from the request for an upgrade to its end.

    ``connections`` is the server's set of what it has to shut down.
    """

    def __init__(self, stream: Stream, connections: set[Any]) -> None:
        self._stream = stream
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._protocol: Protocol  # from the first bytes on
        self._transport: asyncio.Transport
        self._session: Session | None = None  # until the handshake is through
        self._reader: Reader
        self._writer: Writer
        self._decoder: codecs.IncrementalDecoder | None = None  # of the message under way, if it is text
        self._fragments: list[Any] = []  # of it, all str or all bytes
        self._number = 0  # of this process's streams
        self._address = ""
        self._opened_at = 0.0
        self._begun = False  # has seen its request
        self._closed_as = ""  # why the socket ends, once it does
        self._keep_alive: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None

    # The transport's calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport of an HTTP connection."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's are one by their methods only
        self._connections.add(self)
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            # asyncio leaves Nagle's algorithm on when the listening socket does not name its protocol.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                # A peer that vanished with data on its way: the kernel's own patience, also with a socket that we
                # have closed by then, is a quarter of an hour.
                silence = int(self._stream.settings.silence_timeout * 1000)
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silence)

    def data_received(self, data: bytes) -> None:
        """Read the request for the upgrade, then frames."""
        if self._session is not None:
            self._session.heard(self._loop.time())
        self._stream.turns.read(self, data)

    def process(self, data: bytes) -> None:
        """Carry out what the peer has sent, when it is its turn."""
        if self._transport.is_closing():
            return
        now = self._loop.time()
        if not self._begun:
            self._begun = True
            if self._open_usual(data, now):
                return
            self._protocol = self._handshake_protocol()
        for start in range(0, len(data), _SLICE):
            if self._transport.is_closing():
                return
            self._protocol.receive_data(data[start : start + _SLICE])
            self._process(now)

    def pause_reading(self) -> None:
        """Leave what the peer sends in the kernel."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> None:
        """The peer has ended its side; the transport closes itself."""
        self._protocol.receive_eof()
        self._process(self._loop.time())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The socket is gone."""
        self._finish("lost")
        self._connections.discard(self)
        if self._end is not None:
            self._end.cancel()
        if self._session is not None:
            self._writer.stop()
            self._stream.counters.closed(self._closed_as)
            self._log_end(self._session)

    def _log_end(self, session: Session) -> None:
        protocol = self._protocol
        close = protocol.close_rcvd if self._closed_as == "by_client" else protocol.close_sent
        self._stream.log.closed(
            self._number,
            self._reader,
            self._address,
            name=self._closed_as,
            code=CloseCode.ABNORMAL_CLOSURE if close is None else close.code,
            seconds=self._loop.time() - self._opened_at,
            topics=len(session.topics),
        )

    def pause_writing(self) -> None:
        """The reader is behind."""
        if self._session is None:
            return
        self._reader.outbox.pause()
        if not self._closed_as:
            self._watch_stall(self._taken())
            self._stream.backlog.add(self)

    def resume_writing(self) -> None:
        """The reader takes more."""
        if self._session is None:
            return
        if self._stall is not None:
            self._stall.cancel()
        self._stream.backlog.remove(self)
        self._reader.outbox.resume()

    def shutdown(self) -> None:
        """End the socket because the server stops; called by uvicorn."""
        self.close(self._stream.leave_as)

    # Events.

    def _process(self, now: float) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._open(event, now)
            elif self._session is not None and not self._closed_as:
                self._receive(self._session, event, now)
        if self._session is not None and self._protocol.state is not OPEN:
            self._end_by_peer()
        self._send()

    def _send(self) -> None:
        writes = self._protocol.data_to_send()
        if self._session is None and SEND_EOF in writes and self._protocol.handshake_exc is not None:
            self._stream.counters.refused("InvalidHandshake")
            self._stream.log.refused("InvalidHandshake", "", _address(self._transport))
            if len(writes) == 1:
                # A request that uvicorn's parser takes and the stricter one here does not, such as one with a body.
                writes.insert(0, UNREADABLE.response().serialize())
        for data in writes:
            if self._transport.is_closing():
                return
            if data:
                self._write(data)
            elif self._transport.can_write_eof():
                # Not close(): with unread bytes of the peer that would reset the connection, and what we have
                # written last, the reason, would be lost on the way.
                self._transport.write_eof()
                self._end_after_timeout()
            else:
                self._transport.close()  # flushes what is written
                self._end_after_timeout()

    def _write(self, data: bytes) -> None:
        if self._session is None:
            self._transport.write(data)
        else:
            self._reader.outbox.control(data)

    def _handshake_protocol(self) -> ServerProtocol:
        return ServerProtocol(extensions=EXTENSIONS, max_size=self._stream.settings.message_bytes, logger=_logger)

    def _open_usual(self, data: bytes, now: float) -> bool:
        """Answer a request of the usual form; whether it was one."""
        upgrade = read_upgrade(data)
        if upgrade is None:
            return False
        key = self._check(upgrade.target, upgrade.headers)
        if isinstance(key, Refusal):
            self._protocol = protocol = self._handshake_protocol()
            protocol.send_response(key.response())
        else:
            # As the other one is once it has granted an upgrade.
            self._protocol = Protocol(Side.SERVER, max_size=self._stream.settings.message_bytes, logger=_logger)
            self._protocol.extensions = upgrade.extensions
            self._transport.write(upgrade.response)
            self._establish(key, now)
        self._send()
        return True

    def _open(self, request: Request, now: float) -> None:
        protocol = self._protocol
        assert isinstance(protocol, ServerProtocol)
        key = self._check(request.path, request.headers)
        if isinstance(key, Refusal):
            protocol.send_response(key.response())
            return
        response = protocol.accept(request)
        protocol.send_response(response)
        if response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS:
            self._establish(key, now)

    def _check(self, target: str, headers: Headers) -> ApiKey | Refusal:
        """Who may come in; a refusal is counted."""
        stream = self._stream
        address = self._address = _address(self._transport)
        key = stream.handshake.check(target, headers, address)
        if isinstance(key, Refusal):
            stream.counters.refused(key.code)
            if key.limit:
                stream.counters.limited(key.limit)
            stream.log.refused(key.code, key.limit, address)
        return key

    def _establish(self, key: ApiKey, now: float) -> None:
        stream = self._stream
        stream.counters.connections += 1
        self._number = stream.counters.connections
        self._opened_at = now
        self._writer = Writer(self._transport)
        self._reader = Reader(
            stream.hub,
            key.key,
            self._writer.write,
            self.close,
            deflate=bool(self._protocol.extensions),
            held_bytes=stream.settings.held_bytes,
        )
        self._session = Session(
            key.account,
            stream.settings,
            stream.counters,
            refusal=stream.hub.feed.refusal,
            clock=stream.clock,
            now=now,
        )
        stream.hub.attach(self._reader)
        stream.addresses[subscriber(self._address)] += 1
        stream.log.opened(
            self._number, self._reader, key.account, self._address, deflate=bool(self._protocol.extensions)
        )
        self._arm_keep_alive(self._session)

    def _receive(self, session: Session, event: Any, now: float) -> None:
        frame: Frame = event
        if frame.opcode is Opcode.PING:
            self._perform(session.receive_control(now))
        elif frame.opcode is Opcode.PONG:
            self._perform(session.receive_control(now, UNANSWERED_COST))
        elif frame.opcode is not Opcode.CLOSE:
            self._receive_data(session, frame, now)

    def _receive_data(self, session: Session, frame: Frame, now: float) -> None:
        if frame.opcode is not CONT:
            self._decoder = _Utf8Decoder() if frame.opcode is Opcode.TEXT else None
        data: str | bytes = bytes(frame.data)
        if self._decoder is not None:
            # Each fragment as it comes: broken text ends the socket with the one that breaks it.
            try:
                data = self._decoder.decode(frame.data, frame.fin)
            except UnicodeDecodeError as error:
                self._protocol.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
                return
        if not frame.fin:
            self._fragments.append(data)
            self._perform(session.receive_control(now, UNANSWERED_COST))
            return
        if self._fragments:
            self._fragments.append(data)
            data = type(data)().join(self._fragments)
            self._fragments.clear()
        self._receive_message(session, data, now)

    def _receive_message(self, session: Session, message: str | bytes, now: float) -> None:
        """Carry out one whole message, text or binary."""
        self._perform(session.receive_text(message, now) if isinstance(message, str) else session.receive_binary(now))

    def _perform(self, step: Step) -> None:
        if step.close is not None:
            self._close(step.close)
        else:
            self._stream.hub.perform(self._reader, step)

    # Time.

    def _arm_keep_alive(self, session: Session) -> None:
        self._keep_alive = self._loop.call_at(session.due, self._tick, session)

    def _tick(self, session: Session) -> None:
        match session.tick(self._loop.time()):
            case "silent":
                self.close("silent")
                return
            case "ping":
                self._protocol.send_ping(b"")
                self._send()
        self._arm_keep_alive(session)

    @property
    def backlog(self) -> int:
        """Bytes that wait for the peer, in outbox and transport."""
        return self._reader.outbox.held + self._transport.get_write_buffer_size()

    def _taken(self) -> int:
        """Bytes that the kernel has taken, ever."""
        return self._reader.outbox.written - self._transport.get_write_buffer_size()

    def _watch_stall(self, taken: int) -> None:
        """Close the reader unless the kernel has taken anything when the time is up."""
        timeout = self._stream.settings.stall_timeout
        deadline = self._loop.time() + timeout

        def look(taken: int, deadline: float) -> None:
            now, newest = self._loop.time(), self._taken()
            if newest > taken:
                taken, deadline = newest, now + timeout
            elif now >= deadline:
                self.close("too_slow")
                return
            self._stall = self._loop.call_later(timeout / _STALL_CHECKS, look, taken, deadline)

        self._stall = self._loop.call_later(timeout / _STALL_CHECKS, look, taken, deadline)

    # Ends.

    def close(self, name: str) -> None:
        """Send the close frame of ``CLOSES[name]`` and end the socket, at the latest after the close timeout."""
        self._close(CLOSES[name])

    def _close(self, close: Close) -> None:
        if self._session is None:
            self._transport.close()
            return
        if close.name not in ("too_slow", "overloaded"):
            self._reader.outbox.drain()
        self._finish(close.name)
        # fail(), not send_close(): it reads no further, while a peer that floods us would be read to its close frame.
        self._protocol.fail(close.code, close.reason)
        self._send()

    def _end_by_peer(self) -> None:
        """The peer has closed, or has broken the protocol and been told so, or has just ended its side."""
        protocol = self._protocol
        self._reader.outbox.drain()  # what was asked for before the end comes before it
        if protocol.close_rcvd is not None:
            self._finish("by_client")
        elif protocol.close_sent is not None:
            self._finish(PROTOCOL_CLOSES.get(protocol.close_sent.code, "internal_error"))
        else:
            self._finish("lost")

    def _finish(self, name: str) -> None:
        """Nothing more goes out from here; ``name`` is what the end is counted as."""
        if self._closed_as:
            return
        self._closed_as = name
        if self._session is None:
            return
        self._stream.hub.detach(self._reader)
        self._stream.backlog.remove(self)
        who = subscriber(self._address)
        self._stream.addresses[who] -= 1
        if not self._stream.addresses[who]:
            del self._stream.addresses[who]
        for timer in (self._keep_alive, self._stall):
            if timer is not None:
                timer.cancel()

    def _end_after_timeout(self) -> None:
        if self._closed_as == "silent":
            # Nobody is there to take what is under way: the kernel may try, but no longer at our cost.
            self._transport.abort()
        elif self._end is None:
            self._end = self._loop.call_later(self._stream.settings.close_timeout, self._transport.abort)


def _address(transport: asyncio.Transport) -> str:
    """The peer's; empty on a Unix socket."""
    peer = transport.get_extra_info("peername")
    return peer[0] if isinstance(peer, tuple) else ""
