"""A server that is killed loses nothing that it has acknowledged."""

import signal
import threading
import time
from pathlib import Path

import httpx
import pytest
from tests.contract.support import PERPETUAL, Account, Server, tickwire

FLAGS = ("--no-market", "--no-limits")


@pytest.mark.parametrize("snapshot_every", ["25000", "7"])
def test_every_acknowledged_order_is_there(tmp_path: Path, snapshot_every: str) -> None:
    flags = (*FLAGS, "--snapshot-every", snapshot_every)
    server = Server(tmp_path / "data", *flags)
    accounts = [server.account() for _ in range(3)]
    placed: dict[str, list[str]] = {account.name: [] for account in accounts}
    cancelled: set[str] = set()
    # One for each: a busy machine may let one thread far ahead of the others.
    started = {account.name: threading.Event() for account in accounts}

    def trade(account: Account) -> None:
        # A client of its own: one that is shared would be closed under the others' feet.
        with httpx.Client(base_url=server.url, timeout=10) as client:
            mine = Account(server, account.key, account.secret, account.name)
            mine.http = client
            try:
                for number in range(100_000):
                    order = mine.buy("0.001", str(30_000 + number % 1000))
                    placed[account.name].append(order["orderId"])
                    if number % 5 == 4:
                        mine.cancel(order)
                        cancelled.add(order["orderId"])
                    if number == 20:
                        started[account.name].set()
            except httpx.HTTPError:
                pass

    threads = [threading.Thread(target=trade, args=(account,)) for account in accounts]
    for thread in threads:
        thread.start()
    for event in started.values():
        assert event.wait(30)
    time.sleep(0.3)
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    for thread in threads:
        thread.join()

    with Server(tmp_path / "data", *flags) as server:
        for account in accounts:
            mine = Account(server, account.key, account.secret, account.name)
            rows = mine.get("/trade/order/history?count=1000")["history"]
            history = {row["orderId"]: row for row in rows}
            acknowledged = placed[account.name]
            assert len(acknowledged) >= 20
            for order_id in acknowledged[-900:]:
                assert (history[order_id]["status"] == "CANCELED") or order_id not in cancelled
            alive = {order["orderId"] for order in mine.open_orders()}
            # One order a thread may have been on its way, and one cancel.
            assert set(acknowledged) - cancelled - alive <= {acknowledged[-1]}
            assert not alive & cancelled
            assert len(alive - set(acknowledged)) <= 1
            # No id is ever given out again.
            assert mine.buy("0.001", "30000")["orderId"] not in set(acknowledged) | set(history)


def test_a_killed_server_is_no_longer_found(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", *FLAGS)
    server.stop(signal.SIGKILL)
    assert (tmp_path / "data" / "server.json").exists()
    result = tickwire("key", "list", "--data", str(tmp_path / "data"), home=tmp_path)
    # The directory itself is read, as nothing answers any more.
    assert (result.returncode, result.stderr) == (0, "")
    assert server.demo.key in result.stdout
    with Server(tmp_path / "data", *FLAGS) as after:
        assert after.demo.key == server.demo.key
        assert after.demo.get(f"/market/orderbook?symbol={PERPETUAL}")["bids"] == []
