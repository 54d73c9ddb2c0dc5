"""Two thousand clients that mean harm beside one that trades and follows the market, on a live server.

The healthy one misses nothing and waits for nobody, each of the others ends as it should, and the server is afterwards
what it was before.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.support import PERPETUAL, Server, environment, until

ROOT = Path(__file__).parents[2]
EACH = 200  # of ten kinds
BOOK, TICKER = f"orderbook.delta.{PERPETUAL}", f"ticker.{PERPETUAL}"
FLAGS = ("--symbols", PERPETUAL, "--request-timeout", "2", "--sockets-per-key", "2000", "--requests-per-second", "1000")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data", *FLAGS) as server:
        yield server


def memory(server: Server, name: str) -> int:
    """A figure of the process's memory, in MiB: VmRSS now, VmHWM at its most."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) // 1024


def attack(server: Server, ends: dict[str, Any]) -> None:
    villain = server.key("villain")
    command = [sys.executable, "-m", "tests.fault.hostile", server.url.rpartition(":")[2], villain.key, villain.secret]
    ran = subprocess.run(
        [*command, str(EACH)], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60,
        env=environment(server.directory.parent),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    ends.update(json.loads(ran.stdout))


def test_a_healthy_client_notices_nothing(server: Server) -> None:
    alice = server.key("alice")
    before = memory(server, "VmRSS")
    ends: dict[str, Any] = {}
    frames: list[dict[str, Any]] = []
    placed: list[str] = []
    with alice.stream(TICKER, BOOK, "account.order") as stream:
        frames += stream.snapshots.values()
        harm = threading.Thread(target=attack, args=(server, ends))
        harm.start()
        while harm.is_alive():
            order = alice.buy("0.0001", "40000")
            placed.append(order["orderId"])
            alice.cancel(order)
            frames += stream.barrier()
            time.sleep(0.03)  # within its limit of operations
        harm.join()
        frames += stream.barrier()
        until(lambda: server.control("GET", "health")["sessions"] == 1)
    assert ends == {
        "says_nothing": {"closed": EACH},
        "trickles": {"408": EACH},
        "endless_head": {"431": EACH},
        "wrong_secret": {"401": EACH},
        "no_http": {"400": EACH},
        "bombs": {"1009": EACH},
        "pings": {"1008": EACH},
        "fragments": {"1008": EACH},
        "unmasked": {"1002": EACH},
        "reads_nothing": {"open": EACH},
    }
    check_nothing_is_missed(frames, placed)
    assert memory(server, "VmHWM") - before < 200, "as much as all of them together may cost, in MiB"
    until(lambda: connections(server) <= 1)


def check_nothing_is_missed(frames: list[dict[str, Any]], placed: list[str]) -> None:
    seq, newest = None, {TICKER: 0, BOOK: 0, "account.order": 0}
    kinds: dict[str, list[str]] = {topic: [] for topic in newest}
    orders: list[str] = []
    for frame in frames:
        topic = frame["topic"]
        assert int(frame["ts"]) >= newest[topic]
        newest[topic] = int(frame["ts"])
        (part,) = frame["data"]
        kinds[topic].append(part["actionType"])
        for row in part["rows"]:
            if topic == BOOK:
                assert seq is None or row["prevSeq"] == seq
                seq = row["seq"]
            elif topic == "account.order" and row["status"] == "NEW":
                orders.append(row["orderId"])
    # A reader that had been behind would have got another SNAPSHOT.
    assert [kind.count("SNAPSHOT") for kind in kinds.values()] == [1, 1, 1]
    assert orders == placed
    assert len(placed) > 3
    assert kinds[BOOK].count("UPDATE") > len(placed)


def connections(server: Server) -> int:
    """Open connections of the server's process, as the kernel sees them."""
    port = f"{int(server.url.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {line[9] for line in lines if line[1].endswith(f":{port}") and line[3] == "01"}
    return len(inodes)
