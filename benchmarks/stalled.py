"""100 of 1,000 readers stop reading: the others' latency, with them and without, in alternation.

Each reader has 20 of 100 topics; 100,000 frames a second are due. The stalled ones take nothing for the whole of a
turn, so their socket buffers fill and the server sets their topics aside; then they read again, and get snapshots.
They are timed in neither kind of turn.
Turns with and without are repeated, so that the machine's own noise is seen: the spread of p99 among equal turns is
given beside the difference.
"""

import time

from benchmarks.delivery import deliver, readers_of, subscriptions
from benchmarks.histogram import Histogram
from benchmarks.publishers import started
from benchmarks.report import Row

__all__ = ["run"]

NAME = "stalled"
TOPICS, EACH = 100, 20
OFFERED = 100_000  # frames a second
CHANGE_GOAL = 0.2
# Of each reader's socket, so that a second is enough to fill those of who stalls.
_RECEIVE_BUFFER = 8 * 1024


def run(quick: bool) -> list[Row]:
    """Four turns of 3 s of each kind; quick one of 0.2 s, 20 readers and a hundredth of the frames."""
    seconds, readers, stalled, turns = (0.2, 20, 2, 1) if quick else (3.0, 1_000, 100, 4)
    rate = (OFFERED // 100 if quick else OFFERED) * TOPICS / (readers * EACH)
    sets = subscriptions(TOPICS, EACH)
    fan_out = readers * EACH / TOPICS
    kinds: dict[str, Histogram] = {"all read": Histogram(), f"{stalled} stalled": Histogram()}
    p99s: dict[str, list[float]] = {kind: [] for kind in kinds}
    memories = []
    with (
        started("tickwire", TOPICS, 320) as publisher,
        readers_of(publisher, readers, sets, receive_buffer=_RECEIVE_BUFFER, untimed=stalled) as load,
    ):
        for _ in range(turns):
            for kind, count in zip(kinds, (0, stalled), strict=True):
                load.stall(count)
                deliver(publisher, load, fan_out, rate, 1, seconds / 2)  # fills the buffers of who stalls
                latency = deliver(publisher, load, fan_out, rate, 1, seconds).report.latency
                kinds[kind].add(latency)
                p99s[kind].append(latency.percentile(99.0) / 1e6)
                memories.append(publisher.memory())
                load.resume()
                time.sleep(seconds / 10)
    without, with_them = kinds
    first, second = (histogram.figures(1e6) for histogram in kinds.values())
    change = second["p99"] / first["p99"]
    return [
        Row(NAME, without, "publish to receipt", "ms", first),
        Row(
            NAME, with_them, "publish to receipt, the others", "ms", second, change, "p99 of all read",
            f"p99 changes by < {CHANGE_GOAL:.0%}", abs(change - 1.0) < CHANGE_GOAL,
        ),
        Row(NAME, without, "p99 of the turns", "ms", {"least": min(p99s[without]), "most": max(p99s[without])}),
        Row(NAME, with_them, "p99 of the turns", "ms", {"least": min(p99s[with_them]), "most": max(p99s[with_them])}),
        Row(
            NAME, with_them, "resident memory", "MB", {"": memories[-1]}, memories[-1] / memories[0],
            "before the first stall",
        ),
    ]  # fmt: skip
