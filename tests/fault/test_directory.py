"""Bad data directories, and a clock that is behind one: each is said in a line, and nothing is lost or goes back."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.contract.support import PERPETUAL, SPOT, Account, Server, environment, tickwire, until
from tests.service.exchange import Exchange

from tickwire import __version__
from tickwire.journal.database import FILE_NAME
from tickwire.journal.format import PackedSnapshot, pack_snapshot, unpack_snapshot
from tickwire.wire.intervals import HOUR, MINUTE, SECOND

NAMESPACE = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
FLAGS = ("--symbols", f"{PERPETUAL},{SPOT}")


def refuses(directory: Path, *flags: str, **variables: str) -> str:
    """The one line with which the server ends."""
    done = tickwire(
        "serve", "--data", str(directory), "--port", "0", *FLAGS, *flags, home=directory.parent, **variables
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


@pytest.fixture
def traded(tmp_path: Path) -> Path:
    """A directory with an order and a fill, left in good order."""
    with Server(tmp_path / "data", *FLAGS) as server:
        server.demo.buy("0.01", "30000")
        server.demo.buy("0.01")
    return tmp_path / "data"


def check_whole(directory: Path) -> None:
    with Server(directory, *FLAGS) as server:
        assert len(server.demo.open_orders()) == 1
        assert len(server.demo.get("/trade/order/history")["history"]) == 2


def test_a_snapshot_of_a_newer_version(traded: Path) -> None:
    with sqlite3.connect(traded / FILE_NAME) as connection:
        sequence, data, state_hash = connection.execute(
            "SELECT sequence, data, state_hash FROM snapshots ORDER BY sequence DESC LIMIT 1"
        ).fetchone()
        document = msgspec.msgpack.decode(unpack_snapshot(PackedSnapshot(sequence, data, state_hash)))
        document["version"] += 1
        newer = pack_snapshot(sequence, msgspec.msgpack.encode(document))
        connection.execute(
            "UPDATE snapshots SET data = ?, state_hash = ? WHERE sequence = ?",
            (newer.data, newer.state_hash, sequence),
        )
    connection.close()
    content = (traded / FILE_NAME).read_bytes()
    line = refuses(traded)
    assert f"expected a state of version {document['version'] - 1}, got {document['version']}" in line
    assert f"it was written by tickwire {__version__}: go on with that one" in line
    assert (traded / FILE_NAME).read_bytes() == content


def test_a_journal_of_a_newer_format(traded: Path) -> None:
    with sqlite3.connect(traded / FILE_NAME) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
        connection.execute("UPDATE meta SET value = '9.9.9' WHERE key = 'version'")
    connection.close()
    assert "got 99, written by tickwire 9.9.9: go on with that one" in refuses(traded)


def test_damaged_pages(traded: Path) -> None:
    content = (traded / FILE_NAME).read_bytes()
    (traded / FILE_NAME).write_bytes(content[:4096] + os.urandom(len(content) - 4096))
    line = refuses(traded)
    assert f"{traded / FILE_NAME}: expected a whole SQLite database: " in line
    assert line.endswith("; start with --repair to go on without what can't be read")
    # Nothing can be read of this one, so nothing can be repaired; it is left as it is.
    damaged = (traded / FILE_NAME).read_bytes()
    assert "restore a copy" in refuses(traded, "--repair")
    assert (traded / FILE_NAME).read_bytes() == damaged
    (traded / FILE_NAME).write_bytes(content)
    check_whole(traded)


def test_a_damaged_snapshot_gives_way_to_an_older_one(traded: Path) -> None:
    check_whole(traded)
    with sqlite3.connect(traded / FILE_NAME) as connection:
        assert connection.execute("SELECT count(*) FROM snapshots").fetchone() == (2,)
        connection.execute("UPDATE snapshots SET data = x'00' WHERE sequence = (SELECT max(sequence) FROM snapshots)")
    connection.close()
    server = Server(traded, *FLAGS)
    assert "is damaged, going on with another one" in server.stderr()
    assert "recovered " in server.banner
    assert len(server.demo.open_orders()) == 1
    assert server.stop() == 0


def test_a_journal_without_its_log(tmp_path: Path) -> None:
    """What a copy of a directory in use is, when it was made file by file."""
    with Server(tmp_path / "data", *FLAGS) as server:
        server.demo.buy("0.01", "30000")
        shutil.copytree(tmp_path / "data", tmp_path / "copy", ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    line = refuses(tmp_path / "copy")
    assert "the end of the journal is damaged: expected the commands up to sequence" in line


def test_a_read_only_directory(traded: Path) -> None:
    """In a mount namespace, since root may write where others may not."""
    read_only = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'
    if subprocess.run([*NAMESPACE, read_only, "sh", str(traded)], capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    program = f'{read_only} && exec "$2" -m tickwire.cli serve --data "$1" --port 0'
    done = subprocess.run(
        [*NAMESPACE, program, "sh", str(traded), sys.executable],
        capture_output=True,
        text=True,
        check=False,
        env=environment(traded.parent),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"tickwire serve: {traded}: expected a place that can be written: Read-only file system\n"
    check_whole(traded)


async def trade_ahead(directory: Path) -> tuple[int, str]:
    """An exchange whose clock is an hour fast, killed; its time, and the balance it had come to."""
    exchange = Exchange(directory, time.time_ns() + HOUR)
    await exchange.run(5, "demo")
    balance = exchange.engine.accounts["demo"].wallets["USDT"]
    exchange.kill()
    return exchange.engine.time, str(Decimal(balance).scaleb(-8).normalize())


def test_a_clock_that_is_an_hour_behind(tmp_path: Path) -> None:
    ahead, balance = asyncio.run(trade_ahead(tmp_path / "data"))
    server = Server(tmp_path / "data", *FLAGS, "--no-limits")
    demo = server.demo
    assert demo.get("/account")["totalWalletBalance"] == balance
    # Signed by this machine's clock, which is right.
    started = int(demo.get("/public/time")["serverTime"])
    assert ahead <= started < ahead + 30 * SECOND
    with demo.stream(f"ticker.{PERPETUAL}", f"kline.1.{PERPETUAL}", "account") as stream:
        order = demo.buy("0.001")
        frames = stream.for_seconds(3)
    assert demo.executions(order)[-1]["transactTime"] > str(ahead)
    # The market lives, second by second, and time never goes back.
    times: dict[str, list[int]] = {}
    for frame in frames:
        times.setdefault(frame["topic"], []).append(int(frame["ts"]))
    assert len(times[f"ticker.{PERPETUAL}"]) > 5
    for found in times.values():
        assert found == sorted(found)
        assert found[0] >= ahead
    assert max(map(max, times.values())) - started > SECOND

    # Minutes go on too, without a hole.
    def minutes() -> list[int]:
        rows = demo.get(f"/market/kline?symbol={PERPETUAL}&interval=1&limit=100")
        return [int(row[0]) for row in rows]

    found = minutes()
    assert found == list(range(found[0], found[-1] + 1, MINUTE))
    assert found[-1] // MINUTE >= ahead // MINUTE
    stderr = server.stderr()
    assert stderr.count("\n") == 1
    assert "s behind the exchange, which is at " in stderr
    assert "time goes on from there, a tenth slower, until the clock has caught up" in stderr
    until(lambda: int(demo.get("/public/time")["serverTime"]) > started + 3 * SECOND)
    assert server.stop() == 0
    done = tickwire("verify", "--data", str(tmp_path / "data"), home=tmp_path)
    assert done.returncode == 0, done.stdout


def test_a_key_is_good_while_the_exchange_is_ahead(tmp_path: Path) -> None:
    """By either clock: the machine's, and the one that the exchange tells."""
    asyncio.run(trade_ahead(tmp_path / "data"))
    server = Server(tmp_path / "data", *FLAGS, "--no-limits")
    demo: Account = server.demo
    told = int(demo.get("/public/time")["serverTime"]) // SECOND
    for expires in (int(time.time()) + 5, told + 5):
        headers = demo.headers("GET", "/api/v1/account", expires=str(expires))
        assert server.http.get("/api/v1/account", headers=headers).status_code == 200
    late = demo.headers("GET", "/api/v1/account", expires=str(int(time.time()) - 5))
    assert server.http.get("/api/v1/account", headers=late).status_code == 401
    assert server.stop() == 0
