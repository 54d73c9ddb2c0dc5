"""Index, mark and funding prices of one perpetual (formulas: published, see docs/conformance.md).

All prices are in ticks, rounded to the nearest; rates are counted in 10**-8.
"""

from collections import deque
from typing import Any

from tickwire.exchange.instruments import RATE_UNIT, Instrument
from tickwire.wire.intervals import HOUR

__all__ = ["PriceState", "index_price", "median"]

# Published: a venue's price is capped to +-3 % of the venues' median, a venue silent for 500 ms is left out, and a jump
# of the index of more than 25 % stops its calculation.
VENUE_CAP_PERCENT = 3
VENUE_SILENCE = 500_000_000
INDEX_STOP_PERCENT = 25
# Published: the basis is an average of 30 samples, one a second.
BASIS_SAMPLES = 30
# Published: interest against premium is clamped to +-0.05 %.
PREMIUM_CLAMP = RATE_UNIT * 5 // 10_000


def median(values: list[int]) -> int:
    """The middle value; of an even number the lower middle's mean with the upper, rounded down."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2


def index_price(prices: list[int]) -> int:
    """The mean of the venues' last prices, each capped to +-3 % of their median."""
    center = median(prices)
    low = center * (100 - VENUE_CAP_PERCENT) // 100
    high = -(-center * (100 + VENUE_CAP_PERCENT) // 100)
    total = sum([min(max(price, low), high) for price in prices])
    return (2 * total + len(prices)) // (2 * len(prices))


class PriceState:
    """What the index, mark and funding rate of one market are made from."""

    __slots__ = (
        "basis", "basis_sum", "funding_rate", "index", "index_stopped", "index_time", "instrument", "last_funding_rate",
        "mark", "next_funding", "premium_count", "premium_sum", "venue_prices", "venue_times",
    )  # fmt: skip

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.venue_prices: list[int] = []
        self.venue_times: list[int] = []
        self.index: int | None = None
        self.index_stopped = False
        self.index_time = 0  # of the newest index, ns; kept where the stop ends by itself
        self.mark: int | None = None
        self.basis: deque[int] = deque()  # double (mid - index), newest last
        self.basis_sum = 0
        self.premium_sum = 0  # sum of n * P_n over the minutes of this interval
        self.premium_count = 0
        self.last_funding_rate = 0
        self.funding_rate = self._rate(0)
        self.next_funding = 0

    def set_venues(self, time: int, prices: tuple[int | None, ...], stop_for: int = 0) -> bool:
        """Take new venue prices and compute the index; whether it changed.

        A jump of more than 25 % stops it for as long as the last index is younger than ``stop_for`` (ns); 0 stops it
        until the prices are back.
        """
        missing = len(prices) - len(self.venue_prices)
        if missing > 0:
            self.venue_prices += [0] * missing
            self.venue_times += [-VENUE_SILENCE - 1] * missing
        for venue, price in enumerate(prices):
            if price is not None and price > 0:
                self.venue_prices[venue] = price
                self.venue_times[venue] = time
        oldest = time - VENUE_SILENCE
        fresh = [p for p, t in zip(self.venue_prices, self.venue_times, strict=True) if t >= oldest]
        if not fresh:
            return False
        index = index_price(fresh)
        last = self.index
        young = not stop_for or time - self.index_time < stop_for
        if last is not None and young and abs(index - last) * 100 > last * INDEX_STOP_PERCENT:
            self.index_stopped = True
            return False
        self.index_stopped = False
        if stop_for:
            self.index_time = time
        self.index = index
        return index != last

    def sample_basis(self, double_mid: int | None) -> None:
        """Once a second: mid - index, for the 30 s average."""
        if double_mid is None or self.index is None:
            return
        sample = double_mid - 2 * self.index
        self.basis.append(sample)
        self.basis_sum += sample
        if len(self.basis) > BASIS_SAMPLES:
            self.basis_sum -= self.basis.popleft()

    def update_mark(self, time: int, last_price: int | None) -> bool:
        """median(index (1 + last funding rate * time to funding / interval), index + average basis, last price).

        Without an index there is no mark. Whether it changed.
        """
        index = self.index
        if index is None:
            return False
        remaining = max(0, self.next_funding - time)
        divisor = RATE_UNIT * self.instrument.funding_interval
        fair = index + (2 * index * self.last_funding_rate * remaining + divisor) // (2 * divisor)
        candidates = [fair]
        count = len(self.basis)
        if count:
            candidates.append(index + (self.basis_sum + count) // (2 * count))
        if last_price is not None:
            candidates.append(last_price)
        mark = max(1, median(candidates))
        changed = mark != self.mark
        self.mark = mark
        return changed

    def sample_premium(self, impact_bid: tuple[int, int] | None, impact_ask: tuple[int, int] | None) -> None:
        """Once a minute: P = (max(0, impact bid - index) - max(0, index - impact ask)) / index.

        An impact price is given as (cost, quantity) in ticks; ``None`` when the side is too thin, which counts as zero.
        The rate then follows from the average of the interval's samples, the n-th weighted by n.
        """
        index = self.index
        if index is None:
            return
        premium = 0
        if impact_bid is not None:
            cost, quantity = impact_bid
            premium += max(0, (cost - index * quantity) * RATE_UNIT // (index * quantity))
        if impact_ask is not None:
            cost, quantity = impact_ask
            premium -= max(0, (index * quantity - cost) * RATE_UNIT // (index * quantity))
        self.premium_count += 1
        self.premium_sum += self.premium_count * premium
        weights = self.premium_count * (self.premium_count + 1) // 2
        self.funding_rate = self._rate((2 * self.premium_sum + weights) // (2 * weights))

    def _rate(self, premium: int) -> int:
        """(avg P + clamp(I - avg P, +-0.05 %)) / (8 h / interval), capped at +-75 % of the maintenance rate."""
        interest = self.instrument.base_interest_rate
        rate = premium + max(-PREMIUM_CLAMP, min(PREMIUM_CLAMP, interest - premium))
        rate = rate * self.instrument.funding_interval // (8 * HOUR)
        cap = self.instrument.funding_rate_cap
        return max(-cap, min(cap, rate))

    def schedule_funding(self, time: int) -> None:
        """Set the next funding time after ``time``: multiples of the interval since midnight UTC."""
        interval = self.instrument.funding_interval
        self.next_funding = time - time % interval + interval

    def close_funding(self, time: int) -> int:
        """The rate to pay now; begins the next interval."""
        rate = self.funding_rate
        self.last_funding_rate = rate
        self.premium_sum = self.premium_count = 0
        self.schedule_funding(time)
        return rate

    def dump(self) -> list[object]:
        """The state as plain values for a snapshot."""
        return [
            self.venue_prices, self.venue_times, self.index, self.index_stopped, self.mark, list(self.basis),
            str(self.premium_sum), self.premium_count, self.last_funding_rate, self.funding_rate, self.next_funding,
            # Left out where it was never kept, so that the state of an older journal keeps its hash.
            *([self.index_time] if self.index_time else []),
        ]  # fmt: skip

    def load(self, state: Any) -> None:
        """Take over what ``dump`` gave."""
        (
            self.venue_prices, self.venue_times, self.index, self.index_stopped, self.mark, basis, premium_sum,
            self.premium_count, self.last_funding_rate, self.funding_rate, self.next_funding, *index_time,
        ) = state  # fmt: skip
        self.index_time = index_time[0] if index_time else 0
        self.basis = deque(basis)
        self.basis_sum = sum(self.basis)
        self.premium_sum = int(premium_sum)
