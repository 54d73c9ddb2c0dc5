"""`tickwire verify`: replays a journal and compares all that was stored beside it.

From the oldest snapshot that is kept, each command is applied again under the rules of its time. At every later
snapshot the state must have the stored hash; every execution must be, byte for byte, the row that the history has; in
the end the invariants of the exchange must hold, and no id may be in use that is yet to be given out.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.invariants import broken_invariants, money_of
from tickwire.exchange.order_rows import money_text
from tickwire.exchange.snapshot import SnapshotError
from tickwire.journal.archive import Archive
from tickwire.journal.database import DamagedJournalError, StoreError, lock
from tickwire.journal.format import state_hash
from tickwire.journal.mark import read_mark
from tickwire.journal.records import ExecutionRecord
from tickwire.journal.recovery import check_end
from tickwire.service.replay import Replay
from tickwire.service.rules import Rules, RulesError
from tickwire.service.settings import Settings

__all__ = ["Report", "SnapshotReport", "verify"]

# Called with how many commands are done, and how many there are.
Progress = Callable[[int, int], None]

# A fault in one command tends to show in all that follow.
_MOST_PROBLEMS = 20

_encode = msgspec.json.Encoder().encode


class SnapshotReport(msgspec.Struct, rename="camel"):
    """One stored snapshot: whether the replay came to the same state."""

    sequence: int
    state_hash: str
    matches: bool


class Report(msgspec.Struct, rename="camel"):
    """What was found. Counts are of the state at ``sequence``, but for those of the history."""

    directory: str
    acknowledged: int = 0
    sequence: int = 0
    time: str = "0"
    state_hash: str = ""
    replayed_from: int = 0
    replayed_commands: int = 0
    commands: dict[str, int] = {}
    snapshots: list[SnapshotReport] = []
    accounts: int = 0
    house_accounts: int = 0
    open_orders: int = 0
    positions: int = 0
    order_history: int = 0
    execution_history: int = 0
    executions_compared: int = 0
    orders_compared: int = 0
    money: dict[str, dict[str, str]] = {}
    problems: list[str] = []

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(directory: Path, progress: Progress) -> Report:
    """Replay and compare. Raises ``StoreError`` when the directory is in use or there is nothing to read."""
    if not directory.is_dir():
        raise StoreError(f"{directory}: expected a data directory, got none")
    # A server would write on; and what it writes could not be begun anew while all of it is being read.
    held = lock(directory)
    try:
        with Archive(directory) as archive:
            return _Verification(directory, archive).run(progress)
    finally:
        os.close(held)


class _Verification:
    """One run."""

    def __init__(self, directory: Path, archive: Archive) -> None:
        self._archive = archive
        self._report = Report(str(directory), acknowledged=read_mark(directory))
        self._problems: list[str] = []
        self._commands: Counter[str] = Counter()
        self._orders: dict[int, bytes] = {}
        self._stored: Iterator[ExecutionRecord] = iter(())
        self._next: ExecutionRecord | None = None
        self._oldest = 0

    def run(self, progress: Progress) -> Report:
        report = self._report
        try:
            self._check_file()
            self._replay(progress)
        except (DamagedJournalError, RulesError, SnapshotError) as error:
            self._problems.append(str(error))
        report.commands = dict(self._commands.most_common())
        report.problems = self._problems[:_MOST_PROBLEMS]
        left = len(self._problems) - _MOST_PROBLEMS
        if left > 0:
            report.problems.append(f"and {left} more")
        return report

    def _check_file(self) -> None:
        try:
            check_end(self._archive.path)
        except DamagedJournalError as error:
            self._problems.append(str(error))
        self._problems += [f"{self._archive.path}: {fault}" for fault in self._archive.faults()]
        self._report.order_history = self._archive.order_count()
        self._report.execution_history = self._archive.execution_count()

    def _replay(self, progress: Progress) -> None:
        archive, report = self._archive, self._report
        recovery = archive.recover(self._problems.append, newest=False)
        # Only a journal without any command has no rules.
        replay = Replay(recovery, Rules.of(Settings()))
        report.replayed_from = recovery.sequence
        expected = dict(archive.snapshots())
        report.snapshots = [SnapshotReport(sequence, found, False) for sequence, found in expected.items()]
        self._compare_state(replay.engine)
        # What is older has been pruned.
        self._oldest = archive.first_exec_id()
        self._stored = archive.executions(replay.engine.next_exec_id)
        self._next = next(self._stored, None)
        total = archive.last_sequence() - recovery.sequence

        def seen(events: Events) -> None:
            if events.executions:
                self._compare_executions(events)
            if events.sequence in expected:
                self._compare_state(replay.engine)

        try:
            for batch in recovery.batches:
                self._commands.update([type(command).__name__ for _, command in batch.commands])
                replay.run(batch, seen)
                progress(replay.commands, total)
        finally:
            self._describe(replay)
        if self._next is not None:
            self._problems.append(f"execution {self._next.exec_id} of the history is not in the replay")
        if archive.last_order_id() >= replay.engine.next_order_id:
            self._problems.append(
                f"expected the next order id above {archive.last_order_id()}, which the history has,"
                f" got {replay.engine.next_order_id}"
            )
        for order_id, row in self._orders.items():
            if archive.order(order_id) != row:
                self._problems.append(f"order {order_id}: the row of the history is not what the replay gives")
        report.orders_compared = len(self._orders)
        self._problems += broken_invariants(replay.engine)

    def _compare_state(self, engine: Engine) -> None:
        for snapshot in self._report.snapshots:
            if snapshot.sequence == engine.sequence:
                found = state_hash(engine.dump())
                snapshot.matches = found == snapshot.state_hash
                if not snapshot.matches:
                    self._problems.append(
                        f"sequence {engine.sequence}: expected the state {snapshot.state_hash}, which the snapshot has,"
                        f" got {found} by replay"
                    )

    def _compare_executions(self, events: Events) -> None:
        for event in events.executions:
            if event.exec_id < self._oldest:
                continue
            if event.order is not None:
                self._orders[event.order_id] = _encode(event.order)
            stored = self._next
            if stored is not None and stored.exec_id == event.exec_id:
                self._next = next(self._stored, None)
                self._report.executions_compared += 1
                if stored.row == _encode(event.execution) and stored.account == event.account:
                    continue
                self._problems.append(
                    f"sequence {events.sequence}: execution {event.exec_id} of the history is not what the replay gives"
                )
            else:
                self._problems.append(f"sequence {events.sequence}: execution {event.exec_id} is not in the history")

    def _describe(self, replay: Replay) -> None:
        engine, report = replay.engine, self._report
        report.sequence, report.time = engine.sequence, str(engine.time)
        report.state_hash = state_hash(engine.dump())
        report.replayed_commands = replay.commands
        accounts = engine.accounts.values()
        report.accounts = sum(not account.house for account in accounts)
        report.house_accounts = len(accounts) - report.accounts
        report.open_orders = sum(len(account.orders) for account in accounts)
        report.positions = sum(bool(p.quantity) for account in accounts for p in account.positions.values())
        report.money = {
            asset: {name: money_text(amount) for name, amount in sums.items()}
            for asset, sums in money_of(engine).items()
        }
