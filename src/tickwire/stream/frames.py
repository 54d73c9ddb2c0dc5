"""Server frames: a payload's header and bytes, built once and shared by every reader.

A server's frames are not masked, so the same bytes go to everyone. The deflated form is made the same way: it is
negotiated with ``server_no_context_takeover``, which makes a compressed message independent of those before it.
"""

import zlib

__all__ = ["DEFLATE_WINDOW_BITS", "Frame", "deflated_frame", "text_frame"]

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


class Frame:
    """One payload as the two frames that readers may want: ``plain``, and ``deflated`` once somebody asks for it."""

    __slots__ = ("_deflated", "_payload", "plain")

    def __init__(self, payload: bytes) -> None:
        self.plain = text_frame(payload)
        self._payload = payload
        self._deflated: bytes | None = None

    @property
    def deflated(self) -> bytes:
        """The compressed frame, or the plain one where that is no larger (a peer must take both)."""
        deflated = self._deflated
        if deflated is None:
            deflated = self._deflated = self._deflate()
        return deflated

    def _deflate(self) -> bytes:
        if len(self._payload) < _DEFLATE_FROM:
            return self.plain
        frame = deflated_frame(self._payload)
        return frame if len(frame) < len(self.plain) else self.plain
