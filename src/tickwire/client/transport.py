"""One socket of the stream: handshake, messages, pings, the closing handshake.

When it ends, ``connection`` makes another one.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec
from websockets.client import ClientProtocol
from websockets.frames import CloseCode
from websockets.http11 import Response
from websockets.protocol import CLOSED, OPEN

from tickwire.client.framing import FastMessages
from tickwire.client.policy import BackOff, End

__all__ = ["ConnectionSettings", "StreamSocket"]


class ConnectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection may be told. Times are in seconds, sizes in bytes."""

    open_timeout: float = 10.0
    """For the socket and the handshake together."""
    close_timeout: float = 2.0
    """For the server's answer to our close frame."""
    ping_interval: float = 20.0
    """A server that has sent nothing for so long is sent a ping."""
    ping_timeout: float = 20.0
    """A server that has sent nothing for so long after the ping is given up, and the connection made anew."""
    expires_after: float = 60.0
    """``api-expires`` of a handshake lies so far ahead of the server's clock."""
    max_message_bytes: int = 16 * 1024 * 1024
    """A longer message ends the connection with code 1009. A whole order book has some 100 kB."""
    buffer_bytes: int = 8 * 1024 * 1024
    """What has been read and not yet taken. At this the socket is read no more until half of it is taken."""
    deflate: bool = False
    """Offer permessage-deflate: half the bytes, for ten times the work of reading them."""
    back_off: BackOff = BackOff()


class StreamSocket(asyncio.Protocol):
    """One socket, from the handshake to its end.

    ``opened`` is called when the handshake is through. ``received`` gets the messages of each read and its size in
    bytes, and says whether there is room for more. The futures are for the one who waits: ``answer`` is ``None`` when
    the handshake is through, or else why not; ``lost`` is how the socket ended.
    """

    def __init__(
        self,
        protocol: ClientProtocol,
        settings: ConnectionSettings,
        loop: asyncio.AbstractEventLoop,
        *,
        opened: Callable[["StreamSocket"], None],
        received: Callable[[list[bytes], int], bool],
    ) -> None:
        self.answer: asyncio.Future[Response | End | None] = loop.create_future()
        self.lost: asyncio.Future[End] = loop.create_future()
        self._protocol = protocol
        self._settings = settings
        self._loop = loop
        self._opened = opened
        self._received = received
        self._reader = FastMessages(protocol)
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._heard = loop.time()
        self._pinged = False
        self._watching: asyncio.TimerHandle | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._why = ""  # why we end it ourselves

    # The transport's calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are one by their methods only

    def data_received(self, data: bytes) -> None:
        """Read the answer to the handshake, then messages."""
        self._heard = self._loop.time()
        self._pinged = False
        messages = self._reader.receive(data)
        if not self.answer.done():
            self._look_at_answer()
        # Nobody reads any more once we are ending it, and what nobody takes would hold up the closing handshake.
        if messages and not self._why and not self._received(messages, len(data)) and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._send()

    def eof_received(self) -> None:
        """The server has ended its side; the transport closes itself."""
        self._reader.receive_eof()
        if not self.answer.done():
            self._look_at_answer()
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        if self._protocol.state is not CLOSED:
            self._reader.receive_eof()
        end = self._end(exc)
        if not self.answer.done():
            self.answer.set_result(end)
        self.lost.set_result(end)
        for timer in (self._watching, self._ending):
            if timer is not None:
                timer.cancel()

    # What the connection asks for.

    def handshake(self, headers: dict[str, str]) -> None:
        """Send the request for the upgrade with these headers."""
        request = self._protocol.connect()
        for name, value in headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)
        self._send()

    def send(self, text: bytes) -> None:
        """Send one text message, unless the socket is about to end."""
        if self._protocol.state is OPEN:
            self._protocol.send_text(text)
            self._send()

    def resume(self) -> None:
        """Read again, where reading had been stopped."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._heard = self._loop.time()
            self._transport.resume_reading()

    async def close(self) -> None:
        """The closing handshake, for as long as it may take."""
        self._why = "closed by the client"
        if self._protocol.state is OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._send()
        self.resume()
        await asyncio.wait([self.lost], timeout=self._settings.close_timeout)

    def abort(self) -> None:
        """End the socket at once, if it is still there."""
        if self._transport is not None:
            self._transport.abort()

    def _look_at_answer(self) -> None:
        response, failure = self._reader.response, self._protocol.handshake_exc
        if response is not None and response.status_code != 101:
            self.answer.set_result(response)
        elif failure is not None:
            self.answer.set_result(End(f"no WebSocket handshake: {failure}"))
        elif response is not None:
            self.answer.set_result(None)
            self._opened(self)
            self._watch()

    def _end(self, exc: Exception | None) -> End:
        if self._why:
            return End(self._why)
        broken = self._protocol.parser_exc
        if broken is not None and not isinstance(broken, EOFError):
            return End(f"the server broke the protocol: {broken}")
        sent, received = self._protocol.close_sent, self._protocol.close_rcvd
        if received is not None:
            return End(received.reason, close_code=received.code)
        if sent is not None:
            return End(f"the server sent no text: {sent.reason}")
        return End(str(exc) if exc is not None else "the connection was cut")

    def _send(self) -> None:
        transport = self._transport
        if transport is None:
            return
        for data in self._protocol.data_to_send():
            if transport.is_closing():
                return
            if data:
                transport.write(data)
            else:
                transport.close()
        if self._ending is None and self._protocol.close_expected():
            self._ending = self._loop.call_later(self._settings.close_timeout, self.abort)

    def _watch(self) -> None:
        """Ping a silent server, and give up one that stays silent."""
        settings, now = self._settings, self._loop.time()
        if self._paused:
            self._heard = now  # it is we who do not listen
        ping_at = self._heard + settings.ping_interval
        give_up_at = ping_at + settings.ping_timeout
        if self._pinged and now >= give_up_at:
            self._why = f"no sign of life for {settings.ping_interval + settings.ping_timeout:g} s"
            self.abort()
            return
        if now >= ping_at and not self._pinged and self._protocol.state is OPEN:
            self._pinged = True
            self._protocol.send_ping(b"")
            self._send()
        self._watching = self._loop.call_at(give_up_at if self._pinged else max(ping_at, now), self._watch)
