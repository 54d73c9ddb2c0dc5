"""How long the loop keeps its callbacks waiting: measured by a timer, since nothing else sees the whole of a turn."""

import asyncio
import logging
from time import perf_counter

from tickwire.metrics import Histogram

__all__ = ["LoopWatch"]

# Ten times a second: often enough to meet a stall of 100 ms each time, and a hundred microseconds of CPU a second.
_INTERVAL_SECONDS = 0.1

# A turn of this length is worth a line: clients see it, and nothing the server does takes so long.
SLOW_SECONDS = 0.25

_log = logging.getLogger("tickwire.loop")


class LoopWatch:
    """Asks to be woken after 100 ms, again and again; ``seconds`` has how much too late that was.

    What a callback that is due at a random time has to wait, therefore, and up to a millisecond more: the loop's timers
    go by whole ones.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seconds = Histogram()
        self.slow = 0
        self._loop = loop
        self._arm()

    def _arm(self) -> None:
        self._due = perf_counter() + _INTERVAL_SECONDS
        self._handle = self._loop.call_later(_INTERVAL_SECONDS, self._wake)

    def _wake(self) -> None:
        late = max(0.0, perf_counter() - self._due)
        self.seconds.observe(late)
        if late >= SLOW_SECONDS:
            self.slow += 1
            _log.info("a turn of the loop was slow", extra={"fields": {"seconds": round(late, 3)}})
        self._arm()

    def stop(self) -> None:
        """Measure no more."""
        self._handle.cancel()
