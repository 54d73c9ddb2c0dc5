"""What a metric is, the histogram that the server's parts keep, and the text that Prometheus reads.

The bottom of the layers, beside the wire: every part may keep counters, and none has to know who reads them. A counter
is a plain integer of the part that counts; what is here turns numbers into the text format when they are asked for, so
a scrape costs something and an event next to nothing. The server's catalogue is ``tickwire.service.metrics``.

There is no ``prometheus-client`` below it, whose parser holds the tests' pages to the format: it takes 60 ms to import,
which is a sixth of the server's start, each of its counters takes a lock at every increment, and what would be left of
it, the text format, is the forty lines below.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

__all__ = ["LATENCY_BOUNDS", "Histogram", "Metric", "Samples", "render"]

# Seconds. An order takes about a millisecond and a turn of the loop less; from a second on something stands still.
LATENCY_BOUNDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip


class Histogram:
    """Counts of values by upper bounds, and their sum. ``counts`` has one entry more than ``bounds``: the rest."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...] = LATENCY_BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)


Samples = int | float | Histogram | Mapping[Any, int | float | Histogram]
"""A metric's value, or its values by a tuple of those of its labels."""


class Metric(msgspec.Struct, frozen=True):
    """One row of a catalogue. ``unit`` is what a value counts; ``labels`` are names in the order of the values."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    unit: str
    help: str
    labels: tuple[str, ...] = ()


def render(metrics: Iterable[tuple[Metric, Samples]]) -> str:
    """The page in the text exposition format, version 0.0.4."""
    lines: list[str] = []
    for metric, samples in metrics:
        lines.append(f"# HELP {metric.name} {_escaped(metric.help)}")
        lines.append(f"# TYPE {metric.name} {metric.type}")
        labelled = samples if isinstance(samples, Mapping) else {(): samples}
        for values, sample in sorted(labelled.items()):
            labels = [f'{name}="{_quoted(value)}"' for name, value in zip(metric.labels, values, strict=True)]
            if isinstance(sample, Histogram):
                lines += _histogram_lines(metric.name, labels, sample)
            else:
                lines.append(f"{metric.name}{_braced(labels)} {sample}")
    return "\n".join([*lines, ""])


def _histogram_lines(name: str, labels: list[str], histogram: Histogram) -> Iterator[str]:
    total = 0
    for bound, count in zip((*map(str, histogram.bounds), "+Inf"), histogram.counts, strict=True):
        total += count
        bucket = _braced([*labels, f'le="{bound}"'])
        yield f"{name}_bucket{bucket} {total}"
    yield f"{name}_sum{_braced(labels)} {histogram.sum}"
    yield f"{name}_count{_braced(labels)} {total}"


def _braced(labels: list[str]) -> str:
    return "{" + ",".join(labels) + "}" if labels else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
