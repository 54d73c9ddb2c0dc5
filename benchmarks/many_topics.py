"""1,000 readers, each on 20 of 100 topics, on one core: what arrives, and how late, at rising rates.

Frames are due evenly, the topics in turn, so 5,000 publishes make a million frames a second. Latency counts from the
time at which a frame was due, in the server's own queue too, to its receipt, and is kept in a histogram of 128 buckets
to each doubling.

A rival's ceiling is the highest rate that it keeps up with: 99 % of the frames delivered, and p99 under 100 ms, since
who falls behind is later and later. It is looked for around what its CPU for each delivery would allow.
"""

import sys

import msgspec

from benchmarks.build import MissingTool
from benchmarks.delivery import Delivery, one
from benchmarks.report import Row

__all__ = ["run"]

NAME = "many_topics"
RIVALS = ("nchan", "node ws", "aiohttp", "websockets", "picows")
SIZE = 320
RATES = (100_000, 300_000, 1_000_000)
GOAL_RATE = RATES[-1]
P99_GOAL = 30e6  # ns
TIMES_THE_BEST = 6.0

_KEPT_UP_P99 = 100e6  # ns
_KEPT_UP_SHARE = 0.99
# Of what CPU time alone would allow: the first that is kept up with is the ceiling.
_FIRST = 40_000
_GUESSES = (1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
_HIGHER_RATES = (1_500_000, 2_000_000, 3_000_000)


class Scale(msgspec.Struct, frozen=True):
    """How much of it: ``part`` of the rates, for so many ``seconds``."""

    readers: int = 1_000
    topics: int = 100
    each: int = 20
    part: float = 1.0
    seconds: float = 5.0

    def measure(self, name: str, rate: float, seconds: float) -> Delivery:
        """``rate`` frames a second, summed over the readers."""
        publishes = rate * self.topics / (self.readers * self.each)
        return one(
            name, topics=self.topics, each=self.each, size=SIZE, readers=self.readers, rate=publishes, seconds=seconds
        )


def _kept_up(delivery: Delivery) -> bool:
    return delivery.share >= _KEPT_UP_SHARE and delivery.report.latency.percentile(99.0) < _KEPT_UP_P99


def _ceiling(name: str, scale: Scale) -> float:
    """Frames a second that a rival keeps up with; 0 when it keeps up with none of those tried."""
    seconds = scale.seconds / 2.5
    allowed = scale.part / scale.measure(name, scale.part * _FIRST, seconds / 2).cpu_per_delivery
    for guess in _GUESSES:
        if _kept_up(scale.measure(name, guess * allowed, seconds)):
            return guess * allowed
    return 0.0


def run(quick: bool) -> list[Row]:
    """5 s a rate and 2 s a try; quick 0.2 s, 20 readers and a hundredth of the rates."""
    scale = Scale(readers=20, topics=10, each=2, part=0.01, seconds=0.2) if quick else Scale()
    rows: list[Row] = []
    ceiling = 0.0
    for rate in RATES if quick else (*RATES, *_HIGHER_RATES):
        delivery = scale.measure("tickwire", rate * scale.part, scale.seconds)
        latency, kept_up, goal, met = delivery.report.latency, _kept_up(delivery), "", None
        if rate == GOAL_RATE:
            goal = f"all of it, p99 < {P99_GOAL / 1e6:g} ms"
            met = delivery.share >= 1.0 and latency.percentile(99.0) < P99_GOAL
        case, note = f"tickwire, {rate * scale.part:,.0f} frames/s offered", delivery.report.bottleneck
        rows += [
            Row(NAME, case, "publish to receipt", "ms", latency.figures(1e6), goal=goal, met=met, note=note),
            Row(NAME, case, "delivered", "% of what was offered", {"": delivery.share * 100}),
            Row(NAME, case, "server CPU a delivery", "us", {"": delivery.cpu_per_delivery * 1e6}),
        ]
        if kept_up:
            ceiling = rate * scale.part
        elif rate >= GOAL_RATE:
            break
    ceilings: dict[str, float] = {}
    for name in ("websockets",) if quick else RIVALS:
        try:
            ceilings[name] = _ceiling(name, scale)
        except MissingTool as error:
            print(f"{NAME}: {name} left out: {error}", file=sys.stderr)
    best = max(ceilings, key=lambda name: ceilings[name])
    times = ceiling / ceilings[best] if ceilings[best] else None
    rows.append(
        Row(
            NAME, "tickwire", "ceiling", "frames/s", {"": ceiling}, times, best if times is not None else "",
            f">= {TIMES_THE_BEST:g} x the best rival", None if times is None else times >= TIMES_THE_BEST,
        )
    )  # fmt: skip
    for name, value in ceilings.items():
        part = value / ceiling if ceiling else None
        rows.append(Row(NAME, name, "ceiling", "frames/s", {"": value}, part, "" if part is None else "tickwire"))
    return rows
