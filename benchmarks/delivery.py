"""One measurement of a stream: a server publishes for some seconds to many readers."""

import contextlib
import gc
from collections.abc import Iterator, Sequence

import msgspec

from benchmarks.load import Load, Report
from benchmarks.publishers import Publisher, started
from benchmarks.source import Source

__all__ = ["NAP", "Delivery", "deliver", "one", "readers_of", "subscriptions"]

# Before anything is counted, so that sockets and allocators have seen a frame, and until tickwire, which looks once a
# second for readers that may share what they are sent, has found them. Less only where the figures do not matter.
_WARM_UP_SECONDS = 2.0
# For figures of CPU time: the readers look every half a millisecond, as if they were not on this machine.
NAP = 500


class Delivery(msgspec.Struct, frozen=True):
    """What came of it. ``expected`` frames is what was published times who subscribed; ``cpu`` is the server's."""

    published: int
    expected: int
    cpu: float
    report: Report

    @property
    def share(self) -> float:
        """The part of the frames that arrived; a snapshot in place of several makes it smaller."""
        return self.report.frames / self.expected

    @property
    def cpu_per_delivery(self) -> float:
        """Server CPU seconds a frame at a reader."""
        return self.cpu / max(1, self.report.frames)


def subscriptions(topics: int, each: int) -> list[list[str]]:
    """So many different sets of ``each`` topics that every topic is in equally many of them."""
    names = Source(topics, 320).names
    return [[names[(first + step) % topics] for step in range(each)] for first in range(topics)]


@contextlib.contextmanager
def readers_of(
    publisher: Publisher,
    readers: int,
    sets: Sequence[Sequence[str]],
    *,
    deflate: bool = False,
    receive_buffer: int = 0,
    nap: int = 0,
    untimed: int = 0,
) -> Iterator[Load]:
    """So many readers of a server, subscribed, for the time of a block."""
    load = Load(
        publisher.port, readers, publisher.requests(sets, deflate=deflate), publisher.messages(sets),
        ready=publisher.ready(len(sets[0])), topics=1000, receive_buffer=receive_buffer, nap=nap, untimed=untimed,
    )  # fmt: skip
    try:
        load.subscribe()
        yield load
    finally:
        load.close()


def deliver(publisher: Publisher, load: Load, fan_out: float, rate: float, together: int, seconds: float) -> Delivery:
    """``together`` frames ``rate`` times a second, each for ``fan_out`` readers."""
    gc.collect()
    load.measure()
    cpu = publisher.cpu()
    published = publisher.publish(rate, together, seconds)
    expected = round(published * fan_out)
    report = load.settle(expected)
    return Delivery(published, expected, publisher.cpu() - cpu, report)


def one(
    name: str, *, topics: int = 1, each: int = 1, size: int = 320, readers: int, rate: float, together: int = 1,
    seconds: float, deflate: bool = False, nap: int = 0,
) -> Delivery:  # fmt: skip
    """A server of its own with ``readers`` readers of ``each`` of ``topics`` topics. Raises ``MissingTool``."""
    if readers % topics:
        raise ValueError(
            f"readers: expected a multiple of the {topics} topics, so that all have as many, got {readers}"
        )
    sets = subscriptions(topics, each)
    with (
        started(name, topics, size) as publisher,
        readers_of(publisher, readers, sets, deflate=deflate, nap=nap) as load,
    ):
        fan_out = readers * each / topics
        deliver(publisher, load, fan_out, rate / 4, together, min(2 * seconds, _WARM_UP_SECONDS))
        return deliver(publisher, load, fan_out, rate, together, seconds)
