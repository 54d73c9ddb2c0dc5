"""What is deleted, and when: old snapshots, the journal before the oldest one that is kept, and old history."""

import sqlite3
from collections.abc import Callable

import msgspec

from tickwire.journal.database import transaction

__all__ = ["Pruner", "Retention"]

# Rows deleted in one slice, which takes about a millisecond.
_ROWS = 500

# The range on the key keeps SQLite from looking at every row of the journal when there is nothing to delete.
_DELETE_JOURNAL = (
    "DELETE FROM journal WHERE first_sequence IN (SELECT first_sequence FROM journal"
    " WHERE first_sequence <= ? AND first_sequence + count - 1 <= ? ORDER BY first_sequence LIMIT ?)"
)
# Ids rise with the time, so the oldest are the first; nothing is deleted once the first is young enough.
_DELETE_EXECUTIONS = (
    "DELETE FROM executions WHERE exec_id IN (SELECT exec_id FROM executions ORDER BY exec_id LIMIT ?)"
    " AND transact_time < ?"
)
_OLD_ORDERS = "SELECT order_id, order_time, transact_time FROM orders WHERE order_id > ? ORDER BY order_id LIMIT ?"


class Retention(msgspec.Struct, frozen=True):
    """How much is kept.

    ``snapshots`` of the newest, the older ones to fall back to; ``commands`` before the newest one, with the snapshots
    to replay them from; orders and executions that happened in the last ``history`` ns, or all of them.
    """

    snapshots: int = 2
    commands: int = 0
    history: int | None = None

    def __post_init__(self) -> None:
        if self.snapshots < 1:
            raise ValueError(f"snapshots: expected at least 1, got {self.snapshots}")
        if self.commands < 0:
            raise ValueError(f"commands: expected at least 0, got {self.commands}")
        if self.history is not None and self.history < 1:
            raise ValueError(f"history: expected at least 1, got {self.history}")


class Pruner:
    """Deletes bit by bit what a snapshot has made superfluous, on the connection that writes."""

    def __init__(self, connection: sqlite3.Connection, retention: Retention) -> None:
        self._connection = connection
        self._retention = retention
        self._journal_up_to = 0
        self._history_before = 0
        self._order_id = 0  # orders up to this one have been looked at
        self._steps: list[Callable[[], int]] = []

    @property
    def due(self) -> bool:
        """Whether there may be something to delete."""
        return bool(self._steps)

    def begin(self, sequence: int, time: int) -> None:
        """A snapshot of command ``sequence`` was added at ``time``: drop old ones. In the snapshot's transaction."""
        execute, retention = self._connection.execute, self._retention
        newest = execute("SELECT sequence FROM snapshots ORDER BY sequence DESC LIMIT ?", (retention.snapshots,))
        found = [number for (number,) in newest]
        # Until there are as many as are wanted, the whole journal is what one can fall back to.
        wanted = min(found[-1], sequence - retention.commands) if len(found) == retention.snapshots else -1
        oldest = execute("SELECT max(sequence) FROM snapshots WHERE sequence <= ?", (wanted,)).fetchone()[0]
        if oldest is not None:
            execute("DELETE FROM snapshots WHERE sequence < ?", (oldest,))
            execute(
                "DELETE FROM rules WHERE first_sequence <"
                " (SELECT max(first_sequence) FROM rules WHERE first_sequence <= ?)",
                (oldest + 1,),
            )
            self._journal_up_to = oldest
        if retention.history is not None:
            self._history_before = time - retention.history
            self._order_id = 0
        self._steps = [self._journal, self._executions, self._orders]

    def run(self) -> int:
        """Delete one slice of what is due; about how many rows."""
        rows = self._steps[0]()
        if rows < _ROWS:
            del self._steps[0]
        return rows

    # One transaction each; fewer than a slice has when there is nothing more.

    def _journal(self) -> int:
        return self._connection.execute(_DELETE_JOURNAL, (self._journal_up_to, self._journal_up_to, _ROWS)).rowcount

    def _executions(self) -> int:
        return self._connection.execute(_DELETE_EXECUTIONS, (_ROWS, self._history_before)).rowcount

    def _orders(self) -> int:
        """Orders that last changed long ago. One that is still open comes back with its next change."""
        rows = self._connection.execute(_OLD_ORDERS, (self._order_id, _ROWS)).fetchall()
        placed = [row for row in rows if row[1] < self._history_before]
        old = [(order_id,) for order_id, _, transact_time in placed if transact_time < self._history_before]
        if old:
            with transaction(self._connection):
                self._connection.executemany("DELETE FROM orders WHERE order_id = ?", old)
        if placed:
            self._order_id = placed[-1][0]
        return len(placed)
