"""The REST API of a relay: reads are asked of the upstream, market data at most once a second for all readers.

Account reads are for keys of the account that stands for the upstream's, and always asked anew. Nothing can be traded
or changed: the upstream's key should not be able to, and a reader's is none of the upstream's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tickwire.client import calls
from tickwire.client import errors as client_errors
from tickwire.client.rest import RestClient
from tickwire.rest.application import endpoints
from tickwire.rest.endpoint import Endpoint
from tickwire.wire.errors import ERRORS, ApiError

__all__ = ["UpstreamReads", "relay_endpoints"]

# Replies kept: more than all market reads of a hundred symbols that anybody asks for within a second.
_MAX_KEPT = 2_000


class UpstreamReads:
    """Reads of one upstream, shared by those who ask for the same within ``keep`` seconds. ``time`` is in seconds."""

    def __init__(self, rest: RestClient, keep: float, time: Callable[[], float]) -> None:
        self.asked = 0  # reads sent upstream
        self.shared = 0  # replies given without
        self._rest = rest
        self._keep = keep
        self._time = time
        self._kept: dict[str, tuple[float, asyncio.Task[bytes]]] = {}

    async def get(self, target: str) -> bytes:
        """The upstream's reply. Raises ``ApiError``: its refusal of the request, else UpstreamFailed."""
        self.asked += 1
        try:
            return await self._rest.send(calls.read(target))
        except client_errors.ApiError as error:
            if error.status == 400 and error.code in ERRORS:
                raise ApiError(error.code, error.message) from None
            raise ApiError("UpstreamFailed", f"the upstream answers with status {error.status}: {error}") from None
        except client_errors.ClientError as error:
            raise ApiError("UpstreamFailed", str(error)) from None

    async def get_shared(self, target: str) -> bytes:
        """The same, at most ``keep`` seconds old; who asks while it is on its way waits for it. Raises ``ApiError``."""
        now = self._time()
        known = self._kept.get(target)
        if known is not None and now < known[0] + self._keep:
            self.shared += 1
        else:
            self._trim(now)
            known = self._kept[target] = now, asyncio.get_running_loop().create_task(self.get(target))
        # Shielded: one reader that goes away does not take the reply from the others.
        return await asyncio.shield(known[1])

    def _trim(self, now: float) -> None:
        if len(self._kept) >= _MAX_KEPT:
            self._kept = {target: kept for target, kept in self._kept.items() if now < kept[0] + self._keep}


def relay_endpoints(reads: UpstreamReads, account: str) -> tuple[Endpoint, ...]:
    """The table of the exchange, with its reads answered by the upstream; ``account`` stands for the upstream's."""

    def market(endpoint: Endpoint) -> Callable[[Any, str, Any], Awaitable[bytes]]:
        return lambda _gateway, _account, query: reads.get_shared(calls.read_target(endpoint.path, query))

    def own(endpoint: Endpoint) -> Callable[[Any, str, Any], Awaitable[bytes]]:
        async def handle(_gateway: object, owner: str, query: Any) -> bytes:
            if owner != account:
                raise ApiError("Forbidden")
            return await reads.get(calls.read_target(endpoint.path, query))

        return handle

    def relayed(endpoint: Endpoint) -> Endpoint:
        if endpoint.method != "GET" or endpoint.scope is None:
            return endpoint  # ping and time are our own; a write is refused by the gateway
        shared = endpoint.tag == "market" or endpoint.path == "/api/v1/trade/symbol"
        return msgspec.structs.replace(endpoint, handle=market(endpoint) if shared else own(endpoint))

    return tuple(map(relayed, endpoints()))
