"""The exchange's clock: the machine's, except that it never goes back.

A machine's clock may be set back: by hand, or by its time service after it ran wrong. Candles, funding and frames
can't follow it. Time then goes on from where it was, a little slower than the machine's, until that has caught up.
The same holds on a data directory whose newest command is from a time that has not come yet.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from tickwire.wire.intervals import SECOND

__all__ = ["ExchangeClock"]

# A minute then takes 67 seconds, and an hour is caught up in ten. Slower, and timers would be off by more than anyone
# notices; faster, and the exchange would be ahead for days.
_PACE = (9, 10)
# Time services move a clock by less than this all the time.
_WORTH_A_WORD = SECOND

_log = logging.getLogger("tickwire")


class ExchangeClock:
    """Called, gives the time in ns since the epoch; never less than before, nor than ``newest``."""

    def __init__(
        self,
        newest: int = 0,
        *,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._newest = newest
        # While ahead of the machine's clock: this time, at this reading of the monotonic clock.
        self._since: tuple[int, int] | None = None

    def __call__(self) -> int:
        """The time now."""
        now = self._wall()
        if self._since is None:
            if now >= self._newest:
                self._newest = now
                return now
            self._since = self._newest, self._monotonic()
            self._warn(self._newest - now)
        start, reading = self._since
        slower = start + (self._monotonic() - reading) * _PACE[0] // _PACE[1]
        if slower > now:
            now = slower
        else:
            self._since = None
        self._newest = now
        return now

    def _warn(self, behind: int) -> None:
        if behind >= _WORTH_A_WORD:
            _log.warning(
                "the clock is %.1f s behind the exchange, which is at %s: time goes on from there, a tenth slower,"
                " until the clock has caught up",
                behind / SECOND,
                datetime.fromtimestamp(self._newest // SECOND, UTC).isoformat(),
            )
