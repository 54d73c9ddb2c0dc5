"""What the HTTP side counts, and who may read the metrics.

Metrics are read by a program that can't sign and may be told a token only in its own ways. From this machine none is
asked for: they show how much happens, not what. A request that came through a proxy also has a peer on this machine,
and one from a page in a browser too, should a name of that page's be made to lead here; the headers tell of both.
"""

import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs

from tickwire.metrics import Histogram

__all__ = ["METRICS_PATH", "OTHER", "RequestCounters", "may_read_metrics"]

METRICS_PATH = b"/_tickwire/metrics"

# A label's value for whatever a stranger makes up: each value is kept for ever.
OTHER = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip")


class RequestCounters:
    """Requests that were answered, and refusals by the limit on them. An endpoint is its path in the table."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, str], int] = {}  # by method, endpoint and status
        self.seconds: dict[tuple[str], Histogram] = {}  # by endpoint
        self.limited = 0

    def answered(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """Count one request, which took ``seconds`` from its headers to the handing over of its reply."""
        labels = (method if method in _METHODS else OTHER, endpoint, str(status))
        self.requests[labels] = self.requests.get(labels, 0) + 1
        histogram = self.seconds.get((endpoint,))
        if histogram is None:
            histogram = self.seconds[endpoint,] = Histogram()
        histogram.observe(seconds)


def may_read_metrics(address: str, headers: Mapping[bytes, bytes], query: bytes, tokens: Iterable[bytes]) -> bool:
    """Whether a request has one of ``tokens``, or comes straight from a program on this machine.

    ``address`` is the peer's, empty on a Unix socket. The token may be in ``authorization`` behind ``Bearer``, in
    ``x-tickwire-token``, or in the query as ``token``.
    """
    given = [
        headers.get(b"authorization", b"").removeprefix(b"Bearer "),
        headers.get(b"x-tickwire-token", b""),
        *parse_qs(query).get(b"token", []),
    ]
    if any(hmac.compare_digest(token, text) for token in tokens for text in given):
        return True
    local = not address or _is_loopback(address)
    return local and not any(name in headers for name in _FORWARDED) and _names_this_machine(headers.get(b"host", b""))


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def _names_this_machine(host: bytes) -> bool:
    """Whether a Host header is an address or ``localhost``: no name that somebody else could let lead here."""
    text = host.decode("latin-1")
    name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    if name in ("", "localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
