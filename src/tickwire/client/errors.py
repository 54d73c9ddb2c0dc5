"""What can go wrong with a call, as exceptions that a program can tell apart.

``ClientError`` is above them all. ``ApiError`` means that the server answered and refused; its subclasses are the
refusals that ask for something else than a better request. ``ConnectionFailed`` means that there was no whole answer:
``may_have_arrived`` says whether the server can have acted on the request all the same.
"""

import re

from tickwire.wire.errors import ERRORS

__all__ = [
    "ApiError",
    "ClientError",
    "ConnectionFailed",
    "Forbidden",
    "InvalidReply",
    "RateLimited",
    "ServerFailed",
    "TimedOut",
    "Unauthorized",
    "refusal",
]

# "price: expected a multiple of the tick 0.1, got 1.05": the field of the request that a message is about.
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9]*): ")


class ClientError(Exception):
    """Anything that a call can end with, except wrong arguments (``TypeError`` and ``ValueError``)."""

    temporary = False
    """Whether the same call may succeed a little later."""


class ConnectionFailed(ClientError):
    """The server cannot be reached, or the connection broke before its whole reply was here.

    ``may_have_arrived`` is false when the request certainly never reached the server. When it is true and the request
    was a write, ask before repeating it: an order is then in the open orders or in the order history, or nowhere.
    """

    temporary = True

    def __init__(self, message: str, *, may_have_arrived: bool) -> None:
        self.may_have_arrived = may_have_arrived
        super().__init__(message)


class TimedOut(ConnectionFailed):
    """The connection or the reply took longer than the timeout."""


class InvalidReply(ClientError):
    """A reply that is none of this API: cut short, no JSON, or of other types than documented.

    ``status`` is its HTTP status. Of a write, the server may have acted on the request.
    """

    def __init__(self, message: str, status: int, *, temporary: bool = False) -> None:
        self.status = status
        self.temporary = temporary
        super().__init__(message)


class ApiError(ClientError):
    """A refusal: the server answered that it did not do it.

    ``status`` is the HTTP status, ``code`` the API's name for the reason (``InsufficientBalance``), ``message`` what
    it says about this case, ``field`` the field of the request that the message names, or ``None``.
    ``retry_after`` is how many seconds the server asks to wait, or ``None``.
    """

    def __init__(self, status: int, code: str, message: str = "", retry_after: float | None = None) -> None:
        known = ERRORS.get(code)
        self.status = status
        self.code = code
        self.message = message or (known.reason if known else f"status {status}")
        self.advice = known.advice if known else ""
        self.retry_after = retry_after
        named = _FIELD.match(self.message)
        self.field = named[1] if named else None
        super().__init__(f"{code}: {self.message}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.status, self.code, self.message, self.retry_after)


class Unauthorized(ApiError):
    """401: the signature is missing, expired or wrong, or the key is unknown or revoked (see ``code``)."""


class Forbidden(ApiError):
    """403: the key may not do this, or not from this address, or the server has no such path."""


class RateLimited(ApiError):
    """429: too many requests; ``retry_after`` says for how many seconds."""

    temporary = True


class ServerFailed(ApiError):
    """5xx: the server, or a proxy before it, failed. Of a write, it may have been done before that."""

    temporary = True


_BY_STATUS: dict[int, type[ApiError]] = {401: Unauthorized, 403: Forbidden, 429: RateLimited}


def refusal(status: int, code: str, message: str = "", retry_after: float | None = None) -> ApiError:
    """The error for a status: the subclass that stands for it, else ``ApiError`` itself."""
    kind = ServerFailed if status >= 500 else _BY_STATUS.get(status, ApiError)
    return kind(status, code, message, retry_after)
