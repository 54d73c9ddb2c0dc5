import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.contract.support import Server, tickwire
from tests.service.exchange import Exchange, traded

from tickwire.exchange.engine import Engine
from tickwire.exchange.order_rows import history_row
from tickwire.journal.archive import Archive
from tickwire.journal.database import FILE_NAME, DamagedJournalError, StoreError
from tickwire.journal.mark import MARK_NAME, read_mark
from tickwire.journal.store import Store
from tickwire.service.repair import repair
from tickwire.service.replay import Replay
from tickwire.service.rules import Rules
from tickwire.service.settings import Settings
from tickwire.service.verify import verify

RULES = Rules.of(Settings())


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of an exchange that was killed; much is still in the log."""

    async def run() -> dict[str, bytes]:
        directory = tmp_path_factory.mktemp("crashed")
        exchange = Exchange(directory, snapshot_every=700)
        await exchange.run(20, "alice", "bob")
        files = {path.name: path.read_bytes() for path in directory.iterdir() if not path.name.endswith("-shm")}
        exchange.kill()
        return files

    return asyncio.run(run())


@pytest.fixture
def directory(tmp_path: Path, crashed: dict[str, bytes]) -> Path:
    for name, content in crashed.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def flip_a_bit_of_the_log(directory: Path) -> None:
    log = directory / f"{FILE_NAME}-wal"
    content = bytearray(log.read_bytes())
    content[len(content) - 30_000] ^= 4
    log.write_bytes(content)


def cut_the_log(directory: Path) -> None:
    log = directory / f"{FILE_NAME}-wal"
    log.write_bytes(log.read_bytes()[:-30_000])


def damage_a_batch(directory: Path) -> None:
    with sqlite3.connect(directory / FILE_NAME) as connection:
        connection.execute(
            "UPDATE journal SET commands = x'00' WHERE first_sequence = (SELECT max(first_sequence) FROM journal"
            " WHERE first_sequence < (SELECT max(first_sequence) - 60 FROM journal))"
        )
    connection.close()


def lose_a_batch(directory: Path) -> None:
    with sqlite3.connect(directory / FILE_NAME) as connection:
        connection.execute(
            "DELETE FROM journal WHERE first_sequence = (SELECT max(first_sequence) FROM journal"
            " WHERE first_sequence < (SELECT max(first_sequence) - 60 FROM journal))"
        )
    connection.close()


def replayed(directory: Path) -> Engine:
    """The state up to where it can be read."""
    with Archive(directory) as archive:
        recovery = archive.recover(print)
        replay = Replay(recovery, RULES)
        try:
            for batch in recovery.batches:
                replay.run(batch)
        except DamagedJournalError:
            pass
        return replay.engine


def read_all(directory: Path) -> None:
    store = Store.open(directory)
    try:
        list(store.recover().batches)
    finally:
        store.close()


DAMAGES = [flip_a_bit_of_the_log, cut_the_log, damage_a_batch, lose_a_batch]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_cut_on_request_alone(directory: Path, damage: Callable[[Path], None]) -> None:
    acknowledged = read_mark(directory)
    damage(directory)
    with pytest.raises(DamagedJournalError, match=r"sequence \d+"):
        read_all(directory)
    good = replayed(directory)
    assert 0 < good.sequence < acknowledged
    said: list[str] = []
    repair(directory, RULES, said.append)
    assert f"lost: the commands {good.sequence + 1} to {acknowledged}, " in said[-1]
    assert f"everything up to sequence {good.sequence} (2025-12-17T12:5" in said[-1]

    after = replayed(directory)
    assert after.sequence == acknowledged
    assert after.next_order_id >= good.next_order_id + 10**9
    assert after.next_exec_id >= good.next_exec_id + 10**9
    after.sequence, after.next_order_id, after.next_exec_id = good.sequence, good.next_order_id, good.next_exec_id
    assert after.dump() == good.dump()
    check_history(directory, good)
    report = verify(directory, lambda done, total: None)
    assert report.problems == []
    # Once is enough.
    said.clear()
    repair(directory, RULES, said.append)
    assert said == [f"{directory / FILE_NAME}: nothing is damaged, nothing to repair"]


def check_history(directory: Path, engine: Engine) -> None:
    """Nothing of what is lost is left in the history, and open orders are as they are."""
    connection = sqlite3.connect(directory / FILE_NAME)
    assert connection.execute("SELECT max(order_id) FROM orders").fetchone()[0] < engine.next_order_id
    assert connection.execute("SELECT max(exec_id) FROM executions").fetchone()[0] < engine.next_exec_id
    for account in engine.accounts.values():
        if account.house:
            continue
        stored = dict(connection.execute("SELECT order_id, row FROM orders WHERE account = ?", (account.name,)))
        for order_id, order in account.orders.items():
            assert stored.pop(order_id) == msgspec.json.encode(history_row(order, order))
        assert not [row for row in stored.values() if b'"NEW"' in row or b'"PARTIALLY_FILLED"' in row]
    connection.close()


def test_an_exchange_goes_on_after_a_repair(directory: Path) -> None:
    flip_a_bit_of_the_log(directory)
    repair(directory, RULES, print)

    async def run() -> None:
        exchange = Exchange(directory)
        await exchange.run(10, "alice", "bob")
        assert not exchange.failures
        exchange.kill()

    asyncio.run(run())
    assert verify(directory, lambda done, total: None).problems == []


def test_damaged_pages_cost_what_is_on_them(tmp_path: Path) -> None:
    exchange = traded(tmp_path)
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'orders_by_account'").fetchone()
    connection.close()
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    (tmp_path / FILE_NAME).write_bytes(content)
    said: list[str] = []
    repair(tmp_path, RULES, said.append)
    assert f"everything up to sequence {exchange.engine.sequence}" in said[-1]
    assert "lost: no command, 0 orders and 0 executions of the history" in said[-1]
    # No command is lost, so no id needs to be skipped.
    assert replayed(tmp_path).dump() == exchange.engine.dump()
    assert verify(tmp_path, lambda done, total: None).problems == []


def test_nothing_to_repair_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    repair(tmp_path / "none", RULES, said.append)
    repair(tmp_path, RULES, said.append)
    assert said == []
    assert not (tmp_path / "none").exists()


def test_what_is_no_journal_at_all_is_not_repaired(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError, match="expected a whole SQLite database"):
        repair(tmp_path, RULES, print)
    assert (tmp_path / FILE_NAME).read_bytes() == b"nonsense" * 1000


def test_a_server_says_what_is_damaged_and_goes_on_when_told_to(directory: Path) -> None:
    flip_a_bit_of_the_log(directory)
    before = (directory / f"{FILE_NAME}-wal").read_bytes()
    flags = ("--symbols", "BTCUSDT.PERP,BTCUSDT")
    for _ in range(2):
        done = tickwire("serve", "--data", str(directory), "--port", "0", *flags, home=directory.parent)
        assert (done.returncode, done.stdout) == (1, "")
        assert "the end of the journal is damaged: expected the commands up to sequence" in done.stderr
        assert done.stderr.endswith("; start with --repair to go on without what can't be read\n")
    assert (directory / f"{FILE_NAME}-wal").read_bytes() == before
    with Server(directory, *flags, "--repair") as server:
        assert "repaired: everything up to sequence " in server.banner
        assert server.key("alice").get("/trade/order/history?count=5")["hasNext"]
    report = json.loads(tickwire("verify", "--data", str(directory), "--json", home=directory.parent).stdout)
    assert report["problems"] == []
    assert read_mark(directory) == report["sequence"]
    assert (directory / MARK_NAME).exists()
