import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.journal.samples import Outcomes, batch, exec_ids, execution, order, order_ids, recovered

from tickwire.journal.database import FILE_NAME
from tickwire.journal.mark import MARK_NAME
from tickwire.journal.repair import Remains, finish, rebuild
from tickwire.journal.store import Store

WAL_NAME, SHM_NAME = f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"
DAMAGED = f"{FILE_NAME}.damaged-1"


@pytest.fixture
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A journal of ten commands, orders and executions, as a crash leaves it."""
    directory = tmp_path_factory.mktemp("files")
    store = Store.open(directory)
    store.set_rules(b"old rules")
    for number in range(1, 11):
        store.commit(batch(number, orders=[order(number)], executions=[execution(number, number)]), lambda error: None)
        if number == 5:
            store.save_snapshot(5, b"state", lambda error: None)
    found = {name: (directory / name).read_bytes() for name in (FILE_NAME, WAL_NAME, MARK_NAME)}
    store.close()
    return found


@pytest.fixture
def directory(tmp_path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def remains(sequence: int = 20, **fields: object) -> Remains:
    known: dict[str, object] = {
        "sequence": sequence,
        "state": b"good state",
        "rules": b"rules",
        "next_order_id": 8,
        "next_exec_id": 7,
        "open_orders": [order(6, row=b'{"order":66}')],
    }
    return Remains(**(known | fields))  # type: ignore[arg-type]


def test_the_new_journal_holds_what_is_left(directory: Path, files: dict[str, bytes]) -> None:
    rebuilt = rebuild(directory, remains())
    assert (rebuilt.damaged, rebuilt.orders, rebuilt.executions) == (directory / DAMAGED, 3, 4)
    store = Store.open(directory)
    assert store.last_sequence == 20
    assert recovered(store) == (b"good state", 20, [])
    assert store.recover().rules == [(21, b"rules")]
    assert order_ids(store) == [7, 66, 5, 4, 3, 2, 1]
    assert exec_ids(store) == [6, 5, 4, 3, 2, 1]
    store.commit(batch(21), Outcomes().of(21))
    store.close()
    # The damaged one is as it was, and can be opened.
    assert (directory / DAMAGED).read_bytes() == files[FILE_NAME]
    assert (directory / f"{DAMAGED}-wal").read_bytes() == files[WAL_NAME]
    connection = sqlite3.connect(directory / DAMAGED)
    assert connection.execute("SELECT count(*) FROM journal").fetchone() == (10,)
    connection.close()


def test_damaged_journals_do_not_replace_each_other(directory: Path) -> None:
    for number in (1, 2, 3):
        assert rebuild(directory, remains(20 + number)).damaged.name == f"{FILE_NAME}.damaged-{number}"
    store = Store.open(directory)
    assert store.last_sequence == 23
    store.close()


def damage_pages(directory: Path, table: str) -> None:
    """Overwrite some pages in the middle of a table's rows."""
    store = Store.open(directory)
    for number in range(11, 1001):
        changed = [order(number, row=b'"%b"' % (b"x" * 500))]
        store.commit(batch(number, orders=changed, executions=[execution(number, number)]), lambda error: None)
    store.close()
    connection = sqlite3.connect(directory / FILE_NAME)
    content = bytearray((directory / FILE_NAME).read_bytes())
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    connection.close()
    # The root page's cells point to its leaves, the left ones first; cut the tree in its middle.
    page = content[(root - 1) * 4096 : root * 4096]
    assert page[0] == 5, "expected an interior page"
    cells = int.from_bytes(page[3:5])
    place = int.from_bytes(page[12 + cells // 2 * 2 :][:2])
    leaf = int.from_bytes(page[place : place + 4])
    content[(leaf - 1) * 4096 : leaf * 4096] = b"\xff" * 4096
    (directory / FILE_NAME).write_bytes(content)


@pytest.mark.parametrize("table", ["orders", "executions"])
def test_history_on_both_sides_of_damaged_pages_is_kept(directory: Path, table: str) -> None:
    damage_pages(directory, table)
    rebuilt = rebuild(directory, remains(1000, next_order_id=10_000, next_exec_id=10_000, open_orders=[]))
    connection = sqlite3.connect(directory / FILE_NAME)
    key = "order_id" if table == "orders" else "exec_id"
    found = {row[0] for row in connection.execute(f"SELECT {key} FROM {table}")}
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert {1, 2, 3, 998, 999, 1000} <= found
    missing = set(range(1, 1001)) - found
    counts = {"orders": rebuilt.orders, "executions": rebuilt.executions}
    assert counts.pop(table) == len(missing)
    assert list(counts.values()) == [0]
    assert 0 < len(missing) < 100
    assert missing == set(range(min(missing), max(missing) + 1))


def undo_last(directory: Path) -> None:
    (directory / FILE_NAME).rename(directory / f"{FILE_NAME}.repaired")


def undo_two(directory: Path) -> None:
    undo_last(directory)
    (directory / DAMAGED).rename(directory / FILE_NAME)


def undo_three(directory: Path) -> None:
    undo_two(directory)
    (directory / f"{DAMAGED}-wal").rename(directory / WAL_NAME)


@pytest.mark.parametrize("undo", [undo_last, undo_two, undo_three])
def test_a_crash_between_two_steps_is_made_up_for(
    directory: Path, files: dict[str, bytes], undo: Callable[[Path], None]
) -> None:
    rebuild(directory, remains())
    undo(directory)
    store = Store.open(directory)
    assert recovered(store) == (b"good state", 20, [])
    store.close()
    if undo is not undo_last:
        assert (directory / DAMAGED).read_bytes() == files[FILE_NAME]
        assert (directory / f"{DAMAGED}-wal").read_bytes() == files[WAL_NAME]
    assert not list(directory.glob("*.repaired"))


def test_a_crash_while_it_is_built_changes_nothing(directory: Path, files: dict[str, bytes]) -> None:
    (directory / f"{FILE_NAME}.building").write_bytes(b"half of it")
    (directory / f"{FILE_NAME}.building-wal").write_bytes(b"half of it")
    finish(directory)
    assert (directory / FILE_NAME).read_bytes() == files[FILE_NAME]
    rebuild(directory, remains())
    store = Store.open(directory)
    assert store.last_sequence == 20
    store.close()
    assert not list(directory.glob("*.building*"))
