"""Reading the journal back: the newest good snapshot, then every command after it without a gap."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from tickwire.journal.database import DamagedJournalError, StoreError, failure, open_reader
from tickwire.journal.format import DamagedError, PackedSnapshot, decode_commands, unpack_snapshot
from tickwire.journal.mark import read_mark
from tickwire.journal.records import Batch, Recovery

__all__ = ["check_end", "good_snapshot", "last_sequence", "read_batches", "recover", "rules_from"]


def last_sequence(connection: sqlite3.Connection) -> int:
    """The number of the last command that is kept, 0 when there is none."""
    newest: int = connection.execute(
        "SELECT max("
        " coalesce((SELECT max(sequence) FROM snapshots), 0),"
        " coalesce((SELECT first_sequence + count - 1 FROM journal ORDER BY first_sequence DESC LIMIT 1), 0))"
    ).fetchone()[0]
    return newest


def check_end(path: Path) -> None:
    """Raise ``DamagedJournalError`` when commands that were reported as kept are missing at the journal's end.

    Only reads: once SQLite's last writing connection is closed, what it could not read of the log is gone for good.
    """
    acknowledged = read_mark(path.parent)
    if not acknowledged:
        return
    if not path.exists():
        raise StoreError(f"{path}: expected the commands up to sequence {acknowledged}, got no such file")
    connection = open_reader(path)
    try:
        last = last_sequence(connection)
    except sqlite3.Error as error:
        raise failure(path, error) from None
    finally:
        connection.close()
    if last < acknowledged:
        raise DamagedJournalError(
            f"{path}: the end of the journal is damaged: expected the commands up to sequence {acknowledged},"
            f" got them up to {last}, so {acknowledged - last} that were acknowledged are missing"
        )


def recover(connection: sqlite3.Connection, path: Path, warn: Callable[[str], None]) -> Recovery:
    """See ``Store.recover``; ``connection`` is the one that writes, as a damaged snapshot is dropped."""
    try:
        sequence, snapshot, damaged = good_snapshot(connection, path, warn)
        if damaged:
            # It must not count as one of those that are kept: the journal before it is still needed.
            connection.executemany("DELETE FROM snapshots WHERE sequence = ?", [(number,) for number in damaged])
        rules = rules_from(connection, sequence + 1)
    except sqlite3.Error as error:
        raise failure(path, error) from None
    return Recovery(snapshot, sequence, _batches_after(path, sequence), rules)


def good_snapshot(
    connection: sqlite3.Connection, path: Path, warn: Callable[[str], None], newest_first: bool = True
) -> tuple[int, bytes | None, list[int]]:
    """The newest (or oldest) snapshot that is whole, with its sequence number; and the damaged ones passed over.

    Without one, nothing at sequence 0. Raises ``DamagedJournalError`` when the journal does not begin there.
    """
    damaged: list[int] = []
    sequences = connection.execute("SELECT sequence FROM snapshots ORDER BY sequence").fetchall()
    if newest_first:
        sequences.reverse()
    for (sequence,) in sequences:
        row = connection.execute("SELECT data, state_hash FROM snapshots WHERE sequence = ?", (sequence,)).fetchone()
        try:
            return sequence, unpack_snapshot(PackedSnapshot(sequence, row[0], row[1])), damaged
        except DamagedError as error:
            warn(f"{path}: the snapshot at sequence {sequence} is damaged, going on with another one: {error}")
            damaged.append(sequence)
    if damaged:
        first = connection.execute("SELECT min(first_sequence) FROM journal").fetchone()[0]
        if first != 1:
            found = "no journal" if first is None else f"a journal from {first} on"
            raise DamagedJournalError(
                f"{path}: expected a snapshot that can be read or a journal from sequence 1 on,"
                f" got damaged snapshots and {found}"
            )
    return 0, None, damaged


def rules_from(connection: sqlite3.Connection, sequence: int) -> list[tuple[int, bytes]]:
    """The rules in force at command ``sequence`` and all later ones, each with the first command it holds for."""
    return connection.execute(
        "SELECT first_sequence, data FROM rules WHERE first_sequence >= coalesce("
        " (SELECT max(first_sequence) FROM rules WHERE first_sequence <= ?), 0) ORDER BY first_sequence",
        (sequence,),
    ).fetchall()


def _batches_after(path: Path, sequence: int) -> Iterator[Batch]:
    # A connection of its own: the caller may commit and query while it reads.
    connection = open_reader(path)
    try:
        yield from read_batches(connection, path, sequence)
    finally:
        connection.close()


def read_batches(connection: sqlite3.Connection, path: Path, sequence: int) -> Iterator[Batch]:
    """Every command after ``sequence``, in order. Raises ``DamagedJournalError`` at a damaged or missing one."""
    expected = sequence + 1
    try:
        # A snapshot may have been taken in the middle of a batch: begin with the batch that holds the next command.
        rows = connection.execute(
            "SELECT first_sequence, count, commands FROM journal WHERE first_sequence >= coalesce("
            " (SELECT max(first_sequence) FROM journal WHERE first_sequence <= ?), 0) ORDER BY first_sequence",
            (expected,),
        )
        for first, count, blob in rows:
            at_the_snapshot = expected == sequence + 1
            if at_the_snapshot and first + count <= expected:
                continue  # wholly in the snapshot
            if first > expected or (first < expected and not at_the_snapshot):
                raise DamagedJournalError(f"{path}: journal: expected sequence {expected} next, got {first}")
            try:
                commands = decode_commands(first, count, blob)
            except DamagedError as error:
                raise DamagedJournalError(
                    f"{path}: journal: the batch at sequence {first} is damaged: {error}"
                ) from None
            yield Batch(expected, commands[expected - first :], [], [])
            expected = first + count
    except sqlite3.Error as error:
        raise failure(path, error) from None
