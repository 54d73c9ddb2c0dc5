"""A log-linear histogram of times, as the load generator keeps one: 128 buckets to each doubling.

A value is known to its bucket, less than 1 % wide, so millions of latencies take a few kilobytes and percentiles of
several runs can be taken together. ``native/load.c`` fills the same buckets; the tests compare the two.
"""

from collections.abc import Iterable, Sequence

__all__ = ["Histogram", "bucket_bounds", "bucket_of"]

_SUB_BITS = 7


def bucket_of(value: int) -> int:
    """The number of the bucket that ``value``, at least 0, falls into."""
    shift = max(0, value.bit_length() - 1 - _SUB_BITS)
    return (shift << _SUB_BITS) + (value >> shift)


def bucket_bounds(index: int) -> tuple[int, int]:
    """The smallest and the largest value of a bucket."""
    shift = max(0, (index >> _SUB_BITS) - 1)
    low = (index - (shift << _SUB_BITS)) << shift
    return low, low + (1 << shift) - 1


class Histogram:
    """Counts by bucket; ``largest`` is exact."""

    def __init__(self, buckets: Iterable[tuple[int, int]] = (), largest: int = 0) -> None:
        self.counts = dict(buckets)
        self.largest = largest

    @classmethod
    def of(cls, values: Iterable[int]) -> "Histogram":
        """The histogram of ``values``."""
        histogram = cls()
        for value in values:
            index = bucket_of(value)
            histogram.counts[index] = histogram.counts.get(index, 0) + 1
            histogram.largest = max(histogram.largest, value)
        return histogram

    @property
    def count(self) -> int:
        """How many values it holds."""
        return sum(self.counts.values())

    def add(self, other: "Histogram") -> None:
        """Take in the values of another one."""
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count
        self.largest = max(self.largest, other.largest)

    def percentile(self, percentile: float) -> int:
        """The nearest-rank percentile, rounded up to its bucket's end. Raises ``ValueError`` without any value."""
        total = self.count
        if not total:
            raise ValueError("histogram: expected at least one value, got none")
        rank = max(1, -int(-total * percentile // 100))  # rounded up
        for index in sorted(self.counts):
            rank -= self.counts[index]
            if rank <= 0:
                return min(bucket_bounds(index)[1], self.largest)
        return self.largest

    def figures(self, unit: float, percentiles: Sequence[float] = (50.0, 99.0, 99.9)) -> dict[str, float]:
        """The percentiles and the largest value, each divided by ``unit``."""
        return {**{f"p{each:g}": self.percentile(each) / unit for each in percentiles}, "max": self.largest / unit}
