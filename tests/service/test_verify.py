import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contract.support import tickwire
from tests.journal.test_database import HOLDER
from tests.service.exchange import traded

from tickwire.exchange.commands import Deposit
from tickwire.journal.database import FILE_NAME, StoreError
from tickwire.journal.format import decode_commands, encode_commands
from tickwire.journal.mark import Mark
from tickwire.service.verify import Report, verify


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a directory with several snapshots and the journal between them."""
    directory = tmp_path_factory.mktemp("good")
    traded(directory, journal_retention=2500)
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def directory(tmp_path: Path, good: dict[str, bytes]) -> Path:
    for name, content in good.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def looked_at(directory: Path) -> Report:
    return verify(directory, lambda done, total: None)


def change(directory: Path, statement: str, *parameters: object) -> None:
    with sqlite3.connect(directory / FILE_NAME) as connection:
        assert connection.execute(statement, parameters).rowcount > 0
    connection.close()


def test_a_good_directory(directory: Path, good: dict[str, bytes]) -> None:
    progress: list[tuple[int, int]] = []
    report = verify(directory, lambda done, total: progress.append((done, total)))
    assert report.problems == []
    assert report.good
    assert report.sequence == report.acknowledged == report.replayed_from + report.replayed_commands
    assert sum(report.commands.values()) == report.replayed_commands
    assert len(report.snapshots) > 2
    assert all(snapshot.matches for snapshot in report.snapshots)
    assert (report.accounts, report.open_orders > 0, report.positions > 0) == (2, True, True)
    assert 0 < report.executions_compared <= report.execution_history
    assert 0 < report.orders_compared <= report.order_history
    assert report.money["USDT"]["deposits"] != "0"
    assert progress[-1] == (report.replayed_commands, report.replayed_commands)
    assert progress == sorted(progress)
    for name, content in good.items():
        assert name == "lock" or (directory / name).read_bytes() == content


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE snapshots SET state_hash = replace(state_hash, substr(state_hash, 1, 1), 'x')"
            " WHERE sequence = (SELECT max(sequence) FROM snapshots)",
            "expected the state .*x.*, which the snapshot has, got",
        ),
        (
            "UPDATE executions SET row = CAST(replace(CAST(row AS TEXT), 'TRADE', 'FUNDING') AS BLOB)"
            " WHERE exec_id = (SELECT max(exec_id) FROM executions WHERE exec_type = 'TRADE')",
            "execution .* of the history is not what the replay gives",
        ),
        (
            "UPDATE executions SET account = 'carl' WHERE exec_id = (SELECT max(exec_id) FROM executions)",
            "execution .* of the history is not what the replay gives",
        ),
        (
            "DELETE FROM executions WHERE exec_id = (SELECT max(exec_id) - 1 FROM executions)",
            "execution .* is not in the history",
        ),
        (
            "INSERT INTO executions SELECT exec_id + 1, account, order_id, symbol, perpetual, exec_type, transact_time,"
            " row FROM executions WHERE exec_id = (SELECT max(exec_id) FROM executions)",
            "of the history is not in the replay",
        ),
        (
            "UPDATE orders SET row = CAST(replace(CAST(row AS TEXT), 'GTC', 'IOC') AS BLOB)"
            " WHERE order_id = (SELECT max(order_id) FROM orders WHERE CAST(row AS TEXT) LIKE '%GTC%')",
            "order .*: the row of the history is not what the replay gives",
        ),
        (
            "DELETE FROM orders WHERE order_id = (SELECT max(order_id) FROM orders)",
            "order .*: the row of the history is not what the replay gives",
        ),
        (
            "UPDATE orders SET order_id = order_id + 1000000 WHERE order_id = (SELECT min(order_id) FROM orders)",
            "expected the next order id above",
        ),
        (
            "DELETE FROM journal WHERE first_sequence = (SELECT max(first_sequence) FROM journal"
            " WHERE first_sequence < (SELECT max(first_sequence) FROM journal))",
            "journal: expected sequence .* next, got",
        ),
        (
            "UPDATE journal SET commands = x'00' WHERE first_sequence = (SELECT max(first_sequence) FROM journal)",
            "the batch at sequence .* is damaged",
        ),
        ("UPDATE rules SET data = '{}'", "the rules kept with the journal can't be read"),
    ],
)
def test_whatever_is_changed_is_found(directory: Path, statement: str, problem: str) -> None:
    change(directory, statement)
    report = looked_at(directory)
    assert not report.good
    assert any(re.search(problem, found) for found in report.problems), report.problems


def test_a_command_that_was_changed_is_found_at_the_next_snapshot(directory: Path) -> None:
    """A whole batch with a good checksum, but not the one that was applied."""
    connection = sqlite3.connect(directory / FILE_NAME)
    first, count, blob = connection.execute(
        "SELECT first_sequence, count, commands FROM journal WHERE first_sequence >"
        " (SELECT min(sequence) FROM snapshots) ORDER BY first_sequence LIMIT 1"
    ).fetchone()
    commands = decode_commands(first, count, blob)
    commands[0] = (commands[0][0], Deposit("alice", "USDT", 1))
    connection.execute(
        "UPDATE journal SET commands = ? WHERE first_sequence = ?", (encode_commands(first, commands), first)
    )
    connection.commit()
    connection.close()
    report = looked_at(directory)
    matches = [snapshot.matches for snapshot in report.snapshots]
    assert matches == [True] + [False] * (len(matches) - 1)


def test_the_end_that_is_missing_is_found(directory: Path) -> None:
    sequence = looked_at(directory).sequence
    Mark(directory, sequence + 5).close()
    (problem,) = looked_at(directory).problems
    assert "so 5 that were acknowledged are missing" in problem


def test_damage_to_the_file_is_found(directory: Path) -> None:
    content = bytearray((directory / FILE_NAME).read_bytes())
    connection = sqlite3.connect(directory / FILE_NAME)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'orders_by_account'").fetchone()
    connection.close()
    content[(page - 1) * 4096 : page * 4096] = os.urandom(4096)
    (directory / FILE_NAME).write_bytes(content)
    assert any(FILE_NAME in problem for problem in looked_at(directory).problems)


def test_only_so_many_problems_are_listed(directory: Path) -> None:
    change(directory, "UPDATE executions SET row = '{}'")
    problems = looked_at(directory).problems
    assert len(problems) == 21
    assert problems[-1].startswith("and ")


def test_history_that_was_pruned_is_not_missed(directory: Path) -> None:
    change(directory, "DELETE FROM executions WHERE exec_id < (SELECT max(exec_id) - 20 FROM executions)")
    change(
        directory,
        "DELETE FROM orders WHERE order_id NOT IN (SELECT order_id FROM executions)",
    )
    report = looked_at(directory)
    assert report.problems == []
    assert report.executions_compared == 21


def test_a_directory_in_use_is_refused(directory: Path) -> None:
    arguments = [sys.executable, "-c", HOLDER, str(directory)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match=f"expected a directory that is not in use, but process {holder.pid} has"):
            looked_at(directory)
        holder.kill()


def test_a_directory_that_is_none_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="expected a data directory, got none"):
        looked_at(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(StoreError, match=r"exchange\.sqlite: expected a data directory, got no such file"):
        looked_at(tmp_path)


# The command.


def test_the_command_says_that_all_is_well(directory: Path) -> None:
    done = tickwire("verify", "--data", str(directory), home=directory.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{directory}: good"
    done = tickwire("verify", "--data", str(directory), "--json", home=directory.parent)
    report = json.loads(done.stdout)
    assert (report["good"], report["problems"]) == (True, [])
    assert report["sequence"] == report["acknowledged"]
    assert "replaying" in done.stderr


def test_the_command_says_what_is_wrong(directory: Path) -> None:
    change(directory, "DELETE FROM executions WHERE exec_id = (SELECT max(exec_id) FROM executions)")
    done = tickwire("verify", "--data", str(directory), home=directory.parent)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == f"{directory}: NOT good"
    assert "\nproblem     sequence " in done.stdout
    done = tickwire("verify", "--data", str(directory), "--json", home=directory.parent)
    assert (done.returncode, json.loads(done.stdout)["good"]) == (1, False)


def test_the_command_has_one_line_for_what_it_can_not_read(tmp_path: Path) -> None:
    done = tickwire("verify", "--data", str(tmp_path / "none"), home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("tickwire verify: ")
