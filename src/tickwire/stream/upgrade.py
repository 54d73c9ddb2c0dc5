"""The opening handshake in the form that nearly all of them have, read and answered in one step.

``websockets``' ``ServerProtocol`` reads a request line by line and takes apart each header by a grammar, which is half
of what opening a socket costs; and sockets are opened by the thousand when a server has been started again. What
``read_upgrade`` does not take, for whatever reason, is for that to read, answer or refuse.
"""

import base64
import binascii
import email.utils
import re
import time

import msgspec
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.extensions.base import Extension
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from tickwire.stream.deflate import EXTENSIONS

__all__ = ["Upgrade", "read_upgrade"]

# The request as uvicorn passes it on: names in lower case, one blank, values of ASCII without blanks around them.
_REQUEST = re.compile(
    rb"GET ([!-~]+) HTTP/1\.1\r\n((?:[a-z0-9-]+: [!-~](?:[ -~]*[!-~])?\r\n){4,40})\r\n",
)
_CONNECTIONS = frozenset({"upgrade", "keep-alive, upgrade"})
# As a browser's with a page's cookies; more may break a limit that the other way of reading knows.
_MAX_SIZE = 4096
# Each changes what the request is, or how it is to be answered.
_UNUSUAL = frozenset({"content-length", "transfer-encoding", "sec-websocket-protocol"})

_negotiate = ServerProtocol(extensions=EXTENSIONS).process_extensions


class Upgrade(msgspec.Struct, frozen=True):
    """A request that may be granted: its raw target, its headers, and the answer with what that agrees to."""

    target: str
    headers: Headers
    response: bytes
    extensions: list[Extension]


def read_upgrade(data: bytes) -> Upgrade | None:
    """Read a whole request for an upgrade; ``None`` when it is not of the usual form, good or bad."""
    match = _REQUEST.fullmatch(data) if len(data) <= _MAX_SIZE else None
    if match is None:
        return None
    headers = Headers()
    for line in match[2].decode().split("\r\n")[:-1]:
        name, _, value = line.partition(": ")
        if name in _UNUSUAL or name in headers:
            return None
        headers.set_insecure(name, value)  # the pattern has seen to it
    if headers.get("upgrade", "").lower() != "websocket" or headers.get("connection", "").lower() not in _CONNECTIONS:
        return None
    key = headers.get("sec-websocket-key", "")
    if headers.get("sec-websocket-version") != "13" or not _is_nonce(key):
        return None
    offer: str | None = None
    extensions: list[Extension] = []
    if "sec-websocket-extensions" in headers:
        try:
            offer, extensions = _negotiate(headers)
        except InvalidHandshake:
            return None
    taken = f"Sec-WebSocket-Extensions: {offer}\r\n" if offer else ""
    response = (
        f"HTTP/1.1 101 Switching Protocols\r\nDate: {_date()}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\n{taken}\r\n"
    )
    return Upgrade(match[1].decode(), headers, response.encode(), extensions)


def _is_nonce(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


_date_of = (0, "")  # a second and its text


def _date() -> str:
    global _date_of
    now = int(time.time())
    if _date_of[0] != now:
        _date_of = now, email.utils.formatdate(now, usegmt=True)
    return _date_of[1]
