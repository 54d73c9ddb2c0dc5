import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journal.samples import Outcomes, batch, recovered

from tickwire import __version__
from tickwire.journal import database
from tickwire.journal.database import FILE_NAME, LOCK_NAME, Durability, StoreError
from tickwire.journal.mark import MARK_NAME
from tickwire.journal.store import Store

HOLDER = """
import sys
from tickwire.journal.store import Store
store = Store.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the directory open."""
    arguments = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_the_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "data"
    store = Store.open(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    assert modes == dict.fromkeys([LOCK_NAME, MARK_NAME, FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"], 0o600)
    store.close()
    assert {path.name for path in directory.iterdir()} == {LOCK_NAME, MARK_NAME, FILE_NAME}


def test_a_second_process_is_told_who_has_the_directory(holder: "subprocess.Popen[str]", tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"expected a directory that is not in use, but process {holder.pid} has it"):
        Store.open(tmp_path)
    holder.kill()
    holder.wait()
    Store.open(tmp_path).close()  # a crash leaves no lock behind


def test_a_second_store_of_the_same_process_is_refused_too(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with pytest.raises(StoreError, match=f"process {os.getpid()} has it"):
        Store.open(tmp_path)
    store.close()
    Store.open(tmp_path).close()


def test_a_refused_directory_is_not_left_locked(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"nonsense" * 1000)
    for _ in range(2):
        with pytest.raises(StoreError, match="not a database"):
            Store.open(tmp_path)


@pytest.fixture
def somebody() -> Iterator[None]:
    """Nobody's rights, for root could write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def read_only_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:  # not below tmp_path, which only its owner may enter
        directory = Path(name)
        directory.chmod(0o555)
        yield directory
        directory.chmod(0o755)


def test_a_read_only_directory_is_refused(read_only_directory: Path, somebody: None) -> None:
    with pytest.raises(StoreError, match="expected a place that can be written: Permission denied"):
        Store.open(read_only_directory)
    with pytest.raises(StoreError, match="expected a place that can be written: Permission denied"):
        Store.open(read_only_directory / "data")


def test_a_read_only_file_is_refused(tmp_path_factory: pytest.TempPathFactory, read_only_directory: Path) -> None:
    read_only_directory.chmod(0o777)
    Store.open(read_only_directory).close()
    for name in (LOCK_NAME, MARK_NAME):
        (read_only_directory / name).chmod(0o666)
    (read_only_directory / FILE_NAME).chmod(0o444)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(StoreError, match=r"exchange\.sqlite: expected a place that can be written"):
            Store.open(read_only_directory)
    finally:
        os.seteuid(user)


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StoreError, match="expected a place that can be written: File exists"):
        Store.open(tmp_path / "data")


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError, match=r"exchange\.sqlite: expected a whole SQLite database: .*not a database"):
        Store.open(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == b"nonsense" * 1000


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("CREATE TABLE journal (entry TEXT)")
    with pytest.raises(StoreError, match="expected a journal of tickwire, got a database with other tables"):
        Store.open(tmp_path)


@pytest.mark.parametrize("found", ["0", "2"], ids=["older", "newer"])
def test_another_format_is_refused_with_who_wrote_it_and_what_to_do(tmp_path: Path, found: str) -> None:
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (found,))
        connection.execute("UPDATE meta SET value = '7.8.9' WHERE key = 'version'")
    words = f"expected format 1, which tickwire {__version__} reads, got {found}, written by tickwire 7.8.9: go on with"
    for _ in range(2):  # the first refusal has not changed who it says
        with pytest.raises(StoreError, match=re.escape(words)):
            Store.open(tmp_path)


def test_who_wrote_last_is_noted(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'version'")  # as versions before this had it
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        found = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    assert found == (__version__,)


def test_a_damaged_file_is_refused_when_it_is_read(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    outcomes = Outcomes()
    for sequence in range(1, 2001):
        store.commit(batch(sequence), outcomes.of(sequence))
    store.close()
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(StoreError, match="expected a whole SQLite database"):
        recovered(Store.open(tmp_path))


@pytest.mark.parametrize(("durability", "synchronous"), [("none", 0), ("process", 1), ("power", 1)])
def test_durability_is_what_sqlite_waits_for(tmp_path: Path, durability: Durability, synchronous: int) -> None:
    connection = database.open_writer(tmp_path / FILE_NAME, durability)
    assert connection.execute("PRAGMA synchronous").fetchone() == (synchronous,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_reader_can_not_write(tmp_path: Path) -> None:
    database.open_writer(tmp_path / FILE_NAME, "process").close()
    reader = database.open_reader(tmp_path / FILE_NAME)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM journal")


def test_a_path_may_hold_what_means_something_in_a_uri(tmp_path: Path) -> None:
    directory = tmp_path / "50% ?mode=memory#x"
    store = Store.open(directory)
    store.commit(batch(1), Outcomes().of(1))
    store.close()
    assert (directory / FILE_NAME).stat().st_size > 0
    assert Store.open(directory).last_sequence == 1
