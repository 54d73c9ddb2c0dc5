"""The histogram against exact percentiles, and the one of C against the one of Python."""

import json
import subprocess

import pytest
from benchmarks.build import compiled
from benchmarks.histogram import Histogram, bucket_bounds, bucket_of
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.lists(st.integers(0, 2**63) | st.integers(0, 300) | st.integers(0, 10**9), min_size=1, max_size=200)


@given(st.integers(0, 2**63))
def test_a_bucket_holds_its_value_and_is_narrow(value: int) -> None:
    low, high = bucket_bounds(bucket_of(value))
    assert low <= value <= high
    assert (high - low) * 128 <= low  # less than 1 % of it


@given(st.integers(0, 10_000))
def test_buckets_follow_one_another(index: int) -> None:
    if bucket_bounds(index)[1] < 2**63:
        assert bucket_bounds(index + 1)[0] == bucket_bounds(index)[1] + 1
    assert bucket_of(bucket_bounds(index)[0]) == bucket_of(bucket_bounds(index)[1]) == index


@given(VALUES, st.floats(0.0, 100.0))
def test_a_percentile_is_the_exact_one_to_its_bucket(values: list[int], percentile: float) -> None:
    ordered = sorted(values)
    exact = ordered[max(1, -int(-len(ordered) * percentile // 100)) - 1]
    found = Histogram.of(values).percentile(percentile)
    assert exact <= found <= min(bucket_bounds(bucket_of(exact))[1], ordered[-1])


@given(VALUES, VALUES)
def test_two_histograms_together_are_that_of_all_values(first: list[int], second: list[int]) -> None:
    histogram = Histogram.of(first)
    histogram.add(Histogram.of(second))
    together = Histogram.of(first + second)
    assert (histogram.counts, histogram.largest) == (together.counts, together.largest)
    assert histogram.count == len(first) + len(second)


def test_figures_have_a_unit() -> None:
    figures = Histogram.of(range(1_000_000, 101_000_000, 1_000_000)).figures(1e6)
    assert figures == {"p50": pytest.approx(50, 0.01), "p99": pytest.approx(99, 0.01), "p99.9": 100.0, "max": 100.0}


def test_an_empty_one_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        Histogram().percentile(50.0)


@pytest.mark.usefixtures("compiler")
def test_c_fills_the_same_buckets() -> None:
    values = [*range(600), *(2**power + step for power in range(8, 63) for step in (-1, 0, 1, 12345))]
    done = subprocess.run(
        [compiled("load"), "histogram"], input=" ".join(map(str, values)), capture_output=True, text=True, check=True
    )
    written = json.loads(done.stdout)
    assert dict(written["buckets"]) == Histogram.of(values).counts
    assert (written["smallest"], written["largest"], written["timed"]) == (0, max(values), len(values))
