"""Reading the journal back: the newest good snapshot, then every command after it without a gap."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from tickwire.journal.database import StoreError, failure, open_reader
from tickwire.journal.format import DamagedError, PackedSnapshot, decode_commands, unpack_snapshot
from tickwire.journal.records import Batch, Recovery

__all__ = ["last_sequence", "recover"]


def last_sequence(connection: sqlite3.Connection) -> int:
    """The number of the last command that is kept, 0 when there is none."""
    newest: int = connection.execute(
        "SELECT max("
        " coalesce((SELECT max(sequence) FROM snapshots), 0),"
        " coalesce((SELECT first_sequence + count - 1 FROM journal ORDER BY first_sequence DESC LIMIT 1), 0))"
    ).fetchone()[0]
    return newest


def recover(connection: sqlite3.Connection, path: Path, warn: Callable[[str], None]) -> Recovery:
    """See ``Store.recover``; ``connection`` is the one that writes, as a damaged snapshot is dropped."""
    try:
        sequence, snapshot, damaged = _newest_good_snapshot(connection, path, warn)
        if damaged:
            # It must not count as one of those that are kept: the journal before it is still needed.
            connection.executemany("DELETE FROM snapshots WHERE sequence = ?", damaged)
    except sqlite3.Error as error:
        raise failure(path, error) from None
    return Recovery(snapshot, sequence, _batches_after(path, sequence))


def _newest_good_snapshot(
    connection: sqlite3.Connection, path: Path, warn: Callable[[str], None]
) -> tuple[int, bytes | None, list[tuple[int]]]:
    damaged: list[tuple[int]] = []
    sequences = connection.execute("SELECT sequence FROM snapshots ORDER BY sequence DESC").fetchall()
    for (sequence,) in sequences:
        row = connection.execute("SELECT data, state_hash FROM snapshots WHERE sequence = ?", (sequence,)).fetchone()
        try:
            return sequence, unpack_snapshot(PackedSnapshot(sequence, row[0], row[1])), damaged
        except DamagedError as error:
            warn(f"{path}: the snapshot at sequence {sequence} is damaged, going on with an older one: {error}")
            damaged.append((sequence,))
    if damaged:
        first = connection.execute("SELECT min(first_sequence) FROM journal").fetchone()[0]
        if first != 1:
            raise StoreError(
                f"{path}: expected a snapshot that can be read or a journal from sequence 1 on,"
                f" got damaged snapshots and a journal from {first} on"
            )
    return 0, None, damaged


def _batches_after(path: Path, sequence: int) -> Iterator[Batch]:
    # A connection of its own: the caller may commit and query while it reads.
    connection = open_reader(path)
    expected = sequence + 1
    try:
        # A snapshot may have been taken in the middle of a batch: begin with the batch that holds the next command.
        rows = connection.execute(
            "SELECT first_sequence, count, commands FROM journal WHERE first_sequence >= coalesce("
            " (SELECT max(first_sequence) FROM journal WHERE first_sequence <= ?), 0) ORDER BY first_sequence",
            (expected,),
        )
        for first, count, blob in rows:
            if first + count <= expected:
                continue  # wholly in the snapshot
            if first > expected or (first < expected and expected > sequence + 1):
                raise StoreError(f"{path}: journal: expected sequence {expected} next, got {first}")
            try:
                commands = decode_commands(first, count, blob)
            except DamagedError as error:
                raise StoreError(f"{path}: journal: the batch at sequence {first} is damaged: {error}") from None
            yield Batch(expected, commands[expected - first :], [], [])
            expected = first + count
    except sqlite3.Error as error:
        raise failure(path, error) from None
    finally:
        connection.close()
