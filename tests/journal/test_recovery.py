import logging
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.journal.samples import Outcomes, batch, command, recovered

from tickwire.journal.database import FILE_NAME, StoreError
from tickwire.journal.format import encode_commands
from tickwire.journal.pruning import Retention
from tickwire.journal.store import Store


def commands(first: int, last: int) -> list[object]:
    return [command(sequence) for sequence in range(first, last + 1)]


def state(sequence: int) -> bytes:
    return b"state after command %d" % sequence


def fill(directory: Path, last: int, snapshots: tuple[int, ...] = (), keep: int = 2, size: int = 1) -> None:
    """Commands 1 to ``last`` in batches of ``size``, with snapshots after some of them."""
    store = Store.open(directory, retention=Retention(snapshots=keep))
    outcomes = Outcomes()
    for first in range(1, last + 1, size):
        store.commit(batch(first, min(size, last - first + 1)), outcomes.of(first))
        for sequence in range(first, first + size):
            if sequence in snapshots:
                store.save_snapshot(sequence, state(sequence), outcomes.of(sequence))
    store.close()
    assert set(outcomes.errors) == {None}


def damage(directory: Path, statement: str, *parameters: object) -> None:
    connection = sqlite3.connect(directory / FILE_NAME)
    with connection:
        assert connection.execute(statement, parameters).rowcount > 0
    connection.close()


def test_an_empty_directory_begins_at_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert store.last_sequence == 0
    assert recovered(store) == (None, 0, [])


def test_commands_come_back_in_their_batches(tmp_path: Path) -> None:
    fill(tmp_path, 10, size=4)
    store = Store.open(tmp_path)
    assert store.last_sequence == 10
    assert [(found.first_sequence, len(found.commands)) for found in store.recover().batches] == [
        (1, 4),
        (5, 4),
        (9, 2),
    ]
    assert recovered(store) == (None, 0, commands(1, 10))


def test_recovery_starts_at_the_newest_snapshot(tmp_path: Path) -> None:
    fill(tmp_path, 10, snapshots=(3, 7))
    assert recovered(Store.open(tmp_path)) == (state(7), 7, commands(8, 10))


def test_a_snapshot_at_the_end_leaves_nothing_to_replay(tmp_path: Path) -> None:
    fill(tmp_path, 10, snapshots=(4, 10))
    store = Store.open(tmp_path)
    assert store.last_sequence == 10
    assert list(store.recover().batches) == []
    assert recovered(store)[:2] == (state(10), 10)


def test_a_snapshot_in_the_middle_of_a_batch(tmp_path: Path) -> None:
    fill(tmp_path, 12, snapshots=(6,), size=4)
    store = Store.open(tmp_path)
    assert [found.first_sequence for found in store.recover().batches] == [7, 9]
    assert recovered(store) == (state(6), 6, commands(7, 12))


def test_commits_go_on_where_the_last_run_ended(tmp_path: Path) -> None:
    fill(tmp_path, 5, snapshots=(2, 5), keep=1)
    store = Store.open(tmp_path)
    with pytest.raises(ValueError, match="first_sequence: expected 6, got 5"):
        store.commit(batch(5), Outcomes().of(5))
    store.commit(batch(6), Outcomes().of(6))
    assert recovered(store) == (state(5), 5, commands(6, 6))


def test_commits_may_come_while_the_batches_are_read(tmp_path: Path) -> None:
    fill(tmp_path, 10)
    store = Store.open(tmp_path)
    batches = store.recover().batches
    assert next(batches).first_sequence == 1
    store.commit(batch(11), Outcomes().of(11))
    assert [found.first_sequence for found in batches] == list(range(2, 11))  # as it was when reading began


def test_a_damaged_snapshot_gives_way_to_an_older_one(tmp_path: Path) -> None:
    fill(tmp_path, 10, snapshots=(3, 7))
    damage(tmp_path, "UPDATE snapshots SET data = substr(data, 1, length(data) - 5) WHERE sequence = 7")
    store = Store.open(tmp_path)
    warnings: list[str] = []
    recovery = store.recover(warnings.append)
    assert (recovery.snapshot, recovery.sequence) == (state(3), 3)
    assert [item for found in recovery.batches for item in found.commands] == commands(4, 10)
    (warning,) = warnings
    assert "the snapshot at sequence 7 is damaged, going on with another one: it can't be decompressed" in warning


def test_a_snapshot_with_the_wrong_hash_is_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, 10, snapshots=(3, 7))
    damage(tmp_path, "UPDATE snapshots SET data = (SELECT data FROM snapshots WHERE sequence = 3) WHERE sequence = 7")
    with caplog.at_level(logging.WARNING):
        assert recovered(Store.open(tmp_path))[:2] == (state(3), 3)
    assert "its hash does not match" in caplog.text


def test_a_damaged_snapshot_is_not_one_of_those_that_are_kept(tmp_path: Path) -> None:
    """Or the next one would take the journal away that the good one needs."""
    fill(tmp_path, 10, snapshots=(3, 7))
    damage(tmp_path, "UPDATE snapshots SET data = x'00' WHERE sequence = 7")
    store = Store.open(tmp_path)
    store.recover(lambda _: None)
    store.save_snapshot(10, state(10), Outcomes().of(10))
    store.close()
    damage(tmp_path, "UPDATE snapshots SET data = x'00' WHERE sequence = 10")
    assert recovered(Store.open(tmp_path)) == (state(3), 3, commands(4, 10))


def test_without_a_good_snapshot_the_whole_journal_is_replayed(tmp_path: Path) -> None:
    fill(tmp_path, 10, snapshots=(7,))
    damage(tmp_path, "UPDATE snapshots SET data = x'00'")
    assert recovered(Store.open(tmp_path)) == (None, 0, commands(1, 10))


def test_without_a_good_snapshot_and_the_whole_journal_there_is_nothing_to_start_from(tmp_path: Path) -> None:
    fill(tmp_path, 10, snapshots=(3, 7))
    damage(tmp_path, "UPDATE snapshots SET data = x'00'")
    store = Store.open(tmp_path)
    with pytest.raises(StoreError, match="got damaged snapshots and a journal from 4 on"):
        store.recover(lambda _: None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE journal SET commands = x'00' WHERE first_sequence = 5", "the batch at sequence 5 is damaged"),
        (
            "UPDATE journal SET commands = (SELECT commands FROM journal WHERE first_sequence = 6)"
            " WHERE first_sequence = 5",
            "the batch at sequence 5 is damaged: its checksum",
        ),
        ("UPDATE journal SET count = 2 WHERE first_sequence = 5", "sequence 5 is damaged: expected 2 commands, got 1"),
        ("DELETE FROM journal WHERE first_sequence = 5", "expected sequence 5 next, got 6"),
        ("DELETE FROM journal WHERE first_sequence < 3", "expected sequence 1 next, got 3"),
    ],
)
def test_a_damaged_journal_is_named_by_its_sequence_and_read_up_to_there(
    tmp_path: Path, change: str, message: str
) -> None:
    fill(tmp_path, 10)
    damage(tmp_path, change)
    read: list[object] = []
    with pytest.raises(StoreError, match=message):
        read.extend(item for found in Store.open(tmp_path).recover().batches for item in found.commands)
    assert read == commands(1, len(read))


def test_batches_that_overlap_are_damage(tmp_path: Path) -> None:
    fill(tmp_path, 10)
    two = encode_commands(5, [command(5), command(6)])
    damage(tmp_path, "UPDATE journal SET commands = ?, count = 2 WHERE first_sequence = 5", two)
    with pytest.raises(StoreError, match="expected sequence 7 next, got 6"):
        recovered(Store.open(tmp_path))


def test_damage_before_the_snapshot_does_not_matter(tmp_path: Path) -> None:
    fill(tmp_path, 10, snapshots=(7,))
    damage(tmp_path, "UPDATE journal SET commands = x'00' WHERE first_sequence < 8")
    assert recovered(Store.open(tmp_path)) == (state(7), 7, commands(8, 10))


def damage_newest_snapshot(directory: Path) -> bool:
    connection = sqlite3.connect(directory / FILE_NAME)
    with connection:
        newest = "(SELECT max(sequence) FROM snapshots)"
        changed = connection.execute(f"UPDATE snapshots SET data = x'00' WHERE sequence = {newest}").rowcount
    connection.close()
    return changed > 0


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a store that was not closed: everything is still in the WAL."""
    directory = tmp_path_factory.mktemp("crashed")
    store = Store.open(directory)
    for sequence in range(1, 41):
        store.commit(batch(sequence), Outcomes().of(sequence))
    files = {name: (directory / name).read_bytes() for name in (FILE_NAME, f"{FILE_NAME}-wal")}
    store.close()
    return files


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_torn_wal_gives_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, crashed: dict[str, bytes], data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("torn")
    for name, content in crashed.items():
        (directory / name).write_bytes(content)
    wal = directory / f"{FILE_NAME}-wal"
    length = data.draw(st.integers(0, wal.stat().st_size))
    garbage = data.draw(st.booleans())
    with wal.open("r+b") as file:
        file.truncate(length)
        if garbage:
            file.seek(length)
            file.write(b"\x5a" * 5000)
    store = Store.open(directory)
    _, _, found = recovered(store)
    assert found == commands(1, store.last_sequence)
    assert length < len(crashed[wal.name]) or store.last_sequence == 40
    store.commit(batch(store.last_sequence + 1), Outcomes().of("next"))
    store.close()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("commit"), st.integers(1, 5)),
            st.tuples(st.just("snapshot"), st.integers(0, 3)),
            st.just(("reopen", 0)),
            st.just(("damage", 0)),
        ),
        max_size=25,
    ),
    st.integers(1, 3),
)
def test_whatever_happens_snapshot_and_commands_make_up_the_whole(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], keep: int
) -> None:
    directory = tmp_path_factory.mktemp("steps")
    store = Store.open(directory, retention=Retention(snapshots=keep))
    last = 0
    damaged = False
    for step, number in steps:
        outcomes = Outcomes()
        if step == "commit":
            store.commit(batch(last + 1, number), outcomes.of(last))
            last += number
        elif step == "snapshot" and last - number > 0:
            store.save_snapshot(last - number, state(last - number), outcomes.of(last))
        elif step == "damage" and keep > 1 and not damaged:
            # Once: one snapshot in reserve covers that.
            store.close()
            damaged = damage_newest_snapshot(directory)
            store = Store.open(directory, retention=Retention(snapshots=keep))
        elif step == "reopen":
            store.close()
            store = Store.open(directory, retention=Retention(snapshots=keep))
        assert store.last_sequence == last
        assert set(outcomes.errors) <= {None}
        snapshot, sequence, found = recovered(store)
        assert snapshot == (state(sequence) if sequence else None)
        assert found == commands(sequence + 1, last)
    store.close()
