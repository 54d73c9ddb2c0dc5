"""What happens between a call and its rows: signing, reading the reply, trying again. No I/O.

``Caller.attempts`` is a generator: it yields what is to be sent or how long to wait, and is sent what came of it. The
asynchronous and the synchronous client drive the same generator (see `rest`), so that they cannot differ.
"""

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec

from tickwire.client import calls
from tickwire.client.calls import Call
from tickwire.client.clock import ServerClock, http_date
from tickwire.client.errors import ApiError, ClientError, ConnectionFailed, InvalidReply, Unauthorized, refusal
from tickwire.client.replies import decode_rows
from tickwire.client.retries import Retries
from tickwire.wire.signing import sign

__all__ = ["Attempts", "Caller", "Pause", "RateLimit", "Reply", "Request"]

T = TypeVar("T")

# How long a signature holds: long enough for a slow network and a clock that is a little off, short enough that one
# that leaks is soon of no use.
SIGNATURE_SECONDS = 30
# How much of a page that is no reply of this API is quoted.
_EXCERPT = 120

_SECOND = 1_000_000_000
# No count or time of the API has so many; int() refuses texts of thousands.
_MAX_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent: ``target`` (path and query) exactly so, as it is signed."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. ``headers`` are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Where the key stood after its latest reply: how many requests it may send a second, how many of these are left,
    and when (epoch seconds, by the server's clock) all of them are back.
    """

    limit: int
    remaining: int
    reset: int


Attempts: TypeAlias = Generator[Request | Pause, Reply | ConnectionFailed | None, T]
"""Yields a ``Request`` and wants its outcome, or a ``Pause`` and wants ``None``; returns the rows."""


class Caller:
    """The state that the calls of one client share: key, server clock, rate limit."""

    def __init__(self, key: str, secret: str, clock: ServerClock, retries: Retries) -> None:
        if bool(key) != bool(secret):
            raise ValueError(f"expected key and secret, got only the {'key' if key else 'secret'}")
        self.clock = clock
        self.retries = retries
        self.rate_limit: RateLimit | None = None
        self._key = key
        self._secret = secret

    def attempts(self, call: Call[T], draw: Callable[[], float] = random.random) -> Attempts[T]:
        """One call to its end. Raises ``ClientError``; ``ValueError`` for a signed call without a key.

        ``draw`` gives numbers from 0 up to 1 for the pauses.
        """
        attempt = 1
        clock_checked = False
        while True:
            offset = self.clock.offset
            try:
                return (yield from self._attempt(call))
            except ClientError as caught:
                error = caught
            if isinstance(error, Unauthorized) and call.signed and not clock_checked:
                # Refused before anything was done, so a write may be signed anew and repeated as well.
                clock_checked = True
                if (yield from self._clock_was_off(offset)):
                    continue
            pause = self.retries.pause(attempt, error, call.idempotent, draw)
            if pause is None:
                raise error
            attempt += 1
            yield Pause(pause)

    def _attempt(self, call: Call[T]) -> Attempts[T]:
        """Send once."""
        sent = self.clock.local()
        outcome = yield Request(call.method, call.target, self._headers(call), call.body)
        received = self.clock.local()
        if isinstance(outcome, ConnectionFailed):
            raise outcome
        assert outcome is not None
        self._note(outcome, sent, received)
        content = _content(outcome, call.reply)
        try:
            return call.unwrap(content)
        except ValueError as error:
            raise InvalidReply(f"a reply that makes no sense: {error}", outcome.status) from None

    def _headers(self, call: Call[Any]) -> dict[str, str]:
        headers = {"accept": "application/json"}
        if call.body:
            headers["content-type"] = "application/json"
        if call.signed:
            if not self._key:
                raise ValueError(f"{call.method} {call.target}: expected a client with key and secret, got one without")
            expires = self.clock.expires(SIGNATURE_SECONDS)
            headers["api-key"] = self._key
            headers["api-expires"] = expires
            headers["api-signature"] = sign(self._secret, call.method, call.target, expires, call.body)
        return headers

    def measure_clock(self) -> Attempts[int]:
        """Ask for the server's time and take it into account; its offset to the local clock in ns."""
        sent = self.clock.local()
        server_time = yield from self._attempt(calls.server_time())
        self.clock.observe(server_time, sent, self.clock.local())
        return self.clock.offset

    def _clock_was_off(self, offset: int) -> Attempts[bool]:
        """After a 401: whether ``offset``, with which the request was signed, was wrong."""
        try:
            measured = yield from self.measure_clock()
        except ClientError:
            return False  # what the server said first tells more
        return abs(measured - offset) >= _SECOND

    def _note(self, reply: Reply, sent: int, received: int) -> None:
        date = reply.headers.get("date")
        if date is not None:
            self.clock.observe_date(date, sent, received)
        standing = [reply.headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
        if all(text.isascii() and text.isdigit() and len(text) < _MAX_DIGITS for text in standing):
            self.rate_limit = RateLimit(*map(int, standing))


def _content(reply: Reply, kind: Any) -> Any:
    """The rows of a reply. Raises ``ApiError`` and ``InvalidReply``."""
    status = reply.status
    if status == 200:
        try:
            return decode_rows(reply.body, kind)
        except msgspec.ValidationError as error:
            raise InvalidReply(f"a reply of other types than documented: {error}", status) from None
        except msgspec.DecodeError as error:
            # Cut short, or a page of some proxy: another try may bring the real one.
            raise InvalidReply(f"expected JSON ({error}), got {_excerpt(reply)}", status, temporary=True) from None
    if 300 <= status < 400:
        place = reply.headers.get("location", "elsewhere")
        raise InvalidReply(f"the server sends us to {place}: give that address, a signature is for one only", status)
    if not 400 <= status < 600:
        raise InvalidReply(f"expected status 200, got {status}", status)
    raise _refusal(reply)


def _refusal(reply: Reply) -> ApiError:
    code, message = reply.headers.get("x-prex-error-type", ""), ""
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        body = None
    if isinstance(body, dict):
        code, message = str(body.get("error") or code), str(body.get("message") or "")
    elif reply.body:
        message = f"the server answers {_excerpt(reply)}"
    return refusal(reply.status, code or f"http.{reply.status}", message, _retry_after(reply.headers))


def _excerpt(reply: Reply) -> str:
    kind = reply.headers.get("content-type", "no content-type")
    text = " ".join(reply.body[: 4 * _EXCERPT].decode("utf-8", "replace").split())
    return f"{len(reply.body)} bytes of {kind}: {text[:_EXCERPT]!r}"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds: the header holds them, or a date."""
    text = headers.get("retry-after")
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    until, now = http_date(text), http_date(headers.get("date", ""))
    if until is None:
        return None
    return max(0.0, until - (time.time() if now is None else now))
