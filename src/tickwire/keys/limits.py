"""Token buckets: how much of something a peer may do, in the long run and at once. They read no clock."""

__all__ = ["BucketTable", "TokenBucket"]

# Full buckets are dropped once a table holds this many, so that a scan from many addresses costs no memory for long.
_MAX_BUCKETS = 10_000

# Who waits exactly as long as told is let through: epoch seconds in a float have steps of 2e-7.
_ROUNDING = 1e-6


class TokenBucket:
    """Holds up to ``burst`` tokens and gains ``rate`` of them a second; starts full.

    Times are seconds of any one clock.
    """

    __slots__ = ("burst", "level", "rate", "time")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self.level = burst
        self.time = now

    def refill(self, now: float) -> float:
        """Bring the bucket up to ``now``; the tokens in it."""
        # A wall clock may be set back: that adds nothing, and the bucket goes on from the new time.
        self.level = min(self.burst, self.level + max(0.0, now - self.time) * self.rate)
        self.time = now
        return self.level

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take ``cost`` tokens and give 0.0, or take none and give the seconds until there are enough."""
        level = self.refill(now)
        if level >= cost - _ROUNDING:
            self.level = level - cost
            return 0.0
        return (cost - level) / self.rate

    def spend(self, now: float, cost: float = 1.0) -> float:
        """Take ``cost`` tokens even where there are none; the level after it, below zero for what was too much."""
        self.level = self.refill(now) - cost
        return self.level


class BucketTable:
    """A bucket for each name (an address, a key)."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, name: str, now: float) -> float:
        """Take one token of ``name`` and give 0.0, or the seconds until there is one."""
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= _MAX_BUCKETS:
                # A full bucket is as good as none.
                self._buckets = {known: kept for known, kept in self._buckets.items() if kept.refill(now) < kept.burst}
            bucket = self._buckets[name] = TokenBucket(self._rate, self._burst, now)
        return bucket.take(now)
