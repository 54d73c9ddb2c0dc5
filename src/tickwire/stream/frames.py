"""Server frames: a payload's header and bytes, built once and shared by every reader.

A server's frames are not masked, so the same bytes go to everyone. The deflated form is made the same way: it is
negotiated with ``server_no_context_takeover``, which makes a compressed message independent of those before it.
So are those with a position, for readers that may want to resume.
"""

import zlib

from tickwire.wire.envelope import Position, with_position

__all__ = ["DEFLATED", "DEFLATE_WINDOW_BITS", "POSITIONED", "Frame", "deflated_frame", "text_frame"]

_TEXT = 0x81  # FIN and opcode 1
_DEFLATED_TEXT = 0xC1  # and RSV1 (RFC 7692, section 7.2.3.1)

# A window of 4 KiB holds what most frames have, and makes a compressor cheaper to set up than one of 32 KiB. Peers
# that offer only a smaller window get plain frames.
DEFLATE_WINDOW_BITS = 12
# Level 1 saves 58 % of a ticker frame, level 6 less than one point more, at a higher price.
_DEFLATE_LEVEL = 1
_DEFLATE_MEMORY = 5

# Below this a frame gets larger or hardly smaller.
_DEFLATE_FROM = 100

# What a sync flush ends with, and a message leaves out (RFC 7692, section 7.2.1).
_TAIL = b"\x00\x00\xff\xff"


def text_frame(payload: bytes, first: int = _TEXT) -> bytes:
    """The whole unmasked frame of one text message; ``first`` is its first byte."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def deflated_frame(payload: bytes, first: int = _DEFLATED_TEXT) -> bytes:
    """The same of a compressed message."""
    compressor = zlib.compressobj(_DEFLATE_LEVEL, zlib.DEFLATED, -DEFLATE_WINDOW_BITS, _DEFLATE_MEMORY)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return text_frame(data.removesuffix(_TAIL), first)


# The forms of a frame, as bits.
DEFLATED, POSITIONED = 1, 2


class Frame:
    """One payload in the forms that readers may want, each made once somebody wants it.

    Compressed, where that is smaller (a peer must take both), or not; with its position in the topic, which is
    ``"epoch"`` and ``"offset"`` as the last two keys of the object, or without. ``forms`` has those that were made.
    """

    __slots__ = ("_epoch", "_offset", "forms", "payload")

    def __init__(self, payload: bytes, epoch: str = "", offset: int = 0) -> None:
        self.payload = payload
        self._epoch = epoch
        self._offset = offset
        self.forms: list[bytes | None] = [None, None, None, None]

    def form(self, form: int) -> bytes:
        """The whole frame's bytes; ``form`` is 0, or of ``DEFLATED`` and ``POSITIONED``."""
        return self.forms[form] or self._make(form)

    def _make(self, form: int) -> bytes:
        payload = self.payload
        if form & POSITIONED:
            payload = with_position(payload, Position(self._epoch, self._offset))
        frame = text_frame(payload)
        if form & DEFLATED:
            deflated = deflated_frame(payload) if len(payload) >= _DEFLATE_FROM else frame
            # The plain form, where it serves as well, is one object for both kinds of readers.
            frame = deflated if len(deflated) < len(frame) else self.form(form & ~DEFLATED)
        self.forms[form] = frame
        return frame
