"""A journal to look at: read only, all of it as it was at one moment, also while a server writes to it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from tickwire.journal import recovery
from tickwire.journal.database import FILE_NAME, StoreError, failure, open_reader
from tickwire.journal.records import ExecutionRecord, OrderRecord, Recovery

__all__ = ["Archive"]

_ORDERS = "SELECT account, order_id, symbol, perpetual, order_time, transact_time, row FROM orders"
_EXECUTIONS = (
    "SELECT account, exec_id, order_id, symbol, perpetual, exec_type, transact_time, row FROM executions"
    " WHERE exec_id >= ?"
)
# So many faults are enough to know that there are some.
_MOST_FAULTS = 20


class Archive:
    """What a data directory holds. Its methods raise ``StoreError``, ``DamagedJournalError`` where it can't be read."""

    def __init__(self, directory: Path) -> None:
        """Open the journal of a directory; its first read decides on the moment that is shown."""
        self.path = directory / FILE_NAME
        if not self.path.exists():
            raise StoreError(f"{self.path}: expected a data directory, got no such file")
        self._connection = open_reader(self.path)
        self._connection.execute("BEGIN")

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def faults(self) -> list[str]:
        """What SQLite finds wrong with the file, or nothing; reads all of it."""
        try:
            found = [text for (text,) in self._connection.execute(f"PRAGMA integrity_check({_MOST_FAULTS})")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if found == ["ok"] else found

    def snapshots(self) -> list[tuple[int, str]]:
        """The sequence numbers of the snapshots, oldest first, with the hash of each state."""
        with self._reading():
            return self._connection.execute("SELECT sequence, state_hash FROM snapshots ORDER BY sequence").fetchall()

    def journal(self) -> tuple[int, int, int]:
        """The first and the last command that the journal holds, and how many batches they are in; zeros when none."""
        with self._reading():
            first, last, count = self._connection.execute(
                "SELECT coalesce(min(first_sequence), 0), coalesce(max(first_sequence + count - 1), 0), count(*)"
                " FROM journal"
            ).fetchone()
            return first, last, count

    def last_sequence(self) -> int:
        """The number of the last command that is kept."""
        with self._reading():
            return recovery.last_sequence(self._connection)

    def recover(self, warn: Callable[[str], None], *, newest: bool = True) -> Recovery:
        """As ``Store.recover``, or from the oldest snapshot that is whole; changes nothing."""
        with self._reading():
            sequence, snapshot, _ = recovery.good_snapshot(self._connection, self.path, warn, newest)
            rules = recovery.rules_from(self._connection, sequence + 1)
        return Recovery(snapshot, sequence, recovery.read_batches(self._connection, self.path, sequence), rules)

    def order_count(self) -> int:
        """How many orders the history holds."""
        return self._count("orders")

    def execution_count(self) -> int:
        """How many executions the history holds."""
        return self._count("executions")

    def last_order_id(self) -> int:
        """The newest order of the history, 0 when there is none."""
        with self._reading():
            newest: int = self._connection.execute("SELECT coalesce(max(order_id), 0) FROM orders").fetchone()[0]
            return newest

    def first_exec_id(self) -> int:
        """The oldest execution of the history, 0 when there is none."""
        with self._reading():
            oldest: int = self._connection.execute("SELECT coalesce(min(exec_id), 0) FROM executions").fetchone()[0]
            return oldest

    def orders(self) -> Iterator[OrderRecord]:
        """The history of orders, oldest first."""
        with self._reading():
            for row in self._connection.execute(f"{_ORDERS} ORDER BY order_id"):
                yield OrderRecord(*row)

    def order(self, order_id: int) -> bytes | None:
        """The row of one order."""
        with self._reading():
            found = self._connection.execute("SELECT row FROM orders WHERE order_id = ?", (order_id,)).fetchone()
        return None if found is None else found[0]

    def executions(self, first_id: int = 0) -> Iterator[ExecutionRecord]:
        """The history of executions from an id on, oldest first."""
        with self._reading():
            for row in self._connection.execute(f"{_EXECUTIONS} ORDER BY exec_id", (first_id,)):
                yield ExecutionRecord(*row)

    def _count(self, table: str) -> int:
        with self._reading():
            count: int = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  # ours
            return count

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise failure(self.path, error) from None
