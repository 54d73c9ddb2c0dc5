"""What is to be measured, and what the processes tell each other about it."""

from typing import Any

import msgspec

from tickwire.cli.load.reader import Server

__all__ = ["Connected", "Failed", "Message", "Outcome", "Plan", "Progress", "topics_of"]


class Plan(msgspec.Struct, frozen=True):
    """The readers of one process: those numbered ``first``, ``first + step``, ... below ``readers``.

    ``connect_rate`` is in handshakes a second, 0 for as fast as they go; each reader takes ``topics_per_reader`` of
    ``topics``.
    """

    server: Server
    readers: int
    topics: tuple[str, ...]
    topics_per_reader: int
    connect_rate: float
    first: int = 0
    step: int = 1

    @property
    def numbers(self) -> range:
        """Of this process's readers."""
        return range(self.first, self.readers, self.step)


def topics_of(plan: Plan, number: int) -> tuple[int, tuple[str, ...]]:
    """A reader's group and topics: each reader begins one topic later, so every topic has as many readers."""
    count = len(plan.topics)
    if plan.topics_per_reader >= count:
        return 0, plan.topics
    start = number % count
    return start, tuple(plan.topics[(start + index) % count] for index in range(plan.topics_per_reader))


class Connected(msgspec.Struct, tag=True):
    """All readers of a process have subscribed, or failed to, or there was no time left for it.

    ``seconds`` is what the handshakes took together, ``handshakes`` are a histogram's counts of each (us).
    """

    readers: int
    seconds: float
    handshakes: list[int]
    slowest: int
    errors: dict[str, int]


class Progress(msgspec.Struct, tag=True):
    """So far: open streams, those that have subscribed, and frames and bytes since the measurement began."""

    opened: int
    subscribed: int
    frames: int
    bytes: int


class Outcome(msgspec.Struct, tag=True):
    """What a process has measured. ``latency`` are a histogram's counts (us); ``readers`` group and data frames of
    each; ``errors`` are of the measurement alone; ``waiting_seconds`` is time that the process wanted a core and had
    none, ``None`` where that can't be known.
    """

    seconds: float
    frames: int
    bytes: int
    reads: int
    latency: list[int]
    slowest: int
    readers: list[tuple[int, int]]
    early: int
    conflated: int
    gaps: int
    backwards: int
    unannounced: int
    unknown: int
    errors: dict[str, int]
    cpu_seconds: float
    waiting_seconds: float | None


class Failed(msgspec.Struct, tag=True):
    """The process has ended with an exception."""

    text: str


Message: Any = Connected | Progress | Outcome | Failed
