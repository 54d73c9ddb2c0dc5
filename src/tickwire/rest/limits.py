"""How many requests a key, or an address without one, may send."""

import msgspec

__all__ = ["RequestLimits", "Standing"]

# Buckets that are full again are dropped once there are this many, so that a scan from many addresses costs no memory.
_MAX_BUCKETS = 10_000


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """Where a client stands after one request. ``reset`` in epoch seconds; ``retry_after`` seconds, 0 when let through."""

    remaining: int
    reset: int
    retry_after: int


class RequestLimits:
    """``rate`` requests a second for each name, with as many in one burst.

    A bucket is one number: the time at which it is full again. A request moves it on by ``1 / rate``, and is refused
    when that would be more than a second from now.
    """

    def __init__(self, rate: int = 100) -> None:
        self.rate = rate
        self._interval = 1.0 / rate
        self._full_at: dict[str, float] = {}

    def take(self, name: str, now: float) -> Standing:
        """Count one request of ``name`` at ``now`` (epoch seconds)."""
        full_at = self._full_at.get(name, 0.0)
        if full_at < now:
            full_at = now
        used = full_at + self._interval
        # Half an interval of grace swallows the rounding of the sum: exactly ``rate`` fit into one burst.
        if used - now > 1.0 + self._interval / 2:
            return Standing(0, int(full_at) + 1, max(1, round(used - now - 1.0)))
        if len(self._full_at) >= _MAX_BUCKETS and name not in self._full_at:
            self._full_at = {known: time for known, time in self._full_at.items() if time > now}
        self._full_at[name] = used
        return Standing(int((1.0 + self._interval / 2 - used + now) * self.rate), int(used) + 1, 0)
