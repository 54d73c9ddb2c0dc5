"""A live server is killed at random instants, again and again, while several processes trade.

After each start everything that a client had been told must still be so, and nothing may have happened twice.
``TICKWIRE_FAULT_SEED`` repeats a run's choices (though not the scheduling of its processes).
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.contract.support import PATIENCE, PERPETUAL, SPOT, Account, Server, environment, tickwire

ROOT = Path(__file__).parents[2]
ROUNDS = 20
TRADERS = 3
# A snapshot every second or so, so that kills meet snapshots and pruning too.
FLAGS = ("--symbols", f"{PERPETUAL},{SPOT}", "--no-limits", "--snapshot-every", "500")
DEPOSIT = Decimal(100_000)

Row = dict[str, Any]


class Trader:
    """A trading process, and what it has been told so far."""

    def __init__(self, server: Server, seed: int) -> None:
        account = server.account()
        self.name, self.key, self.secret = account.name, account.key, account.secret
        command = [sys.executable, "-m", "tests.fault.load", self.key, self.secret, str(seed)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(server.directory.parent),
        )
        self.placed: list[Row] = []  # as their replies had them
        self.cancelled: set[str] = set()
        self.leverages = {10}  # what may be set now
        self.executions: dict[str, Row] = {}  # by id, as the stream had them
        self.balances: list[Row] = []

    def start(self, port: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{port}\n")
        self.process.stdin.flush()

    def finish(self) -> int:
        """Take over what the process was told in this round; how many operations were acknowledged."""
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        for operation in said["done"]:
            if operation["kind"] == "place":
                self.placed.append(operation["reply"]["order"])
            elif operation["kind"] == "cancel":
                self.cancelled.add(operation["sent"]["orderId"])
            else:
                self.leverages = {operation["sent"]["leverage"]}
        if said["on_its_way"] is not None and said["on_its_way"]["kind"] == "leverage":
            self.leverages = self.leverages | {said["on_its_way"]["leverage"]}
        for frame in said["frames"]:
            for part in frame["data"]:
                if frame["topic"] == "account.execution":
                    self.executions |= {row["execId"]: row for row in part["rows"]}
                else:
                    self.balances += part["rows"]
        return len(said["done"])

    def on(self, server: Server) -> Account:
        return Account(server, self.key, self.secret, self.name)


def history(account: Account, what: str) -> list[Row]:
    """All rows, newest first, a page at a time."""
    rows: list[Row] = []
    cursor = ""
    while True:
        page = account.get(f"/trade/{what}/history?count=1000{cursor}")
        rows += page["history"]
        if not page["hasNext"]:
            return rows
        cursor = f"&after={page['history'][-1]['orderId']}"


def number_of(order_id: str) -> int:
    """The integer in an order's id: unique by itself, without the time in front of it."""
    return int(order_id.replace("-", "")[16:], 16)


def check_trader(trader: Trader, account: Account) -> list[Row]:
    """What the process was told, against what the server has now; the orders, newest first."""
    rows, executions = history(account, "order"), history(account, "execution")
    orders = {row["orderId"]: row for row in rows}
    open_orders = {row["orderId"]: row for row in account.open_orders()}
    assert len(orders) == len(rows)
    assert len({row["execId"] for row in executions}) == len(executions)

    # No order twice, whether its reply had come or not.
    assert max(Counter(row["quantity"] for row in rows).values(), default=1) == 1
    assert set(open_orders) == {row["orderId"] for row in rows if row["status"] in ("NEW", "PARTIALLY_FILLED")}
    for told in trader.placed:
        row = orders[told["orderId"]]
        for field in ("symbol", "side", "orderType", "quantity", "price", "triggerPrice", "timeInForce"):
            assert row[field] == told[field], field
        # At least as far on as it was then.
        assert Decimal(row["leavesQty"]) <= Decimal(told["leavesQty"])
        if told["status"] in ("FILLED", "CANCELED"):
            assert row["status"] == told["status"]
    for order_id in trader.cancelled:
        assert orders[order_id]["status"] == "CANCELED"

    # Every execution that was streamed is there as it was; fills add up to the orders, one by one.
    found = {row["execId"]: row for row in executions}
    for exec_id, streamed in trader.executions.items():
        assert found[exec_id] == streamed
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for row in executions:
        if row["execType"] == "TRADE":
            filled[row["orderId"]] += Decimal(row["lastQty"])
    for order_id, row in orders.items():
        assert filled[order_id] == Decimal(row["cumQty"])
    check_money(trader, account, executions)
    position = account.position()
    assert (10 if position is None else position["leverage"]) in trader.leverages
    return rows


def check_money(trader: Trader, account: Account, executions: list[Row]) -> None:
    """Balances, counted again from the executions: each is in them exactly once."""
    cash, base, contracts = DEPOSIT, Decimal(0), Decimal(0)
    bases = {base}
    for row in reversed(executions):
        if row["execFee"] is not None:
            cash -= Decimal(row["execFee"])
        if row["execType"] != "TRADE":
            continue
        quantity = Decimal(row["lastQty"]) * (1 if row["side"] == "BUY" else -1)
        cash -= quantity * Decimal(row["lastPrice"])
        if row["symbol"] == SPOT:
            base += quantity
            bases.add(base)
        else:
            contracts += quantity
    position = account.position()
    cost = Decimal(0)
    if position is not None and position["entryPrice"] is not None:
        held = Decimal(position["positionQty"]) * (1 if position["positionSide"] == "LONG" else -1)
        cost = held * Decimal(position["entryPrice"])
        assert held == contracts
    else:
        assert contracts == 0
    balances = {row["asset"]: Decimal(row["balance"]) for row in account.get("/account/balance")}
    assert balances.get("BTC", Decimal(0)) == base
    # The entry price is rounded, so its product is not exact; any fill is worth millions of times as much.
    assert abs(balances["USDT"] - (cash + cost)) < Decimal("0.001")
    # Every balance that was streamed is one that the account came through.
    assert {Decimal(row["balance"]) for row in trader.balances if row["asset"] == "BTC"} <= bases


def settled(take: Callable[[], Any], other: Callable[[], Any]) -> tuple[Any, Any]:
    """Two looks at the same, between which it did not change."""
    deadline = time.monotonic() + PATIENCE
    before = take()
    while time.monotonic() < deadline:
        seen, after = other(), take()
        if before == after:
            return before, seen
        before = after
    raise AssertionError("it never stood still")


def check_snapshots(account: Account) -> None:
    """Stream and REST show the same, private and public."""
    with account.stream() as stream:

        def snapshot(topic: str) -> list[Any]:
            (frame,) = stream.subscribe(topic)  # again and again: each brings a fresh one
            return [row for part in frame["data"] for row in part["rows"]]

        for topic, target in (
            ("account", "/account"),
            ("account.margin", "/account/margin"),
            ("account.balance", "/account/balance"),
            ("account.position", "/account/position"),
            ("account.order", "/trade/order"),
            (f"ticker.{PERPETUAL}", f"/market/ticker?symbol={PERPETUAL}"),
            (f"orderbook.{SPOT}", f"/market/orderbook?symbol={SPOT}&limit=50"),
            (f"kline.1.{SPOT}", f"/market/kline?symbol={SPOT}&interval=1"),
        ):
            streamed, rest = settled(lambda: snapshot(topic), lambda: account.get(target))  # noqa: B023
            if topic == "account.margin":
                rest = rest["margins"]
            elif topic.startswith("kline"):
                rest = rest[-1:]
            elif isinstance(rest, dict):
                rest = [rest]
            assert streamed == rest, topic


def kill_while_starting(directory: Path, seconds: float) -> None:
    """A kill may come while the journal is being read, too."""
    command = [sys.executable, "-m", "tickwire.cli", "serve", "--port", "0", "--data", str(directory), *FLAGS]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment(directory.parent)) as process:
        time.sleep(seconds)
        process.kill()


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_and_nothing_happens_twice(tmp_path: Path) -> None:
    seed = int(os.environ.get("TICKWIRE_FAULT_SEED") or random.randrange(2**32))
    choices = random.Random(seed)
    directory = tmp_path / "data"
    traders: list[Trader] = []
    order_ids: dict[int, str] = {}  # every id that was ever seen, over all accounts and rounds
    acknowledged = 0
    try:
        for number in range(ROUNDS + 1):
            if number and choices.random() < 0.25:
                kill_while_starting(directory, choices.uniform(0.2, 1.2))
            durability = choices.choice(("process", "process", "power", "none"))
            with Server(directory, *FLAGS, "--durability", durability) as server:
                if not traders:
                    traders = [Trader(server, choices.randrange(2**32)) for _ in range(TRADERS)]
                for trader in traders:
                    for row in check_trader(trader, trader.on(server)):
                        assert order_ids.setdefault(number_of(row["orderId"]), row["orderId"]) == row["orderId"]
                check_snapshots(traders[number % TRADERS].on(server))
                if number == ROUNDS:
                    break
                for trader in traders:
                    trader.start(int(server.url.rpartition(":")[2]))
                time.sleep(choices.uniform(0.05, 1.0))
                assert server.stop(signal.SIGKILL) == -signal.SIGKILL
                acknowledged += sum(trader.finish() for trader in traders)
                newest = max(order_ids, default=0)
                for trader in traders:
                    for order in trader.placed:
                        order_id = order["orderId"]
                        # A new one is above all that were seen when the round began.
                        assert number_of(order_id) > newest or order_ids[number_of(order_id)] == order_id
                        order_ids[number_of(order_id)] = order_id
        assert acknowledged > ROUNDS * TRADERS
        done = tickwire("verify", "--data", str(directory), "--json", home=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(done.stdout)
        assert all(snapshot["matches"] for snapshot in report["snapshots"])
        assert report["orderHistory"] == len(order_ids)
    except BaseException as error:
        error.add_note(f"TICKWIRE_FAULT_SEED={seed}")
        raise
    finally:
        for trader in traders:
            trader.process.kill()
            trader.process.communicate()
