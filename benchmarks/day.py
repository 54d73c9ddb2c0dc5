"""A day of the default market, on virtual time: what it leaves on the disk, and how long the next start takes.

The day is as many commands as the market sends in 24 hours, in batches as the server makes them, with its snapshots and
pruning; it ends as a kill ends it. Without ``TICKWIRE_BENCH_HOURS=24`` it is half an hour, which leaves about as much:
what a start has to do depends on the snapshots, not on the time before them.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import Server, temporary_directory
from benchmarks.report import Row
from tickwire.exchange.commands import Command, Tick
from tickwire.exchange.events import Events
from tickwire.journal.records import Batch
from tickwire.journal.store import Store
from tickwire.market.history import backfill
from tickwire.market.simulation import MarketSimulation
from tickwire.service.rules import Rules
from tickwire.service.settings import Settings
from tickwire.service.verify import verify
from tickwire.wire.intervals import HOUR, SECOND

__all__ = ["run"]

NAME = "day"
QUARTERS = 4  # the size is looked at this often


class _Day:
    """An exchange of house accounts only; so there is no history to keep."""

    def __init__(self, directory: Path, hours: float) -> None:
        self._settings = Settings()
        rules = Rules.of(self._settings)
        self.directory = directory
        self._instruments = rules.load_instruments()
        self.engine = rules.engine(None)
        self._store = Store.open(directory, retention=self._settings.retention())
        self._store.set_rules(rules.encode())
        self._end = time.time_ns()
        self.now = self._end - int(hours * HOUR)
        self._batch: list[tuple[int, Command]] = []
        self._snapshot_at = 0

    def _apply(self, command: Command) -> Events:
        events = self.engine.apply(self.now, command)
        self._batch.append((events.time, command))
        return events

    def _flush(self) -> None:
        if self._batch:
            first = self.engine.sequence - len(self._batch) + 1
            self._store.commit(Batch(first, self._batch, [], []), _check)
            self._batch = []
        if self.engine.sequence >= self._snapshot_at:
            self._snapshot_at = self.engine.sequence + self._settings.snapshot_every
            self._store.save_snapshot(self.engine.sequence, self.engine.dump(), _check)

    def run(self) -> Iterator[int]:
        """Live it; the bytes on disk at each quarter."""
        for command in backfill(self._instruments, self._settings.seed, self.now):
            self._apply(command)
        simulation = MarketSimulation(self._instruments, self._settings.seed)
        due = simulation.start(self.engine, self.now, self._apply)
        self._flush()
        length = self._end - self.now
        looks = [self._end - length * left // QUARTERS for left in range(QUARTERS - 1, -1, -1)]
        while self.now < self._end:
            self.now = min(due, self.now - self.now % SECOND + SECOND)
            if self.now >= self.engine.next_second:
                self._apply(Tick())
            if self.now >= due:
                due = simulation.step(self.now)
            self._flush()
            while looks and self.now >= looks[0]:
                looks.pop(0)
                yield sum(path.stat().st_size for path in self.directory.iterdir())
        # With all that a kill leaves to do; closing only lets go of the directory.
        self._store.close()


def _check(error: Exception | None) -> None:
    if error is not None:
        raise error


def run(quick: bool) -> list[Row]:
    """Half an hour of the market, or the hours asked for; quick: six seconds."""
    hours = float(os.environ.get("TICKWIRE_BENCH_HOURS") or (6 / 3600 if quick else 0.5))
    case = f"{hours:g} hours of the market"
    with temporary_directory() as directory:
        day = _Day(directory, hours)
        started = time.process_time()
        sizes = list(day.run())
        seconds = time.process_time() - started
        commands = day.engine.sequence
        begun = time.perf_counter()
        report = verify(directory, lambda *_: None)
        verified = time.perf_counter() - begun
        if report.problems:
            raise RuntimeError(f"expected a good journal, got {report.problems}")
        left = report.sequence - report.snapshots[-1].sequence
        server = Server(directory)
        server.stop()
    return [
        Row(NAME, case, "commands", "", {"": commands}),
        Row(NAME, case, "applied and journalled", "commands per CPU s", {"": commands / seconds}),
        Row(
            NAME, case, "data directory", "MB",
            {f"{number}/{QUARTERS}": size / 1e6 for number, size in enumerate(sizes, 1)},
        ),
        Row(
            NAME, case, f"start after a kill, {left:,} commands to replay", "s", {"": server.start_seconds},
            goal="< 5 s",
        ),
        Row(NAME, case, f"tickwire verify, {report.replayed_commands:,} commands", "s", {"": verified}),
    ]  # fmt: skip
