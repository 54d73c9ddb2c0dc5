"""Trades until the disk of a server's directory is full; to be run where that directory is a file system of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from tests.contract.support import PERPETUAL, SPOT, Account, Server, tickwire

FLAGS = ("--symbols", f"{PERPETUAL},{SPOT}", "--no-limits")


def trade_until_refused(account: Account) -> list[dict[str, Any]]:
    """Orders that were acknowledged, until the first that was not."""
    placed: list[dict[str, Any]] = []
    while True:
        reply = _write(account, "POST", symbol=PERPETUAL, side="BUY", type="LIMIT", price="30000", quantity="0.001")
        if reply is None:
            return placed
        placed.append(reply["order"])
        if len(placed) % 2 and _write(account, "DELETE", symbol=PERPETUAL, orderId=placed[-1]["orderId"]) is None:
            return placed


def _write(account: Account, method: str, **fields: object) -> Any:
    """The reply, or nothing once the server can't keep what it would confirm."""
    try:
        reply = account.send(method, "/trade/order", json.dumps(fields).encode())
    except httpx.TransportError:
        return None
    if reply.status_code == 503:
        assert reply.json()["error"] == "Unavailable"
        return None
    assert reply.status_code == 200, reply.text
    return reply.json()


def check_stopped(server: Server, words: str) -> None:
    """The server has ended by itself, and said why: in the log, and with its last line."""
    code = server.process.wait(20)
    server.http.close()
    assert server.process.stdout is not None
    server.process.stdout.close()
    lines = server.stderr().splitlines()
    assert code == 1, server.stderr()
    assert len(lines) == 2, server.stderr()
    assert " ERROR tickwire.service the journal can't be written: the exchange stops error=" in lines[0]
    assert lines[1].startswith("tickwire serve: the journal can't be written, so the exchange stopped: ")
    assert all(words in line for line in lines)


def check_kept(directory: Path, account: Account, placed: list[dict[str, Any]]) -> None:
    """After another start everything that was acknowledged is there."""
    assert placed
    with Server(directory, *FLAGS) as server:
        mine = Account(server, account.key, account.secret, account.name)
        rows = mine.get("/trade/order/history?count=1000")["history"]
        missing = {order["orderId"] for order in placed[-400:]} - {row["orderId"] for row in rows}
        assert not missing
        mine.buy("0.001")
    done = tickwire("verify", "--data", str(directory), home=directory.parent)
    assert done.returncode == 0, done.stdout


def main(data: Path) -> None:
    server = Server(data, *FLAGS)
    account = server.account()
    placed = trade_until_refused(account)
    check_stopped(server, "no space is left on the disk")
    # Still full: said at once, and nothing is lost by trying.
    done = tickwire("serve", "--data", str(data), "--port", "0", *FLAGS, home=data.parent)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "disk" in done.stderr
    subprocess.run(["mount", "-o", "remount,size=64m", str(data)], check=True)
    check_kept(data, account, placed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    print("done")
