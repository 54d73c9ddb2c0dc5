"""The catalogue of close codes: why the server ends a socket, and what a client does then."""

import msgspec

__all__ = ["CLOSES", "Close"]


class Close(msgspec.Struct, frozen=True):
    """One reason to close. ``reason`` is the text of the close frame."""

    name: str
    code: int
    reason: str
    reconnect: bool
    advice: str


_CATALOGUE = (
    Close("stopping", 1001, "server stopping", True, "Reconnect with back-off."),
    Close("unsupported", 1003, "too many binary frames", False, "Send text frames with JSON."),
    Close("key_revoked", 1008, "key revoked", False, "Use another key."),
    Close("bad_frames", 1008, "too many bad frames", False, "Fix what the error replies say."),
    Close("too_fast", 1008, "too many operations", True, "Reconnect and send fewer operations."),
    Close("too_big", 1009, "message too big", False, "Keep frames under 64 KiB."),
    Close("restart", 1012, "server restart", True, "Reconnect at once."),
    Close("too_slow", 1013, "reader too slow", True, "Read faster or subscribe to less, then reconnect."),
    Close("overloaded", 1013, "server overloaded", True, "Read faster or subscribe to less; reconnect with back-off."),
    Close("silent", 1013, "no sign of life for too long", True, "Answer pings; then reconnect."),
)
CLOSES: dict[str, Close] = {entry.name: entry for entry in _CATALOGUE}
