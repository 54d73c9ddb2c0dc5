"""A new journal in the place of a damaged one, with all that can be read of it.

The damaged file is never written to: what can be read goes into a new one, and then the two change names. That is
several steps, and a crash may come between any two; ``finish`` takes those that are left, so the new file counts from
the moment that it has its first name.
"""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tickwire.journal.database import FILE_NAME, failure, open_reader, open_writer, transaction
from tickwire.journal.format import pack_snapshot
from tickwire.journal.records import OrderRecord

__all__ = ["Rebuilt", "Remains", "finish", "rebuild"]

_BUILDING = ".building"
_REPAIRED = ".repaired"
_ROWS = 1000


class Remains(msgspec.Struct, frozen=True):
    """What the new journal begins with: a state, the rules from then on, and which of the history belongs to it.

    Orders and executions with ids from ``next_order_id`` and ``next_exec_id`` on were made by what is lost.
    ``open_orders`` replace their rows, which may be of a later time than the state.
    """

    sequence: int
    state: bytes
    rules: bytes
    next_order_id: int
    next_exec_id: int
    open_orders: list[OrderRecord]


class Rebuilt(msgspec.Struct, frozen=True):
    """The file that was replaced, under its new name, and how many rows of its history were not taken over.

    ``None`` where the damage keeps them from being counted.
    """

    damaged: Path
    orders: int | None
    executions: int | None


def rebuild(directory: Path, remains: Remains) -> Rebuilt:
    """Put a new journal in the damaged one's place. The directory is locked by the caller. Raises ``StoreError``."""
    path = directory / FILE_NAME
    building = path.with_name(path.name + _BUILDING)
    for left in (building, *_beside(building)):
        left.unlink(missing_ok=True)  # of an attempt that was cut short
    source = open_reader(path)
    target = open_writer(building, "power")
    try:
        with transaction(target):
            packed = pack_snapshot(remains.sequence, remains.state)
            target.execute("INSERT INTO snapshots VALUES (?, ?, ?)", msgspec.structs.astuple(packed))
            target.execute("INSERT INTO rules VALUES (?, ?)", (remains.sequence + 1, remains.rules))
            orders = _copy(source, target, "orders", "order_id", remains.next_order_id)
            executions = _copy(source, target, "executions", "exec_id", remains.next_exec_id)
            rows = [msgspec.structs.astuple(order) for order in remains.open_orders]
            target.executemany(
                "INSERT OR REPLACE INTO orders (account, order_id, symbol, perpetual, order_time, transact_time, row)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise failure(building, error) from None
    finally:
        source.close()
        target.close()
    try:
        building.rename(path.with_name(path.name + _REPAIRED))
        damaged = finish(directory)
    except OSError as error:
        raise failure(path, error) from None
    return Rebuilt(damaged, orders, executions)


def finish(directory: Path) -> Path:
    """Take the steps of a repair that are left, if any; where the damaged file is (or would be) kept.

    Raises ``OSError``.
    """
    path = directory / FILE_NAME
    number = 1
    while (damaged := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    repaired = path.with_name(path.name + _REPAIRED)
    if repaired.exists():
        log, index = _beside(path)
        # The log first: without it the file must not be opened, and it is not as long as the new one is there.
        if log.exists():
            log.rename(_beside(damaged)[0])
        index.unlink(missing_ok=True)
        if path.exists():
            path.rename(damaged)
        repaired.rename(path)
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return damaged


def _beside(path: Path) -> tuple[Path, Path]:
    """SQLite's own files for a database: the write-ahead log and its index."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str, key: str, end: int) -> int | None:
    """Take over the rows below ``end`` that can be read; how many are not taken over."""
    names = [name for _, name, *_ in target.execute(f"PRAGMA table_info({table})")]
    columns, marks = ", ".join(names), ", ".join("?" * len(names))
    insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608  # names of our schema
    rows = _readable(source, f"SELECT {columns} FROM {table} WHERE {key}", key, names.index(key), end)  # noqa: S608
    target.executemany(insert, rows)
    taken: int = target.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    for way in ("", "NOT INDEXED"):  # by an index, or without one: either may be damaged
        try:
            there: int = source.execute(f"SELECT count(*) FROM {table} {way}").fetchone()[0]  # noqa: S608
        except sqlite3.DatabaseError:
            continue
        return there - taken
    return None


def _readable(source: sqlite3.Connection, select: str, key: str, place: int, end: int) -> Iterator[tuple[object, ...]]:
    """Rows from the first up to damage, and from the last down to it."""
    last: object = -1
    try:
        for row in source.execute(f"{select} < ? ORDER BY {key}", (end,)):
            yield row
            last = row[place]
    except sqlite3.DatabaseError:
        try:
            yield from source.execute(f"{select} < ? AND {key} > ? ORDER BY {key} DESC", (end, last))
        except sqlite3.DatabaseError:
            return
