import logging
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.journal.samples import Outcomes, batch, command, recovered

from tickwire.journal.database import FILE_NAME, DamagedJournalError, StoreError
from tickwire.journal.mark import MARK_NAME, Mark, read_mark
from tickwire.journal.store import Store

WAL_NAME = f"{FILE_NAME}-wal"


def test_a_mark_is_read_back(tmp_path: Path) -> None:
    assert read_mark(tmp_path) == 0
    mark = Mark(tmp_path, 5)
    assert read_mark(tmp_path) == 5
    for sequence in (6, 7, 2**40):
        mark.set(sequence)
        assert read_mark(tmp_path) == sequence
    mark.close()


@pytest.mark.parametrize("content", [b"nonsense", b"\0" * 12 + b"\1", b"\1" + b"\0" * 11])
def test_a_damaged_mark_is_reported_and_counts_as_none(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / MARK_NAME).write_bytes(content)
    assert read_mark(tmp_path) == 0
    assert "damaged, so it can't be checked whether the end of the journal is there" in caplog.text


def test_an_empty_mark_is_one_that_was_never_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / MARK_NAME).touch()
    assert read_mark(tmp_path) == 0
    assert caplog.text == ""


def test_the_mark_is_there_before_the_report(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    marks: list[int] = []
    store.commit(batch(1, 3), lambda error: marks.append(read_mark(tmp_path)))
    store.commit(batch(4), lambda error: marks.append(read_mark(tmp_path)))
    assert marks == [3, 4]
    store.close()
    Store.open(tmp_path).close()
    assert read_mark(tmp_path) == 4


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a store that was not closed: everything is still in the log."""
    directory = tmp_path_factory.mktemp("crashed")
    store = Store.open(directory)
    for sequence in range(1, 41):
        store.commit(batch(sequence), Outcomes().of(sequence))
    files = {name: (directory / name).read_bytes() for name in (FILE_NAME, WAL_NAME, MARK_NAME)}
    store.close()
    return files


def laid(directory: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory


def test_a_crash_alone_is_no_damage(tmp_path: Path, crashed: dict[str, bytes]) -> None:
    store = Store.open(laid(tmp_path, crashed))
    assert recovered(store)[2] == [command(sequence) for sequence in range(1, 41)]
    store.close()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_to_the_log_passes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, crashed: dict[str, bytes], data: st.DataObject
) -> None:
    directory = laid(tmp_path_factory.mktemp("damaged"), crashed)
    log = bytearray(crashed[WAL_NAME])
    if data.draw(st.booleans(), "cut"):
        del log[data.draw(st.integers(0, len(log) - 1), "length") :]
    else:
        log[data.draw(st.integers(0, len(log) - 1), "place")] ^= data.draw(st.integers(1, 255), "bits")
    (directory / WAL_NAME).write_bytes(log)
    text = ""
    try:
        store = Store.open(directory)
    except DamagedJournalError as error:
        text = str(error)
    else:
        assert recovered(store)[2] == [command(sequence) for sequence in range(1, 41)]
        store.close()
    if text and "got an empty database" not in text:  # the tables themselves are still in the log
        kept = int(text.partition("got them up to ")[2].partition(",")[0])
        assert 0 <= kept < 40
        assert f"expected the commands up to sequence 40, got them up to {kept}, so {40 - kept} that" in text
    if text:
        assert (directory / WAL_NAME).read_bytes() == log, "what is damaged was changed"


def test_a_log_that_is_gone_is_noticed(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.commit(batch(1, 5), Outcomes().of(1))
    store.close()
    store = Store.open(tmp_path)
    store.commit(batch(6, 7), Outcomes().of(6))
    files = {name: (tmp_path / name).read_bytes() for name in (FILE_NAME, MARK_NAME)}
    store.close()
    (tmp_path / FILE_NAME).unlink()
    with pytest.raises(DamagedJournalError, match="up to sequence 12, got them up to 5, so 7 that were acknowledged"):
        Store.open(laid(tmp_path, files))


def test_a_journal_that_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.commit(batch(1, 5), Outcomes().of(1))
    store.close()
    (tmp_path / FILE_NAME).unlink()
    with pytest.raises(StoreError, match="expected the commands up to sequence 5, got no such file"):
        Store.open(tmp_path)
    assert not (tmp_path / FILE_NAME).exists()


def test_more_than_the_mark_says_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Killed between the commit and the mark."""
    store = Store.open(tmp_path)
    store.commit(batch(1, 5), Outcomes().of(1))
    store.close()
    Mark(tmp_path, 3).close()
    with caplog.at_level(logging.WARNING):
        store = Store.open(tmp_path)
    assert store.last_sequence == 5
    assert caplog.text == ""
    store.close()
    assert read_mark(tmp_path) == 5


def test_a_snapshot_counts_too(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.commit(batch(1, 5), Outcomes().of(1))
    store.save_snapshot(5, b"state", Outcomes().of(5))
    store.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("DELETE FROM journal")
    store = Store.open(tmp_path)
    assert recovered(store) == (b"state", 5, [])
    store.close()
