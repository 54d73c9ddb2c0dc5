"""One topic to 1,000 readers, one frame a write: the server's CPU for each delivery of a 320-byte ticker frame.

The stream's own hub, outboxes and transport run behind uvicorn with a feed that publishes one topic, 20 frames a
second. The limit is a C program that calls send(2) with a prebuilt frame for each of the same 1,000 readers. Rivals
send the same frames to the same readers: nchan in nginx, node's ws, aiohttp, picows, and `websockets` with its
`broadcast`; each without compression, in the way its own documentation broadcasts. In a second case 20 frames are due
at once, as under load.

All of them run one after the other, and that several times over; the median counts. CPU time, not elapsed time.
"""

import statistics
import sys

from benchmarks.build import MissingTool
from benchmarks.delivery import NAP, Delivery, one
from benchmarks.publishers import LIMIT
from benchmarks.report import Row

__all__ = ["run"]

NAME = "fan_out"
RIVALS = ("nchan", "node ws", "aiohttp", "websockets")  # of which the goal speaks
OTHERS = ("picows",)
TIMES_THE_LIMIT = 1.2
TURNS_A_SECOND = 20.0
SIZE = 320


def _medians(names: list[str], readers: int, together: int, rounds: int, seconds: float) -> dict[str, float]:
    """CPU seconds a delivery by name; those that can't be had are left out, and say why on standard error."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in list(found):
            try:
                delivery = one(
                    name, size=SIZE, readers=readers, rate=TURNS_A_SECOND, together=together, seconds=seconds, nap=NAP
                )
            except MissingTool as error:
                print(f"{NAME}: {name} left out: {error}", file=sys.stderr)
                del found[name]
            else:
                _check(name, delivery)
                found[name].append(delivery.cpu_per_delivery)
    return {name: statistics.median(values) for name, values in found.items()}


def _check(name: str, delivery: Delivery) -> None:
    report = delivery.report
    if report.frames < delivery.expected or report.gaps:
        raise RuntimeError(
            f"{name}: expected {delivery.expected} frames without a gap, got {report.frames} and {report.gaps} gaps"
        )


def run(quick: bool) -> list[Row]:
    """Three rounds of 1.5 s each; quick one of 0.2 s and 20 readers."""
    rounds, seconds, readers = (1, 0.2, 20) if quick else (3, 1.5, 1_000)
    names = ["tickwire", LIMIT, *(RIVALS + OTHERS if not quick else ("websockets",))]
    rows = []
    costs = _medians(names, readers, 1, rounds, seconds)
    limit, own = costs[LIMIT], costs["tickwire"]
    case = f"1 frame a write to {readers:,} readers"
    for name, cost in costs.items():
        goal = met = None
        if name == "tickwire":
            goal = f"<= {TIMES_THE_LIMIT} x the limit, ahead of {', '.join(RIVALS)}"
            met = own <= TIMES_THE_LIMIT * limit and all(own < costs[rival] for rival in RIVALS if rival in costs)
        rows.append(
            Row(
                NAME, f"{name}, {case}", "server CPU a delivery", "us", {"": cost * 1e6},
                None if name == LIMIT else cost / limit, "" if name == LIMIT else LIMIT, goal or "", met,
            )
        )  # fmt: skip
    joined = _medians(["tickwire", LIMIT, "websockets"], readers, 20, 1 if quick else 3, seconds)
    case = f"20 frames at once to {readers:,} readers"
    for name, cost in joined.items():
        rows.append(
            Row(
                NAME, f"{name}, {case}", "server CPU a delivery", "us", {"": cost * 1e6},
                None if name == LIMIT else cost / joined[LIMIT], "" if name == LIMIT else LIMIT,
            )
        )  # fmt: skip
    return rows
