"""From the bytes of a socket to whole messages, by way of ``websockets``' sans-I/O ``ClientProtocol``.

``PlainMessages`` gives every byte to the protocol. ``FastMessages`` does the same for the opening handshake, control
frames, fragments, compressed frames, the closing handshake and whatever breaks the rules; but at the border between two
messages it cuts whole plain text frames out of the read itself. Nearly all that an exchange sends is of that kind, and
it takes a tenth of the time.

How the two share one stream of bytes: ``FastMessages`` reads the header of every frame, so it knows where each one
ends, and gives the protocol exactly the bytes of its own frames. Between two frames the protocol has therefore
consumed all that it was given and waits for the next header; it cannot tell that frames were left out. Once the
protocol is closing it gets everything that follows.

Text is checked to be UTF-8 before it is handed on (RFC 6455, section 8.1).
"""

import codecs
import struct

from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import CONNECTING, OPEN

__all__ = ["Binary", "FastMessages", "PlainMessages"]

_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_OPCODES = frozenset(Opcode)
_PLAIN_TEXT = 0x81  # FIN, no reserved bit, opcode 1
_header = struct.Struct("!BBH").unpack_from
# A header ends with a blank line; more than this before it is no answer of a web server.
_END_OF_HEADERS = b"\r\n\r\n"
_MAX_HEADERS = 64 * 1024


class Binary(bytes):
    """A binary message, to tell it from text."""


class PlainMessages:
    """Every byte goes through ``protocol``; ``receive`` returns the messages that are whole."""

    def __init__(self, protocol: ClientProtocol) -> None:
        self.protocol = protocol
        self.response: Response | None = None  # of the handshake, when it has come
        self._fragments = bytearray()
        self._text = False
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def receive(self, data: bytes) -> list[bytes]:
        """Read what the socket brought. Afterwards ``protocol`` may have something to send, or be closing."""
        messages: list[bytes] = []
        self.protocol.receive_data(data)
        self._collect(messages)
        return messages

    def receive_eof(self) -> None:
        """The server has ended its side. An answer to the handshake that has no length is whole with that."""
        self.protocol.receive_eof()
        self._collect([])

    def _collect(self, messages: list[bytes]) -> None:
        """The messages in the protocol's events."""
        for event in self.protocol.events_received():
            if isinstance(event, Response):
                self.response = event
            elif isinstance(event, Frame) and event.opcode in _DATA and not self._fragment(event, messages):
                return

    def _fragment(self, frame: Frame, messages: list[bytes]) -> bool:
        """Add a frame to its message; false when its text is no UTF-8, which fails the connection."""
        if frame.opcode is not Opcode.CONT:
            self._text = frame.opcode is Opcode.TEXT
            self._decoder.reset()
        if self._text:
            try:
                self._decoder.decode(frame.data, frame.fin)
            except UnicodeDecodeError as error:
                self.protocol.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
                return False
        self._fragments += frame.data
        if frame.fin:
            messages.append(bytes(self._fragments) if self._text else Binary(self._fragments))
            self._fragments.clear()
        return True


class FastMessages(PlainMessages):
    """Plain text frames are cut out of the read; the rest goes through ``protocol``."""

    def __init__(self, protocol: ClientProtocol) -> None:
        super().__init__(protocol)
        self._tail = bytearray()  # the beginning of a frame, or of the handshake's answer
        self._needed = 0  # bytes from which on it is worth looking at the tail again
        self._owed = 0  # bytes of the frame in which the protocol stands
        self._answered = False  # whether the protocol has the headers of the handshake's answer

    def receive(self, data: bytes) -> list[bytes]:
        """As ``PlainMessages.receive``."""
        if self._tail:
            self._tail += data
            if len(self._tail) < self._needed:
                return []
            data = bytes(self._tail)
            self._tail.clear()
        protocol = self.protocol
        messages: list[bytes] = []
        append = messages.append
        position, end = 0, len(data)
        while position < end:
            if self._owed:
                stop = min(position + self._owed, end)
                self._owed -= stop - position
                position = self._hand_over(data[position:stop], stop, messages)
                continue
            if protocol.state is not OPEN:
                position = self._hand_over_unframed(data, position, messages)
                continue
            # Frames of a message in fragments are the protocol's until it is whole.
            while position + 4 <= end and protocol.current_size is None:
                first, second, size = _header(data, position)
                if first != _PLAIN_TEXT:
                    break
                if second < 126:
                    start = position + 2
                    stop = start + second
                elif second == 126:
                    start = position + 4
                    stop = start + size
                else:
                    break
                if stop > end:
                    break
                payload = data[start:stop]
                if not payload.isascii() and not _is_text(payload):
                    break
                append(payload)
                position = stop
            if position < end:
                position = self._next_frame(data, position, messages)
        return messages

    def _next_frame(self, data: bytes, position: int, messages: list[bytes]) -> int:
        """Deal with one frame that the loop has left; the position behind what was used."""
        available = len(data) - position
        if available < 2:
            return self._keep(data, position, 2)
        first, second = data[position], data[position + 1]
        if second >= 128 or first & 15 not in _OPCODES:
            # Masked, or of no known kind: the protocol ends the connection, and takes what follows for nothing.
            self._owed = available
            return position
        header = {126: 4, 127: 10}.get(second & 0x7F, 2)
        if available < header:
            return self._keep(data, position, header)
        size = int.from_bytes(data[position + 2 : position + header], "big") if header > 2 else second & 0x7F
        stop = position + header + size
        protocol = self.protocol
        limit = protocol.max_message_size
        if first == _PLAIN_TEXT and protocol.current_size is None and (limit is None or size <= limit):
            if stop > len(data):
                return self._keep(data, position, header + size)
            payload = data[position + header : stop]
            if _is_text(payload):
                messages.append(payload)
                return stop
        self._owed = header + size
        return position

    def _keep(self, data: bytes, position: int, needed: int) -> int:
        self._tail += data[position:]
        self._needed = needed
        return len(data)

    def _hand_over_unframed(self, data: bytes, position: int, messages: list[bytes]) -> int:
        """Give the protocol the answer to the handshake, or what comes while it is closing."""
        stop = len(data)
        if self.protocol.state is CONNECTING and not self._answered:
            found = data.find(_END_OF_HEADERS, position)
            if found < 0 and stop - position < _MAX_HEADERS:
                return self._keep(data, position, stop - position + 1)
            if found >= 0:
                stop = found + len(_END_OF_HEADERS)
            self._answered = True
        return self._hand_over(data[position:stop], stop, messages)

    def _hand_over(self, data: bytes, stop: int, messages: list[bytes]) -> int:
        self.protocol.receive_data(data)
        self._collect(messages)
        return stop


def _is_text(payload: bytes) -> bool:
    """Whether it is UTF-8. What is not goes to the protocol like any other frame, and ``_fragment`` refuses it."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
