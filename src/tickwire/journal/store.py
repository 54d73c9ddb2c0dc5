"""The journal of one exchange: commands, snapshots and history in one SQLite file.

Commits are gathered: what one turn of the event loop hands over is written in one transaction at the turn's end, then
each batch is reported, in order. One operation is on the file at a time:

* a group of batches, written on the loop's own thread. In WAL mode without an fsync that is some 50 us of memory
  copies, less than handing it to a thread and back costs; and a writing thread starves for as long as the loop is
  busy, since it needs the GIL again after each statement. Only with durability ``power``, where a commit waits for
  the disk, a worker thread writes it.
* upkeep, always on the worker thread: write a snapshot, delete what it made superfluous, copy the WAL back into the
  database (a checkpoint). A group waits while upkeep is under way, so long deletions stop when there is one.

Groups and upkeep take turns, so neither can starve the other.
"""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from tickwire.journal import database, recovery
from tickwire.journal.database import Durability, StoreError
from tickwire.journal.format import PackedSnapshot, encode_commands, pack_snapshot
from tickwire.journal.history import History, HistoryPage
from tickwire.journal.records import Batch, Recovery

__all__ = ["Done", "Store"]

Done = Callable[[Exception | None], None]
T = TypeVar("T")

_log = logging.getLogger(__name__)

# How much may be written before a checkpoint. It holds commits up for one or two fsyncs, so it should be rare; the WAL
# stays about this big on disk and is read back after a crash, so it should not be huge.
_CHECKPOINT_BYTES = 32 * 1024 * 1024
# What a row costs in the WAL at most: its page of the table and its page of the index.
_ROW_BYTES = 2 * 4096
# Journal rows deleted in one transaction: a millisecond or two, the longest that a commit waits for it.
_PRUNE_ROWS = 1000

_INSERT_BATCH = "INSERT INTO journal VALUES (?, ?, ?)"
# The columns of the index stay as they are, so that an update leaves it alone.
_INSERT_ORDER = (
    "INSERT INTO orders (account, order_id, symbol, perpetual, order_time, transact_time, row)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (order_id) DO UPDATE SET transact_time = excluded.transact_time, row = excluded.row"
)
_INSERT_EXECUTION = (
    "INSERT INTO executions (account, exec_id, order_id, symbol, perpetual, exec_type, transact_time, row)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
# The range on the key keeps SQLite from looking at every row of the journal when there is nothing to delete.
_PRUNE = (
    "DELETE FROM journal WHERE first_sequence IN (SELECT first_sequence FROM journal"
    " WHERE first_sequence <= ? AND first_sequence + count - 1 <= ? ORDER BY first_sequence LIMIT ?)"
)


class _Operation(msgspec.Struct, eq=False):
    """Something under way on the worker thread, and what is done with its outcome on the loop."""

    future: Future[object]
    then: Callable[[Future[object]], None]


class Store:
    """The journal. Every method is called on the loop's thread; without a loop everything is done before it returns."""

    def __init__(
        self,
        directory: Path,
        lock: int,
        connection: sqlite3.Connection,
        loop: asyncio.AbstractEventLoop | None,
        durability: Durability,
        keep_snapshots: int,
    ) -> None:
        self._path = directory / database.FILE_NAME
        self._lock = lock
        self._connection = connection
        self._history = History(self._path)
        self._loop = loop
        self._wait_for_disk = durability == "power"
        self._keep_snapshots = keep_snapshots
        self._closed = False
        self._error: StoreError | None = None

        self._last_sequence = recovery.last_sequence(connection)
        self._pending: list[tuple[Batch, Done]] = []
        self._packed: list[tuple[PackedSnapshot, Done]] = []
        self._prune_up_to = 0  # journal rows up to this sequence are superfluous
        self._written_bytes = 0  # since the last checkpoint, estimated

        # One thread for the file, one to compress snapshots meanwhile.
        self._executor = ThreadPoolExecutor(2, thread_name_prefix="journal")
        self._operations: set[_Operation] = set()
        self._busy = False  # an operation is on the file
        self._group_was_last = False
        self._scheduled = False

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        durability: Durability = "process",
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        keep_snapshots: int = 2,
    ) -> "Store":
        """Open the journal of ``directory``, making both where there are none, and lock the directory.

        ``durability``: what a power cut may cost, see ``database``; a killed process never loses what was reported as
        done. ``loop`` is where ``done`` is called; without one it is called before ``commit`` returns.
        ``keep_snapshots``: how many of the newest are kept, the older ones to fall back to.

        Raises ``StoreError`` when the directory is in use or can't be written, or the file is not a journal, is of a
        newer format, or is damaged.
        """
        if keep_snapshots < 1:
            raise ValueError(f"keep_snapshots: expected at least 1, got {keep_snapshots}")
        path = Path(directory)
        lock = database.lock(path)
        connection: sqlite3.Connection | None = None
        try:
            connection = database.open_writer(path / database.FILE_NAME, durability)
            return cls(path, lock, connection, loop, durability, keep_snapshots)
        except (sqlite3.Error, StoreError) as error:
            if connection is not None:
                connection.close()
            os.close(lock)
            if isinstance(error, StoreError):
                raise
            raise database.failure(path / database.FILE_NAME, error) from None

    @property
    def last_sequence(self) -> int:
        """The number of the last command that was handed over, now or in an earlier run; 0 when there was none."""
        return self._last_sequence

    def recover(self, warn: Callable[[str], None] = _log.warning) -> Recovery:
        """The newest snapshot that is whole, and the batches after it; to be called before the first commit.

        A damaged snapshot is reported by ``warn``, dropped, and an older one taken. Raises ``StoreError`` when that
        leaves a hole; so does reading ``batches`` at a damaged or missing one, with its sequence number.
        """
        return recovery.recover(self._connection, self._path, warn)

    def commit(self, batch: Batch, done: Done) -> None:
        """Keep a batch; returns at once. ``done(None)`` is called, in order, once it can't be lost any more.

        After a failure to write, ``done`` gets a ``StoreError`` for this batch and for every later one. Raises
        ``ValueError`` for a batch that does not follow the last one.
        """
        if not batch.commands:
            raise ValueError("commands: expected at least one, got none")
        if batch.first_sequence != self._last_sequence + 1:
            raise ValueError(f"first_sequence: expected {self._last_sequence + 1}, got {batch.first_sequence}")
        self._last_sequence += len(batch.commands)
        self._pending.append((batch, done))
        self._schedule()

    def save_snapshot(self, sequence: int, data: bytes, done: Done) -> None:
        """Keep the state after command ``sequence``; returns at once, ``done`` is called once it is on disk.

        Older snapshots, and the journal before the oldest one that is kept, are then deleted bit by bit. Raises
        ``ValueError`` for a sequence that was not handed over yet.
        """
        if sequence > self._last_sequence:
            raise ValueError(f"sequence: expected at most {self._last_sequence}, got {sequence}")

        def packed(future: Future[PackedSnapshot]) -> None:
            error = future.exception()
            if error is not None:
                _report([done], StoreError(f"{self._path}: can't compress a snapshot: {error}"))
                return
            self._packed.append((future.result(), done))
            self._schedule()

        self._run(lambda: pack_snapshot(sequence, data), packed)

    def order_history(self, account: str, page: HistoryPage) -> bytes:
        """The JSON reply to a query of orders; shows every batch whose ``done`` was called. Raises ``StoreError``."""
        return self._history.orders(account, page)

    def execution_history(self, account: str, page: HistoryPage) -> bytes:
        """The JSON reply to a query of executions, likewise."""
        return self._history.executions(account, page)

    def close(self) -> None:
        """Write and report what was handed over, then let go of the directory. Blocks; may be called twice."""
        if self._closed:
            return
        self._closed = True
        # From here on everything is done at once.
        self._loop = None
        self._scheduled = False
        while self._operations:
            operation = next(iter(self._operations))
            operation.future.exception()  # waits
            self._finish(operation)
        self._proceed()
        self._executor.shutdown()
        self._error = self._error or StoreError(f"{self._path}: the journal is closed")
        self._history.close()
        self._connection.close()
        os.close(self._lock)

    # What is done when.

    def _schedule(self) -> None:
        if self._loop is None:
            self._proceed()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self._proceed()

    def _proceed(self) -> None:
        """Do what is due, until something has to be waited for or a later turn of the loop sees to it."""
        while not self._busy and not self._scheduled:
            upkeep = self._due_upkeep()
            if self._pending and not (upkeep and self._group_was_last):
                self._group_was_last = True
                self._write_group()
            elif upkeep:
                self._group_was_last = False
                upkeep()
            else:
                return

    def _due_upkeep(self) -> Callable[[], None] | None:
        if self._packed:
            return self._write_snapshot
        if self._error is not None:
            return None
        if self._prune_up_to:
            return self._prune
        if self._written_bytes >= _CHECKPOINT_BYTES:
            return self._checkpoint
        return None

    def _write_group(self) -> None:
        group, self._pending = self._pending, []

        def written(future: Future[None]) -> None:
            self._check(future)
            # Still busy: a commit that comes from a done waits its turn, whether there is a loop or not.
            _report([done for _, done in group], self._error)

        self._on_file(lambda: self._insert(group), written, in_thread=self._wait_for_disk)

    def _write_snapshot(self) -> None:
        snapshot, done = self._packed.pop(0)

        def written(future: Future[int]) -> None:
            self._check(future)
            if self._error is None:
                self._prune_up_to = future.result()
            _report([done], self._error)

        self._on_file(lambda: self._insert_snapshot(snapshot), written)

    def _prune(self) -> None:
        def pruned(future: Future[bool]) -> None:
            self._check(future)
            if self._error is None and future.result():
                self._prune_up_to = 0

        self._on_file(self._delete_superfluous, pruned)

    def _checkpoint(self) -> None:
        def copied(future: Future[None]) -> None:
            self._check(future)
            self._written_bytes = 0

        self._on_file(self._copy_wal, copied)

    def _check(self, future: Future[T]) -> None:
        """Remember a failure for good: what is in memory may then be ahead of the file, and must not go on."""
        error = future.exception()
        if error is None or self._error is not None:
            return
        if isinstance(error, StoreError):
            self._error = error
        elif isinstance(error, sqlite3.Error):
            self._error = database.failure(self._path, error)
        else:
            self._error = StoreError(f"{self._path}: can't write: {error!r}")

    # Where it is done.

    def _on_file(self, operation: Callable[[], T], then: Callable[[Future[T]], None], in_thread: bool = True) -> None:
        self._busy = True

        def finish(future: Future[T]) -> None:
            try:
                then(future)
            finally:
                self._busy = False

        if in_thread:
            self._run(operation, finish)
        else:
            finish(_outcome(operation))

    def _run(self, operation: Callable[[], T], then: Callable[[Future[T]], None]) -> None:
        """Run ``operation`` on a worker thread and ``then`` on the loop's; both at once when there is no loop."""
        loop = self._loop
        if loop is None:
            then(_outcome(operation))
            return
        future = self._executor.submit(operation)
        entry = _Operation(future, then)  # type: ignore[arg-type]  # a struct can't tie the two by a type variable
        self._operations.add(entry)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._finish, entry))

    def _finish(self, operation: _Operation) -> None:
        if operation in self._operations:  # close may have come first
            self._operations.remove(operation)
            operation.then(operation.future)
            self._proceed()

    # The operations themselves, on whichever thread.

    def _insert(self, group: list[tuple[Batch, Done]]) -> None:
        if self._error is not None:
            raise self._error
        batches = [
            (batch.first_sequence, len(batch.commands), encode_commands(batch.first_sequence, batch.commands))
            for batch, _ in group
        ]
        orders = [msgspec.structs.astuple(order) for batch, _ in group for order in batch.orders]
        executions = [msgspec.structs.astuple(execution) for batch, _ in group for execution in batch.executions]
        with self._transaction():
            executemany = self._connection.executemany
            executemany(_INSERT_BATCH, batches)
            if orders:
                executemany(_INSERT_ORDER, orders)
            if executions:
                executemany(_INSERT_EXECUTION, executions)
        blob_bytes = sum(len(blob) for _, _, blob in batches)
        self._written_bytes += blob_bytes + _ROW_BYTES * (1 + len(orders) + len(executions))

    def _insert_snapshot(self, snapshot: PackedSnapshot) -> int:
        """Write a snapshot and delete old ones; up to which sequence the journal is superfluous then."""
        if self._error is not None:
            raise self._error
        with self._transaction():
            execute = self._connection.execute
            execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", msgspec.structs.astuple(snapshot))
            newest = execute(
                "SELECT sequence FROM snapshots ORDER BY sequence DESC LIMIT ?", (self._keep_snapshots,)
            ).fetchall()
            oldest: int = newest[-1][0]
            execute("DELETE FROM snapshots WHERE sequence < ?", (oldest,))
        self._written_bytes += len(snapshot.data)
        # Until there are as many as are wanted, the whole journal is what one can fall back to.
        return oldest if len(newest) == self._keep_snapshots else 0

    def _delete_superfluous(self) -> bool:
        """Delete journal rows until none is left to delete (true) or a commit waits."""
        limits = (self._prune_up_to, self._prune_up_to, _PRUNE_ROWS)
        while True:
            deleted = self._connection.execute(_PRUNE, limits).rowcount
            if deleted < _PRUNE_ROWS:
                return True
            if self._pending:
                return False

    def _copy_wal(self) -> None:
        # Nothing is written meanwhile, so this reaches the WAL's end, and the next commit begins it anew; a query that
        # is under way keeps it from that until the next time, which is why this must not be an error.
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself after most failures to write.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _outcome(operation: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    try:
        future.set_result(operation())
    except Exception as error:
        future.set_exception(error)
    return future


def _report(dones: list[Done], error: Exception | None) -> None:
    for done in dones:
        try:
            done(error)
        except Exception:  # one caller's fault must not cost the others their answer
            _log.exception("a callback of the journal failed")
