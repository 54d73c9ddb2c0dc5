"""A histogram that keeps every value to 1 %, from a microsecond to days, in a list of counters.

Log-linear, as HDR histograms are: below 256 a counter for each value, above it 128 counters for each doubling. The
package `hdrhistogram` would do, but brings setuptools into every installation, and a call for each frame.
"""

from collections.abc import Iterable, Sequence

__all__ = ["Histogram", "exact_percentile"]

_EXACT_BITS = 8  # values below 2**8 have a counter of their own
_HALF_BITS = _EXACT_BITS - 1
_LARGEST_BITS = 44  # of a value: 200 days in microseconds; what is larger counts as the largest


class Histogram:
    """Counts of values that are whole numbers from zero on; ``largest`` is exact."""

    __slots__ = ("counts", "largest")

    def __init__(self, counts: Iterable[int] = (), largest: int = 0) -> None:
        self.counts = list(counts)
        self.counts += [0] * (((_LARGEST_BITS - _EXACT_BITS + 2) << _HALF_BITS) - len(self.counts))
        self.largest = largest

    def record(self, value: int) -> None:
        """Count one value."""
        shift = value.bit_length() - _EXACT_BITS
        if shift <= 0:
            self.counts[value] += 1
        elif value < 1 << _LARGEST_BITS:
            self.counts[(shift << _HALF_BITS) + (value >> shift)] += 1
        else:
            self.counts[-1] += 1
        if value > self.largest:
            self.largest = value

    def add(self, other: "Histogram") -> None:
        """Count all of another's values."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.largest = max(self.largest, other.largest)

    @property
    def total(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def percentile(self, percent: float) -> int:
        """The value that ``percent`` of all values do not exceed, at most 1 % too large; 0 where there are none."""
        rank = max(1, -(-self.total * percent // 100))
        seen = 0
        for index, count in enumerate(self.counts):
            seen += count
            if seen >= rank:
                return min(_largest_of(index), self.largest)
        return 0

    def trimmed(self) -> list[int]:
        """The counters up to the last one that is not zero, to be sent elsewhere."""
        used = max((index for index, count in enumerate(self.counts) if count), default=-1)
        return self.counts[: used + 1]


def _largest_of(index: int) -> int:
    """The largest value that a counter stands for."""
    if index < 1 << _EXACT_BITS:
        return index
    shift = (index >> _HALF_BITS) - 1
    return ((index - (shift << _HALF_BITS) + 1) << shift) - 1


def exact_percentile(values: Sequence[int], percent: float) -> int:
    """The same of a list of values, exactly: what the histogram is compared with."""
    if not values:
        return 0
    return sorted(values)[int(max(1, -(-len(values) * percent // 100))) - 1]
