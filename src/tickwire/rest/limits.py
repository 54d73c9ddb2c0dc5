"""How many requests a key, or an address without one, may send."""

import math

import msgspec

from tickwire.keys.limits import TokenBucket

__all__ = ["RequestLimits", "Standing"]

# Full buckets are dropped once there are this many, so that a scan from many addresses costs no memory for long.
_MAX_BUCKETS = 10_000


class Standing(msgspec.Struct, frozen=True):
    """Where a client stands after one request: what may follow at once, when that is all of it again (epoch seconds),
    and the seconds to wait before the next, 0 when this one was let through.
    """

    remaining: int
    reset: int
    retry_after: int


class RequestLimits:
    """``rate`` requests a second for each name, with as many in one burst."""

    def __init__(self, rate: int = 100) -> None:
        self.rate = rate
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, name: str, now: float) -> Standing:
        """Count one request of ``name`` at ``now`` (epoch seconds)."""
        rate = self.rate
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= _MAX_BUCKETS:
                # A full bucket is as good as none.
                self._buckets = {known: kept for known, kept in self._buckets.items() if kept.refill(now) < rate}
            bucket = self._buckets[name] = TokenBucket(rate, rate, now)
        wait = bucket.take(now)
        level = bucket.level
        return Standing(int(level), math.ceil(now + (rate - level) / rate), math.ceil(wait))
