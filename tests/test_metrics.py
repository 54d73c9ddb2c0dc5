"""Histograms and the text format, held to the parser of `prometheus-client`."""

import bisect

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tickwire.metrics import LATENCY_BOUNDS, Histogram, Metric, render


@given(st.lists(st.one_of(st.floats(0, 20), st.sampled_from(LATENCY_BOUNDS))))
def test_a_histogram_has_what_a_plain_count_gives(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    samples = [
        sample
        for family in text_string_to_metric_families(render([(Metric("a", "histogram", "s", "A."), histogram)]))
        for sample in family.samples
    ]
    buckets = {sample.labels["le"]: sample.value for sample in samples if sample.name == "a_bucket"}
    assert buckets.pop("+Inf") == len(values) == histogram.count
    assert buckets == {str(bound): sum(value <= bound for value in values) for bound in LATENCY_BOUNDS}
    assert {sample.name: sample.value for sample in samples if "le" not in sample.labels} == {
        "a_sum": histogram.sum,
        "a_count": len(values),
    }


def test_bounds_rise() -> None:
    assert list(LATENCY_BOUNDS) == sorted(set(LATENCY_BOUNDS))
    assert bisect.bisect_left(LATENCY_BOUNDS, LATENCY_BOUNDS[3]) == 3, "a value at a bound is within it"


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="\r"), min_size=1))
def test_any_text_can_be_a_label_and_a_help(label: str, help: str) -> None:
    # The format ends lines with a line feed only; the parser splits at it.
    page = render([(Metric("a", "gauge", "", help, ("one", "two")), {(label, "x"): 1.5, (label, "y"): 2})])
    (family,) = text_string_to_metric_families(page)
    assert [(sample.labels, sample.value) for sample in family.samples] == [
        ({"one": label, "two": "x"}, 1.5),
        ({"one": label, "two": "y"}, 2.0),
    ]


def test_histograms_by_label_and_an_empty_metric() -> None:
    histogram = Histogram((1.0,))
    histogram.observe(3)
    page = render(
        [
            (Metric("a", "histogram", "seconds", "A.", ("endpoint",)), {("/x",): histogram}),
            (Metric("b_total", "counter", "times", "B.", ("code",)), {}),
        ]
    )
    assert page.splitlines() == [
        "# HELP a A.",
        "# TYPE a histogram",
        'a_bucket{endpoint="/x",le="1.0"} 0',
        'a_bucket{endpoint="/x",le="+Inf"} 1',
        'a_sum{endpoint="/x"} 3.0',
        'a_count{endpoint="/x"} 1',
        "# HELP b_total B.",
        "# TYPE b_total counter",
    ]
