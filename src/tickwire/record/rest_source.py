"""Asks a server's REST API for what a replay of its market data needs besides the stream."""

import ssl
import time
from collections.abc import Callable, Iterable

import httpx

from tickwire.client.clock import ServerClock
from tickwire.wire.signing import sign
from tickwire.wire.topics import TopicKind, parse_topic

__all__ = ["RestSource", "targets"]

_SECONDS = 10.0
_EXPIRES_SECONDS = 60
_FIXED = (
    "/api/v1/market/contract",
    "/api/v1/market/ticker",
    "/api/v1/market/funding-info",
    "/api/v1/market/fee-rate",
    "/api/v1/trade/symbol",
)


def targets(topics: Iterable[str]) -> list[str]:
    """What to ask for beside ``topics``; the candles before those of each ``kline`` topic are among it."""
    parsed = map(parse_topic, topics)
    return [
        *_FIXED,
        *(
            f"/api/v1/market/kline?symbol={topic.symbol}&interval={topic.interval}&limit=1000"
            for topic in parsed
            if topic.kind is TopicKind.KLINE
        ),
    ]


class RestSource:
    """Signed GETs of one server; ``url`` is the stream's address, ``tls`` for https with certificates of one's own.

    ``clock`` is the machine's, in ns since the epoch; where it is wrong, the server's is followed.
    """

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        tls: ssl.SSLContext | None = None,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._local = clock
        self._clock = ServerClock(clock)
        base = "http" + url.removeprefix("ws").partition("/api/v1/")[0]
        self._http = httpx.AsyncClient(base_url=base, timeout=_SECONDS, verify=tls or True)
        self._key = key
        self._secret = secret

    async def get(self, target: str) -> bytes:
        """The body of a reply. Raises ``httpx.HTTPError``, also for a refusal."""
        reply = await self._send(target)
        if reply.status_code == httpx.codes.UNAUTHORIZED:
            # By a wrong clock of ours, perhaps: the refusal has set it.
            reply = await self._send(target)
        reply.raise_for_status()
        return reply.content

    async def _send(self, target: str) -> httpx.Response:
        expires = self._clock.expires(_EXPIRES_SECONDS)
        headers = {
            "api-key": self._key,
            "api-expires": expires,
            "api-signature": sign(self._secret, "GET", target, expires),
        }
        sent = self._local()
        reply = await self._http.get(target, headers=headers)
        self._clock.observe_date(reply.headers.get("date", ""), sent, self._local())
        return reply

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()
