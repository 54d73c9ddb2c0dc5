"""The client side of the cases: sends back what it gets, through the very class that the client reads streams with.

``StreamSocket`` has the client's own fast path for whole text frames and ``websockets`` for all else; only its
address, and what is done with a message, are the cases'.
"""

import asyncio
from collections.abc import Callable

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.protocol import State
from websockets.uri import parse_uri

from tickwire.client.framing import Binary
from tickwire.client.transport import ConnectionSettings, StreamSocket

__all__ = ["run_cases"]

_AGENT = "tickwire"
# Larger than any message of the cases, so that they all run.
_SETTINGS = ConnectionSettings(max_message_bytes=64 * 1024 * 1024, buffer_bytes=64 * 1024 * 1024, deflate=True)
_END_OF_HEADERS = b"\r\n\r\n"
# The suite itself gives a case less.
_PATIENCE = 60.0


class _EchoSocket(StreamSocket):
    """The client's socket, which sends back each message.

    The client hands on what one read has brought when it has seen all of it, and then a message before a breach of the
    protocol in the same read can't be sent back any more. So each read ends here where a frame ends.
    """

    _ahead = 0  # bytes of the frame under way that are still to come
    _held = b""  # a header that has not come whole

    def data_received(self, data: bytes) -> None:
        data, self._held = self._held + data, b""
        while data:
            size = self._ahead or self._frame_size(data)
            if not size:
                self._held = data
                return
            piece, data = data[:size], data[size:]
            self._ahead = size - len(piece)
            super().data_received(piece)

    def _frame_size(self, data: bytes) -> int:
        """Of the answer to the handshake or of the frame that comes next; zero where that can't be told yet."""
        if self._protocol.state is State.CONNECTING:
            return data.find(_END_OF_HEADERS) + len(_END_OF_HEADERS) if _END_OF_HEADERS in data else 0
        if len(data) < 2:
            return 0
        # A masked frame, which no server sends, has four bytes more: they may come as a frame of their own.
        header = {126: 4, 127: 10}.get(data[1] & 0x7F, 2)
        if len(data) < header:
            return 0
        return header + (int.from_bytes(data[2:header], "big") if header > 2 else data[1] & 0x7F)

    def send_back(self, messages: list[bytes]) -> None:
        """Send whole messages, binary ones too, for which the client has no use itself."""
        for message in messages:
            if self._protocol.state is not State.OPEN:
                return
            if isinstance(message, Binary):
                self._protocol.send_binary(message)
            else:
                self._protocol.send_text(message)
        self._send()


async def _talk(place: tuple[str, int], target: str, received: Callable[["_EchoSocket", list[bytes]], None]) -> None:
    """Open one socket and let ``received`` have its messages until it ends."""
    loop = asyncio.get_running_loop()
    protocol = ClientProtocol(
        parse_uri(f"ws://{place[0]}:{place[1]}{target}"),
        extensions=[ClientPerMessageDeflateFactory()],
        max_size=_SETTINGS.max_message_bytes,
    )

    def take(messages: list[bytes], size: int) -> bool:
        received(socket, messages)
        return True

    socket = _EchoSocket(protocol, _SETTINGS, loop, opened=lambda _: None, received=take)
    await loop.create_connection(lambda: socket, *place)
    socket.handshake({})
    async with asyncio.timeout(_PATIENCE):
        await socket.lost


async def run_cases(host: str, port: int) -> None:
    """Run each case that the suite's server has, one after the other."""
    place = host, port
    told: list[bytes] = []
    await _talk(place, "/getCaseCount", lambda _, messages: told.extend(messages))
    for number in range(1, int(told[0]) + 1):
        await _talk(place, f"/runCase?case={number}&agent={_AGENT}", lambda socket, found: socket.send_back(found))
    await _talk(place, f"/updateReports?agent={_AGENT}", lambda _, messages: None)
