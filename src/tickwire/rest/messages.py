"""The ASGI side of a request and a reply: bodies of bounded size in, as few messages as possible out."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from tickwire.wire.errors import ApiError
from tickwire.wire.requests import MAX_BODY_BYTES

__all__ = [
    "HTML",
    "JSON",
    "TEXT",
    "Headers",
    "MethodNotAllowed",
    "Receive",
    "Scope",
    "Send",
    "UnreadBody",
    "read_body",
    "send_refusal",
    "send_reply",
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
HTML = (b"content-type", b"text/html; charset=utf-8")
TEXT = (b"content-type", b"text/plain")

# A body that is too large is still read up to here, so that the usual client gets to see the refusal; a client that
# sends more is cut off.
MAX_DISCARDED_BYTES = 1024 * 1024


class MethodNotAllowed(ApiError):
    """The path is known, but not with this method."""

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        names = list(allowed)
        if "GET" in names:
            names.append("HEAD")
        self.allowed = ", ".join(names)
        super().__init__("MethodNotAllowed", f"expected {self.allowed}, got {method}")


class UnreadBody(ApiError):
    """The body is so large that it was not read to its end: the connection is of no more use."""


async def read_body(receive: Receive) -> bytes | None:
    """The whole body, or ``None`` when the client went away before its end.

    Raises ``ApiError`` InvalidParameter for one of more than 64 KiB.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    body: bytes = message.get("body", b"")
    size = len(body)
    parts = [body]
    while message.get("more_body", False):
        if size > MAX_DISCARDED_BYTES:
            raise UnreadBody("InvalidParameter", f"body: expected at most {MAX_BODY_BYTES} bytes, got more than {size}")
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body = message.get("body", b"")
        size += len(body)
        if size <= MAX_BODY_BYTES:
            parts.append(body)
    if size > MAX_BODY_BYTES:
        raise ApiError("InvalidParameter", f"body: expected at most {MAX_BODY_BYTES} bytes, got {size}")
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def send_reply(send: Send, method: str, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole reply. ``headers`` get the length; the body of a HEAD request is left out."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


async def send_refusal(send: Send, method: str, headers: Headers, error: ApiError) -> None:
    """Send a refusal: its code in body and header."""
    headers += (JSON, (b"x-prex-error-type", error.code.encode()))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allowed.encode()))
    elif isinstance(error, UnreadBody):
        headers.append((b"connection", b"close"))
    await send_reply(send, method, error.status, headers, error.body())
