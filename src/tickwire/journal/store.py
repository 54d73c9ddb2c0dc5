"""The journal of one exchange: commands, snapshots and history in one SQLite file.

Commits are gathered: what one turn of the event loop hands over is written in one transaction at the turn's end, then
each batch is reported, in order.

All writing is done on the loop's own thread, by one connection. In WAL mode a commit is some 50 us of memory copies,
less than handing it to a thread and back costs; and a writing thread starves while the loop is busy, since it needs the
GIL again after each statement. Upkeep is cut into slices of about a millisecond, one a turn. What would wait for the
disk is on worker threads, and holds up nothing that need not wait for it:

* ``power``: the fsync of the WAL, one for all groups that were written meanwhile; they are reported after it;
* the checkpoint, which copies the WAL back into the database, by a connection of its own;
* the compression of a snapshot.

A checkpoint and a commit at the same time are safe but for one case, a fault of SQLite 3.7.0 to 3.51.2 (the "WAL-reset
bug"): a checkpoint may not begin when all of the WAL has been copied already, as a commit may then begin the WAL anew
under it. So the worker's checkpoint begins only after much has been written since the last one.
"""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeVar

import msgspec

from tickwire.journal import database, recovery, repair
from tickwire.journal.database import Durability, StoreError
from tickwire.journal.format import PackedSnapshot, encode_commands, pack_snapshot
from tickwire.journal.history import History, HistoryPage
from tickwire.journal.mark import Mark
from tickwire.journal.pruning import Pruner, Retention
from tickwire.journal.records import Batch, Recovery

__all__ = ["Done", "Store"]

Done = Callable[[Exception | None], None]
T = TypeVar("T")

_log = logging.getLogger(__name__)

# How much is written between two checkpoints. Each costs an fsync or two, whatever it copies, so they should be rare;
# the WAL is read back after a crash, so it should not be huge.
_CHECKPOINT_BYTES = 16 * 1024 * 1024
# The WAL is begun anew only when all of it has been copied. On a busy exchange a commit always comes in between; at
# this many times the above the rest, which is little, is copied while commits wait.
_WAL_CHECKPOINTS = 4
# What a row costs in the WAL at most: its page of the table and its page of the index.
_ROW_BYTES = 2 * 4096

# Not everywhere there is the cheaper one, which leaves out the file's times.
_sync_file = getattr(os, "fdatasync", os.fsync)

_INSERT_BATCH = "INSERT INTO journal VALUES (?, ?, ?)"
_INSERT_RULES = "INSERT OR REPLACE INTO rules VALUES (?, ?)"
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


class _Operation(msgspec.Struct, eq=False):
    """Something under way on a worker thread, and what is done with its outcome on the loop."""

    future: Future[object]
    then: Callable[[Future[object]], None]


class Store:
    """The journal. Every method is called on the loop's thread; without a loop everything is done before it returns."""

    def __init__(
        self,
        path: Path,
        held: ExitStack,
        loop: asyncio.AbstractEventLoop | None,
        durability: Durability,
        retention: Retention,
    ) -> None:
        """``held`` takes what ``close`` is to let go of; see ``open``."""
        self._path = path
        self._held = held
        self._connection = held.enter_context(closing(database.open_writer(path, durability)))
        try:
            self._last_sequence = self._written_sequence = recovery.last_sequence(self._connection)
        except sqlite3.Error as error:
            raise database.failure(path, error) from None
        self._mark = held.enter_context(closing(Mark(path.parent, self._last_sequence)))
        self._checkpointer = held.enter_context(closing(database.open_writer(path, durability)))
        self._history = held.enter_context(closing(History(path)))
        # SQLite's own synchronous = FULL would have the loop wait for the disk.
        self._wal = os.open(f"{path}-wal", os.O_RDONLY) if durability == "power" else None
        if self._wal is not None:
            held.callback(os.close, self._wal)
        self._loop = loop
        self._pruner = Pruner(self._connection, retention)
        self._closed = False
        self._error: StoreError | None = None

        self._newest_time = 0  # ns, of the commands handed over
        self._pending: list[tuple[Batch, Done]] = []
        self._unsynced: list[Done] = []  # written, not yet on disk
        self._syncing = False
        self._packed: list[tuple[PackedSnapshot, Done]] = []
        self._written_bytes = 0  # since the last checkpoint began, estimated
        self._wal_bytes = 0  # since the WAL was last begun anew, estimated
        self._checkpointing = False

        self._executor = ThreadPoolExecutor(3, thread_name_prefix="journal")  # one for each kind of work above
        self._operations: set[_Operation] = set()
        self._scheduled = False
        self._proceeding = False

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        durability: Durability = "process",
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        retention: Retention = Retention(),  # noqa: B008  # immutable
    ) -> "Store":
        """Open the journal of ``directory``, making both where there are none, and lock the directory.

        ``durability``: what a power cut may cost (see ``database.Durability``); a killed process never loses what was
        reported as done. ``loop`` is where ``done`` is called; without one it is called before ``commit`` returns.

        Raises ``StoreError`` when the directory is in use or can't be written, or the file is not a journal or is of a
        newer format; ``DamagedJournalError`` when it is damaged or commands that were reported as done are missing.
        """
        path = Path(directory) / database.FILE_NAME
        with ExitStack() as held:
            held.callback(os.close, database.lock(path.parent))
            try:
                repair.finish(path.parent)
            except OSError as error:
                raise database.failure(path, error) from None
            recovery.check_end(path)
            store = cls(path, held, loop, durability, retention)
            store._held = held.pop_all()
            return store

    @property
    def last_sequence(self) -> int:
        """The number of the last command that was handed over, now or in an earlier run; 0 when there was none."""
        return self._last_sequence

    def recover(self, warn: Callable[[str], None] = _log.warning) -> Recovery:
        """The newest snapshot that is whole, and the batches after it; to be called before the first commit.

        A damaged snapshot is reported by ``warn``, dropped, and an older one taken. Raises ``DamagedJournalError`` when
        that leaves a hole; so does reading ``batches`` at a damaged or missing one, with its sequence number.
        """
        return recovery.recover(self._connection, self._path, warn)

    def set_rules(self, data: bytes) -> None:
        """Keep what the commands from the next one on are made under, and give it back with them; before any commit.

        What a command does may depend on more than the state before it: it can be replayed only by the same rules.
        Raises ``StoreError``.
        """
        try:
            # Rules that no command was made under are replaced.
            self._connection.execute(_INSERT_RULES, (self._last_sequence + 1, data))
        except sqlite3.Error as error:
            raise database.failure(self._path, error) from None

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
        self._newest_time = batch.commands[-1][0]
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
        # From here on everything is done at once, but in order: first what is under way.
        self._loop = None
        self._proceeding = True
        while self._operations:
            operation = next(iter(self._operations))
            operation.future.exception()  # waits
            self._finish(operation)
        self._proceeding = False
        self._proceed()
        self._executor.shutdown()
        self._error = self._error or StoreError(f"{self._path}: the journal is closed")
        self._held.close()

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
        """Write what was handed over and do one slice of upkeep; what is left is for the next turn."""
        if self._proceeding:  # a report that commits: the loop below goes on with it
            return
        self._proceeding = True
        more = True
        while more:
            if self._pending:
                self._write_group()
            more = self._do_upkeep() or bool(self._pending)
            if self._loop is not None:
                break
        self._proceeding = False
        if more:
            self._schedule()

    def _do_upkeep(self) -> bool:
        """Do one slice of what is due; whether there is more."""
        if self._packed:
            snapshot, done = self._packed.pop(0)
            self._attempt(lambda: self._insert_snapshot(snapshot))
            self._settle([done])
        elif self._error is not None:
            return False
        elif self._pruner.due:
            self._attempt(self._prune)
        elif self._written_bytes >= _CHECKPOINT_BYTES and not self._checkpointing:
            self._checkpoint()
        return bool(self._packed or (self._pruner.due and self._error is None))

    def _write_group(self) -> None:
        group, self._pending = self._pending, []
        self._attempt(lambda: self._insert(group))
        self._settle([done for _, done in group])

    def _attempt(self, operation: Callable[[], None]) -> None:
        """Write, unless a failure came before: what is in memory may be ahead of the file, and must not go on."""
        if self._error is None:
            try:
                operation()
            except Exception as error:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            if isinstance(error, StoreError):
                self._error = error
            elif isinstance(error, sqlite3.Error | OSError):
                self._error = database.failure(self._path, error)
            else:
                self._error = StoreError(f"{self._path}: can't write: {error!r}")

    def _settle(self, dones: list[Done]) -> None:
        """Report what was written, once it can't be lost any more."""
        if self._wal is None:
            self._report_kept(dones, self._written_sequence)
        else:
            self._unsynced += dones
            self._sync(self._wal)

    def _sync(self, wal: int) -> None:
        if self._syncing or not self._unsynced:
            return
        waiting, self._unsynced = self._unsynced, []
        sequence = self._written_sequence

        def synced(future: Future[None]) -> None:
            self._syncing = False
            error = future.exception()
            if error is not None:
                # For good: an fsync that is tried again may succeed without having written what the first could not.
                self._fail(error)
            self._report_kept(waiting, sequence)
            self._sync(wal)

        self._syncing = True
        self._run(lambda: _sync_file(wal), synced)

    def _report_kept(self, dones: list[Done], sequence: int) -> None:
        self._attempt(lambda: self._mark.set(sequence))
        _report(dones, self._error)

    def _checkpoint(self) -> None:
        before = self._wal_bytes
        self._written_bytes = 0
        self._checkpointing = True

        def copied(future: Future[None]) -> None:
            self._checkpointing = False
            error = future.exception()
            if error is not None:
                self._fail(error)
            elif self._wal_bytes == before:
                self._wal_bytes = 0  # nothing came in between: the next commit begins the WAL anew
            elif self._wal_bytes >= _CHECKPOINT_BYTES * _WAL_CHECKPOINTS:
                self._attempt(lambda: _copy_wal(self._connection))
                self._wal_bytes = 0

        self._run(lambda: _copy_wal(self._checkpointer), copied)

    # Worker threads.

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

    # What is written.

    def _insert(self, group: list[tuple[Batch, Done]]) -> None:
        batches = [
            (batch.first_sequence, len(batch.commands), encode_commands(batch.first_sequence, batch.commands))
            for batch, _ in group
        ]
        orders = [msgspec.structs.astuple(order) for batch, _ in group for order in batch.orders]
        executions = [msgspec.structs.astuple(execution) for batch, _ in group for execution in batch.executions]
        with database.transaction(self._connection):
            executemany = self._connection.executemany
            executemany(_INSERT_BATCH, batches)
            if orders:
                executemany(_INSERT_ORDER, orders)
            if executions:
                executemany(_INSERT_EXECUTION, executions)
        self._written_sequence = batches[-1][0] + batches[-1][1] - 1
        blob_bytes = sum(len(blob) for _, _, blob in batches)
        self._note_written(blob_bytes + _ROW_BYTES * (1 + len(orders) + len(executions)))

    def _insert_snapshot(self, snapshot: PackedSnapshot) -> None:
        with database.transaction(self._connection):
            values = msgspec.structs.astuple(snapshot)
            self._connection.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", values)
            self._pruner.begin(snapshot.sequence, self._newest_time)
        self._note_written(len(snapshot.data))

    def _prune(self) -> None:
        self._note_written(_ROW_BYTES * self._pruner.run() // 8)  # many rows to a page

    def _note_written(self, count: int) -> None:
        self._written_bytes += count
        self._wal_bytes += count


def _copy_wal(connection: sqlite3.Connection) -> None:
    # Passive: it copies what it can. A query under way may keep it from the end, which is left for the next time.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


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
