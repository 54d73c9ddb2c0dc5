"""What the sockets of one process share: hub, handshake, limits, counters."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable

from tickwire.bus.feed import Feed
from tickwire.keys.keyring import KeyRing
from tickwire.stream.backlog import Backlog
from tickwire.stream.handshake import Handshake
from tickwire.stream.hub import Hub
from tickwire.stream.log import StreamLog
from tickwire.stream.settings import StreamCounters, StreamSettings
from tickwire.stream.turns import Turns

__all__ = ["LoopTimers", "Stream"]


class Stream:
    """The stream of one process: what its sockets share.

    Open sockets of a revoked key are closed. ``clock`` gives ns since the epoch; it is asked for signatures' expiry
    and for the ``ts`` of pongs only.
    """

    def __init__(
        self, feed: Feed, keys: KeyRing, clock: Callable[[], int], settings: StreamSettings | None = None
    ) -> None:
        self.settings = settings or StreamSettings()
        self.clock = clock
        self.counters = StreamCounters()
        self.hub = Hub(feed, self.counters, LoopTimers(), self.settings, epoch=secrets.token_hex(4))
        self.addresses: Counter[str] = Counter()  # open sockets, as the limits by address count them
        self.handshake = Handshake(
            keys,
            self.settings.limits,
            clock=clock,
            sockets=self.hub.sockets,
            address_sockets=self.addresses.__getitem__,
        )
        self.backlog = Backlog(self.settings.limits.backlog_bytes, LoopTimers().call_later)
        self.turns = Turns(LoopTimers().call_soon)
        self.leave_as = "stopping"  # how sockets are closed when the server stops
        self.log = StreamLog(time.monotonic)
        keys.on_revoked.append(self.hub.close_key)


class LoopTimers:
    """Those of the loop that runs."""

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    def call_soon(self, callback: Callable[[], object]) -> object:
        return asyncio.get_running_loop().call_soon(callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay, callback)
