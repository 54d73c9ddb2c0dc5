"""The histogram against sorting all values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.cli.load.histogram import Histogram, exact_percentile

# Of all sizes, rather than nearly all of the largest.
VALUES = st.integers(0, 43).flatmap(lambda bits: st.integers(0, 2**bits))
PERCENTS = (0, 1, 50, 90, 99, 99.9, 100)


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(st.lists(VALUES, max_size=300))
def test_percentiles_are_right_to_one_percent(values: list[int]) -> None:
    histogram = filled(values)
    assert histogram.total == len(values)
    assert histogram.largest == max(values, default=0)
    for percent in PERCENTS:
        exact = exact_percentile(values, percent)
        assert exact <= histogram.percentile(percent) <= exact * 1.01


@given(st.lists(VALUES, max_size=50), st.lists(VALUES, max_size=50))
def test_a_sum_is_as_good_as_one_histogram_of_all(one: list[int], other: list[int]) -> None:
    sent = filled(other)
    merged = filled(one)
    merged.add(Histogram(sent.trimmed(), sent.largest))
    together = filled(one + other)
    assert (merged.counts, merged.largest) == (together.counts, together.largest)


@pytest.mark.parametrize("value", [0, 255, 256, 511, 512, 2**44 - 1])
def test_the_edges_of_the_counters(value: int) -> None:
    assert filled([value]).percentile(50) == value


def test_what_is_too_large_counts_as_the_largest() -> None:
    histogram = filled([1, 2**60])
    assert (histogram.total, histogram.largest) == (2, 2**60)
    assert histogram.percentile(100) >= 2**43
