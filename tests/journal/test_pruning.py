import sqlite3
from pathlib import Path

import pytest
from tests.journal.samples import Outcomes, batch, exec_ids, execution, order, order_ids

from tickwire.exchange.commands import Tick
from tickwire.journal.database import FILE_NAME
from tickwire.journal.pruning import Retention
from tickwire.journal.records import Batch
from tickwire.journal.store import Store


def kept(directory: Path) -> tuple[list[int], int, list[int]]:
    """Snapshots, the first command of the journal, and where rules begin."""
    connection = sqlite3.connect(directory / FILE_NAME)
    snapshots = [row[0] for row in connection.execute("SELECT sequence FROM snapshots ORDER BY sequence")]
    first = connection.execute("SELECT min(first_sequence) FROM journal").fetchone()[0]
    rules = [row[0] for row in connection.execute("SELECT first_sequence FROM rules ORDER BY first_sequence")]
    connection.close()
    return snapshots, first, rules


def run(directory: Path, retention: Retention, last: int, every: int) -> None:
    """Commands one by one up to ``last``, with a snapshot after each ``every``."""
    store = Store.open(directory, "none", retention=retention)
    outcomes = Outcomes()
    while store.last_sequence < last:
        store.commit(batch(store.last_sequence + 1), outcomes.of(0))
        if store.last_sequence % every == 0:
            store.save_snapshot(store.last_sequence, b"state", outcomes.of(0))
    store.close()
    assert set(outcomes.errors) == {None}


@pytest.mark.parametrize(
    ("retention", "snapshots"),
    [
        (Retention(), [80, 90]),
        (Retention(snapshots=1), [90]),
        (Retention(snapshots=4), [60, 70, 80, 90]),
        (Retention(commands=10), [80, 90]),
        (Retention(commands=11), [70, 80, 90]),
        (Retention(commands=35), [50, 60, 70, 80, 90]),
        (Retention(commands=80), [10, 20, 30, 40, 50, 60, 70, 80, 90]),
    ],
)
def test_what_is_wanted_is_kept_with_the_journal_behind_its_oldest_snapshot(
    tmp_path: Path, retention: Retention, snapshots: list[int]
) -> None:
    run(tmp_path, retention, 95, every=10)
    assert kept(tmp_path)[:2] == (snapshots, snapshots[0] + 1)


def test_all_is_kept_until_there_is_as_much_as_wanted(tmp_path: Path) -> None:
    run(tmp_path, Retention(commands=1000), 95, every=10)
    assert kept(tmp_path)[:2] == ([10, 20, 30, 40, 50, 60, 70, 80, 90], 1)


def test_less_is_kept_after_a_restart_that_wants_less(tmp_path: Path) -> None:
    run(tmp_path, Retention(commands=1000), 95, every=10)
    run(tmp_path, Retention(), 100, every=10)
    assert kept(tmp_path)[:2] == ([90, 100], 91)


def test_rules_are_kept_as_long_as_a_command_that_was_made_under_them(tmp_path: Path) -> None:
    for last in (5, 15, 25, 35):
        store = Store.open(tmp_path)
        store.set_rules(b"up to %d" % last)
        store.close()
        run(tmp_path, Retention(), last, every=10)
    assert kept(tmp_path) == ([20, 30], 21, [16, 26])
    store = Store.open(tmp_path)
    assert store.recover().rules == [(26, b"up to 35")]
    store.close()


def test_rules_that_nothing_was_made_under_are_replaced(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert store.recover().rules == []
    store.set_rules(b"first")
    store.set_rules(b"second")
    store.commit(batch(1, 3), Outcomes().of(1))
    store.set_rules(b"third")
    assert store.recover().rules == [(1, b"second"), (4, b"third")]
    store.save_snapshot(3, b"state", Outcomes().of(3))
    assert store.recover().rules == [(4, b"third")]
    store.close()


@pytest.mark.parametrize(
    ("retention", "message"),
    [
        ({"snapshots": 0}, "snapshots: expected at least 1, got 0"),
        ({"commands": -1}, "commands: expected at least 0, got -1"),
        ({"history": 0}, "history: expected at least 1, got 0"),
    ],
)
def test_what_can_not_be_kept_is_refused(retention: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Retention(**retention)


def at(time: int, sequence: int, **history: object) -> Batch:
    return Batch(sequence, [(time, Tick())], **({"orders": [], "executions": []} | history))  # type: ignore[arg-type]


def test_old_history_goes_with_the_next_snapshot(tmp_path: Path) -> None:
    store = Store.open(tmp_path, "none", retention=Retention(history=1000))
    for time in range(1, 5001):  # more than are deleted in one transaction
        changed = [order(time)] + ([order(3, order_time=3, transact_time=time)] if time == 4500 else [])
        store.commit(at(time, time, orders=changed, executions=[execution(time, time)]), lambda error: None)
    assert len(order_ids(store, count=9000)) == 5000
    store.save_snapshot(5000, b"state", lambda error: None)
    # An order that changed lately stays, however old it is.
    assert order_ids(store, count=9000) == [*range(5000, 3999, -1), 3]
    assert exec_ids(store, count=9000) == list(range(5000, 3999, -1))
    store.close()


def test_without_a_limit_history_stays(tmp_path: Path) -> None:
    store = Store.open(tmp_path, "none")
    store.commit(at(1, 1, orders=[order(1)], executions=[execution(1, 1)]), lambda error: None)
    store.commit(at(10**18, 2), lambda error: None)
    store.save_snapshot(2, b"state", lambda error: None)
    assert (order_ids(store), exec_ids(store)) == ([1], [1])
    store.close()
