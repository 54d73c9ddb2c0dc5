"""How the cost of a delivery grows: with the readers, the topics of each, and the size of a message.

Readers: one topic, one 320-byte frame a write, 10 to 10,000 readers. Topics: 1,000 readers of 1 to 200 of 200 topics,
each of which has five frames a second, so a reader of more topics gets more frames, up to a million a second for all
of them together. Size: 1,000 readers of one topic, 100 bytes to 8 kB. Each also with `websockets`' broadcast, and where
it can do that with the limit, a loop of send(2) in C. CPU time of the server. ``--draw DIRECTORY`` draws them.
"""

from benchmarks.delivery import NAP, one
from benchmarks.publishers import LIMIT
from benchmarks.report import Row

__all__ = ["CURVES", "NAME", "run"]

NAME = "curves"
CURVES = ("readers", "topics a reader", "bytes a message")
_READERS = (10, 100, 1_000, 3_000, 10_000)
_TOPICS = (1, 5, 20, 50, 100, 200)
_SIZES = (100, 320, 1_000, 3_000, 8_000)
_DELIVERIES = 20_000  # a second, of the first and the third
_TOPIC_RATE = 5.0  # frames a second a topic


def _cost(name: str, **settings: float) -> float:
    return one(name, **settings).cpu_per_delivery * 1e6  # type: ignore[arg-type]


def run(quick: bool) -> list[Row]:
    """Some four minutes; quick two points of each with tiny numbers."""
    seconds = 0.2 if quick else 1.5
    rows: list[Row] = []

    def add(curve: str, at: int, names: tuple[str, ...], **settings: float) -> None:
        costs = {name: _cost(name, nap=NAP, seconds=seconds, **settings) for name in names}
        rival = names[-1]
        for name, cost in costs.items():
            ratio = None if name == rival else cost / costs[rival]
            rows.append(
                Row(
                    NAME, f"{name}: {curve}", f"{at:,}", "us a delivery", {"": cost}, ratio,
                    "" if ratio is None else rival,
                )
            )  # fmt: skip

    three, two = ("tickwire", LIMIT, "websockets"), ("tickwire", "websockets")
    for readers in (5, 10) if quick else _READERS:
        # With 10 readers 20,000 deliveries a second would be 2,000 writes: the loop's turns would join them.
        add("readers", readers, three, readers=readers, rate=min(100.0, _DELIVERIES / readers))
    for topics in (1, 3) if quick else _TOPICS:
        every = 3 if quick else 200
        add(
            "topics a reader", topics, two, readers=6 if quick else 1_000, topics=every, each=topics,
            rate=every * _TOPIC_RATE,
        )  # fmt: skip
    for size in (100, 8_000) if quick else _SIZES:
        readers = 10 if quick else 1_000
        add("bytes a message", size, three, readers=readers, size=size, rate=min(100.0, _DELIVERIES / readers))
    return rows
