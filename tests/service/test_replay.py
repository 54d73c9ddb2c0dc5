import asyncio
import sqlite3
from pathlib import Path

import pytest
from tests.service.exchange import START, Exchange, traded

from tickwire.exchange.engine import Engine
from tickwire.journal.archive import Archive
from tickwire.journal.database import FILE_NAME
from tickwire.service.replay import Replay
from tickwire.service.rules import Rules, RulesError
from tickwire.service.settings import Settings
from tickwire.service.verify import verify


def reopened(directory: Path, **settings: object) -> Exchange:
    """Another start, left at once."""

    async def run() -> Exchange:
        exchange = Exchange(directory, START + 3600 * 10**9, **settings)
        exchange.kill()
        return exchange

    return asyncio.run(run())


def test_a_replay_gives_the_same_state(tmp_path: Path) -> None:
    before = traded(tmp_path)
    for newest in (True, False):
        with Archive(tmp_path) as archive:
            recovery = archive.recover(lambda text: pytest.fail(text), newest=newest)
            replay = Replay(recovery, Rules.of(Settings()))
            for batch in recovery.batches:
                replay.run(batch)
            assert replay.engine.dump() == before.engine.dump()
            assert replay.commands == before.engine.sequence - recovery.sequence
            assert replay.versions == set()


def test_each_command_is_replayed_under_the_rules_of_its_time(tmp_path: Path) -> None:
    """Killed, so that nothing but the journal says what the fees of the first run have made of the balances."""
    first = traded(tmp_path, snapshot_every=10**6, taker_fee="0.0006")
    second = traded(tmp_path, snapshot_every=10**6, taker_fee="0.01", time=first.time)
    assert second.engine.fees["USDT"] > 2 * first.engine.fees["USDT"]
    third = reopened(tmp_path, taker_fee="0")
    assert third.engine.fees == second.engine.fees
    for name, account in second.engine.accounts.items():
        assert third.engine.accounts[name].wallets == account.wallets
    with Archive(tmp_path) as archive:
        kept = [Rules.decode(data).settings.taker_fee_rate for _, data in archive.recover(print, newest=False).rules]
        assert kept == [60_000, 1_000_000, 0]
    assert verify(tmp_path, lambda done, total: None).problems == []


def test_rules_that_do_not_change_are_kept_once(tmp_path: Path) -> None:
    traded(tmp_path)
    for _ in range(3):
        reopened(tmp_path)
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        assert connection.execute("SELECT first_sequence FROM rules").fetchall() == [(1,)]


def test_a_symbol_can_be_added_and_not_left_out(tmp_path: Path) -> None:
    before = traded(tmp_path)
    with pytest.raises(RulesError, match="expected the instrument BTCUSDT, which this data directory trades"):
        reopened(tmp_path, symbols="BTCUSDT.PERP")
    more = reopened(tmp_path, symbols="BTCUSDT.PERP,BTCUSDT,ETHUSDT")
    assert list(more.engine.markets) == ["BTCUSDT.PERP", "BTCUSDT", "ETHUSDT"]
    assert more.engine.accounts["alice"].wallets == before.engine.accounts["alice"].wallets


def test_what_another_version_made_is_said(tmp_path: Path) -> None:
    traded(tmp_path, snapshot_every=10**6)
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        ((data,),) = connection.execute("SELECT data FROM rules").fetchall()
        older = Rules.decode(data)
        older = Rules(older.settings, older.instruments, older.symbols, "0.0.1")
        connection.execute("UPDATE rules SET data = ?", (older.encode(),))
    said = reopened(tmp_path).said
    assert "commands after the last snapshot, made by tickwire 0.0.1 in" in said[0]
    assert "made by" not in "".join(reopened(tmp_path).said[1:])


def test_nothing_at_all_is_a_new_exchange(tmp_path: Path) -> None:
    exchange = reopened(tmp_path)
    assert exchange.said == []
    assert isinstance(exchange.engine, Engine)
    assert exchange.engine.sequence == 0
