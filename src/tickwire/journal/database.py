"""The data directory and its SQLite file: the lock, the connections, the schema, and what can go wrong with them.

The tables ``orders`` and ``executions`` are keyed by their ids alone, which are unique over all accounts, so that new
rows of any account go to the same few pages. Each has one index that starts with the account and holds every column
that a query filters by: a filter is decided in the index, and only rows that are returned are read.
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tickwire import __version__
from tickwire.journal.format import FORMAT

__all__ = [
    "FILE_NAME",
    "LOCK_NAME",
    "DamagedJournalError",
    "Durability",
    "StoreError",
    "failure",
    "lock",
    "open_reader",
    "open_writer",
    "transaction",
]

FILE_NAME = "exchange.sqlite"
LOCK_NAME = "lock"

Durability = Literal["none", "process", "power"]

# none: no fsync ever; a killed process loses nothing, a power cut may cost the file.
# process: fsync at checkpoints only; a power cut may cost the last commits, never the file.
# power: as process, and the store syncs the WAL before it reports; a power cut costs nothing that was reported.
_SYNCHRONOUS: dict[Durability, str] = {"none": "OFF", "process": "NORMAL", "power": "NORMAL"}

# Nobody else writes while the directory is locked; an sqlite3 shell that does is waited for, but not for long.
_BUSY_SECONDS = 1.0
# SQLite's own 2 MB hold the working set of a small exchange only; a page that has to be read back delays a commit.
_CACHE_KIBIBYTES = 16 * 1024

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE journal (
    first_sequence INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    commands BLOB NOT NULL
);
CREATE TABLE snapshots (
    sequence INTEGER PRIMARY KEY,
    data BLOB NOT NULL,
    state_hash TEXT NOT NULL
);
CREATE TABLE rules (
    first_sequence INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);
CREATE TABLE orders (
    order_id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    symbol TEXT NOT NULL,
    perpetual INTEGER NOT NULL,
    order_time INTEGER NOT NULL,
    transact_time INTEGER NOT NULL,
    row BLOB NOT NULL
);
CREATE INDEX orders_by_account ON orders (account, order_id, order_time, perpetual, symbol);
CREATE TABLE executions (
    exec_id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    order_id INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    perpetual INTEGER NOT NULL,
    exec_type TEXT NOT NULL,
    transact_time INTEGER NOT NULL,
    row BLOB NOT NULL
);
CREATE INDEX executions_by_account
    ON executions (account, order_id, exec_id, transact_time, exec_type, perpetual, symbol);
"""


class StoreError(Exception):
    """The journal can't be opened, read or written; the message names the file and says why."""


class DamagedJournalError(StoreError):
    """Part of the journal can't be read; what stands before it can be gone on from (see ``repair``)."""


def failure(path: Path, error: Exception) -> StoreError:
    """What an ``OSError`` or an SQLite error on ``path`` means to whoever runs the server."""
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            return StoreError(f"{path}: no space is left on the disk")
        return StoreError(f"{path}: expected a place that can be written: {error.strerror}")
    # The low byte is the primary code, the rest a detail of it.
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"{path}: no space is left on the disk")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(f"{path}: expected a file that can be written: {error}")
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedJournalError(f"{path}: expected a whole SQLite database: {error}")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{path}: expected a whole SQLite database: {error}")
    return StoreError(f"{path}: {error}")


def lock(directory: Path) -> int:
    """Make the directory where there is none, and lock it for this process; the descriptor holds the lock.

    Raises ``StoreError`` when another process holds it, or when the directory can't be written.
    """
    path = directory / LOCK_NAME
    descriptor = -1
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # For the message below; the lock is the flock, not the file, so a leftover one after a crash locks nobody out.
        # Written before the old end is cut off, which a full disk allows.
        os.truncate(descriptor, os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0))
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreError(f"{directory}: expected a directory that is not in use, but process {holder} has it") from None
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        raise failure(directory, error) from None
    return descriptor


def open_writer(path: Path, durability: Durability) -> sqlite3.Connection:
    """A connection that may write, with the schema in place. Raises ``StoreError``."""
    try:
        # Made here, since SQLite would use the umask's mode; its own files beside it get the mode of this one.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise failure(path, error) from None
    connection = _connect(path, "rw")
    try:
        _prepare(connection, path)
        connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
        # The store runs the checkpoints itself: in a commit they would delay the commit.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
    except sqlite3.Error as error:
        connection.close()
        raise failure(path, error) from None
    except StoreError:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, and always sees the last commit.

    Raises ``StoreError``, also where the file is no journal that this version can read.
    """
    connection = _connect(path, "ro")
    try:
        _check_format(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise failure(path, error) from None
    except StoreError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction of the connection that writes, kept whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after most failures to write.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,  # transactions begin and end where the store says so
            check_same_thread=False,  # used by one thread at a time, which is not always the one that opened it
        )
    except sqlite3.Error as error:
        raise failure(path, error) from None


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if _pragma(connection, "journal_mode = WAL") != "wal":
        raise StoreError(f"{path}: expected a local file system, this one can't do SQLite's WAL mode")
    if not _tables(connection):
        insert_format = f"INSERT INTO meta VALUES ('format', '{FORMAT}')"  # noqa: S608  # an integer of ours
        connection.executescript(f"BEGIN; {_SCHEMA} {insert_format}; COMMIT")
        # Into the file itself, so that damage to the log never costs the tables.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    _check_format(connection, path)
    if _meta(connection, "version") != __version__:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('version', ?)", (__version__,))


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    tables, found = _tables(connection), None
    if not tables:
        raise DamagedJournalError(f"{path}: expected a journal of tickwire, got an empty database")
    if "meta" in tables:
        found = _meta(connection, "format")
    if found is None or not found.isdigit():
        raise StoreError(f"{path}: expected a journal of tickwire, got a database with other tables")
    if int(found) != FORMAT:
        version = _meta(connection, "version") or "of another version"
        raise StoreError(
            f"{path}: expected format {FORMAT}, which tickwire {__version__} reads, got {found}, written by tickwire"
            f" {version}: go on with that one, or take what you need out of it (tickwire export) and start with an"
            " empty --data"
        )


def _meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _pragma(connection: sqlite3.Connection, text: str) -> object:
    return connection.execute(f"PRAGMA {text}").fetchone()[0]
