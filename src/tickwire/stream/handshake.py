"""Who may open a stream: path, rate, signature, scope, number of sockets; sans-I/O."""

import email.utils
import http
import ipaddress
import math
from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Response

from tickwire.keys.auth import authenticate
from tickwire.keys.keyring import ApiKey, KeyRing
from tickwire.keys.limits import BucketTable
from tickwire.stream.settings import StreamLimits
from tickwire.wire.errors import ApiError
from tickwire.wire.signing import API_PREFIX, STREAM_PATH

__all__ = ["UNREADABLE", "Handshake", "Refusal", "subscriber"]

# When a key has all its sockets open, nobody can say when one ends: a client is to come back, but not to hammer.
_SOCKETS_RETRY_SECONDS = 10

_CREDENTIALS = ("api-key", "api-expires", "api-signature")


class Refusal(msgspec.Struct, frozen=True):
    """An HTTP answer in place of the upgrade; ``code`` is what the refusal is counted as, ``limit`` the setting of the
    limit that was hit, if one was.
    """

    code: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    limit: str = ""

    def response(self) -> Response:
        """The answer as ``websockets`` writes it; the connection ends with it."""
        status = http.HTTPStatus(self.status)
        headers = Headers(
            [
                ("Date", email.utils.formatdate(usegmt=True)),
                ("Connection", "close"),
                ("Content-Length", str(len(self.body))),
                *self.headers,
            ]
        )
        return Response(status.value, status.phrase, headers, self.body)


UNREADABLE = Refusal("InvalidHandshake", 400, (("content-type", "text/plain"),), b"Bad Request")


class Handshake:
    """The checks of an upgrade.

    ``clock`` gives ns since the epoch, ``sockets`` how many a key has open, ``address_sockets`` how many a
    ``subscriber``.
    """

    def __init__(
        self,
        keys: KeyRing,
        limits: StreamLimits,
        *,
        clock: Callable[[], int],
        sockets: Callable[[str], int],
        address_sockets: Callable[[str], int],
    ) -> None:
        self._keys = keys
        self._limits = limits
        self._clock = clock
        self._sockets = sockets
        self._address_sockets = address_sockets
        self._upgrades = BucketTable(limits.upgrades_per_minute / 60, limits.upgrade_burst)

    def check(self, target: str, headers: Headers, address: str) -> ApiKey | Refusal:
        """The key that may open a stream, or why not.

        ``target`` is the raw request target; ``address`` the peer's. Each call counts as one upgrade of the address.
        """
        path, _, query = target.partition("?")
        if path != STREAM_PATH:
            return _wrong_path(path)
        now = self._clock() / 1e9
        who = subscriber(address)
        wait = self._upgrades.take(who, now)
        if wait:
            return _too_many("upgrades_per_minute", now, math.ceil(wait))
        if self._address_sockets(who) >= self._limits.sockets_per_address:
            return _too_many("sockets_per_address", now, _SOCKETS_RETRY_SECONDS)
        key, expires, signature = _credentials(headers, query)
        try:
            api_key = authenticate(
                self._keys,
                method="GET",
                target=STREAM_PATH,
                body=b"",
                api_key=key,
                expires=expires,
                signature=signature,
                scope="read",
                address=address,
                now_seconds=now,
            )
        except ApiError as error:
            return _refusal(error)
        if self._sockets(api_key.key) >= self._limits.sockets_per_key:
            return _too_many("sockets_per_key", now, _SOCKETS_RETRY_SECONDS)
        return api_key


def subscriber(address: str) -> str:
    """What the limits by address count as one: an IPv4 address, or of IPv6 the /64 that one line is given."""
    if ":" not in address:
        return address
    try:
        whole = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if whole.ipv4_mapped is not None:
        return str(whole.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(whole) >> 64 << 64, 64)))


def _credentials(headers: Headers, query: str) -> list[str | None]:
    """Key, expiry and signature, each from the header or else from the query; ``None`` where it is not there once."""
    found: list[str | None] = []
    fields = parse_qs(query)
    for name in _CREDENTIALS:
        values = headers.get_all(name) or fields.get(name, [])
        found.append(values[0] if len(values) == 1 else None)
    return found


def _refusal(error: ApiError, *headers: tuple[str, str], limit: str = "") -> Refusal:
    # The code alone, whatever the error: a handshake's answer is read by programs, and tells a stranger nothing more.
    return Refusal(
        error.code,
        error.status,
        (("content-type", "application/json"), ("x-prex-error-type", error.code), *headers),
        msgspec.json.encode({"error": error.code}),
        limit,
    )


def _too_many(limit: str, now: float, wait: int) -> Refusal:
    reset = str(math.floor(now) + wait)
    return _refusal(ApiError("TooManyRequests"), ("Retry-After", str(wait)), ("x-ratelimit-reset", reset), limit=limit)


def _wrong_path(path: str) -> Refusal:
    if path == API_PREFIX or path.startswith(API_PREFIX + "/"):
        return Refusal("InvalidOrigin", 403, (("content-type", "text/plain"),), b"Invalid Origin")
    return Refusal("NotFound", 404, (("content-type", "text/plain"),), b"Not Found")
