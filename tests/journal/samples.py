"""Batches and history rows to keep, and a way to look at what was kept."""

import asyncio
import json
from typing import Any

from tickwire.exchange.commands import (
    AdjustMargin,
    AmendOrder,
    BackfillCandles,
    CancelAll,
    CancelOrder,
    Command,
    CreateAccount,
    Deposit,
    OrderType,
    PlaceOrder,
    SetLeverage,
    SetTradeMode,
    Side,
    Tick,
    TimeInForce,
    VenuePrices,
)
from tickwire.journal.history import HistoryPage
from tickwire.journal.records import Batch, ExecutionRecord, OrderRecord
from tickwire.journal.store import Store

SYMBOL = "BTCUSDT.PERP"

# One of each, with every field set where that is possible.
COMMANDS: list[Command] = [
    CreateAccount("alice", house=True),
    Deposit("alice", "USDT", -(10**18)),
    PlaceOrder("alice", SYMBOL, Side.SELL, OrderType.LIMIT, 10**18, price=749371, time_in_force=TimeInForce.IOC),
    PlaceOrder("alice", SYMBOL, Side.BUY, OrderType.MARKET, amount=5, max_slippage_price=7, reduce_only=True),
    CancelOrder("alice", SYMBOL, 7),
    CancelAll("alice"),
    AmendOrder("alice", SYMBOL, 7, 800_000, 600_000),
    SetLeverage("alice", SYMBOL, 100, isolated=True),
    AdjustMargin("alice", SYMBOL, -5),
    SetTradeMode("alice", multiple_positions=True),
    VenuePrices(SYMBOL, (1, None, 3)),
    Tick(),
    BackfillCandles(SYMBOL, "1D", ((0, 1, 2, 3, 4, 5, 6), (7, 8, 9, 10, 11, 12, 13))),
]


def command(sequence: int) -> tuple[int, Command]:
    """The command with that sequence number in every test, with its time."""
    return 10**18 + sequence, Deposit("alice", "USDT", sequence)


def batch(first_sequence: int, count: int = 1, **history: Any) -> Batch:
    commands = [command(sequence) for sequence in range(first_sequence, first_sequence + count)]
    return Batch(first_sequence, commands, history.get("orders", []), history.get("executions", []))


def order(order_id: int, account: str = "alice", **fields: Any) -> OrderRecord:
    known = {"symbol": SYMBOL, "perpetual": True, "order_time": order_id, "transact_time": order_id} | fields
    row = known.pop("row", None) or json.dumps({"order": order_id}).encode()
    return OrderRecord(account=account, order_id=order_id, row=row, **known)


def execution(exec_id: int, order_id: int, account: str = "alice", **fields: Any) -> ExecutionRecord:
    known = {"symbol": SYMBOL, "perpetual": True, "exec_type": "TRADE", "transact_time": exec_id} | fields
    row = known.pop("row", None) or json.dumps({"exec": exec_id, "order": order_id}).encode()
    return ExecutionRecord(account=account, exec_id=exec_id, order_id=order_id, row=row, **known)


def order_ids(store: Store, account: str = "alice", **page: Any) -> list[int]:
    return [row["order"] for row in json.loads(store.order_history(account, HistoryPage(**page)))["history"]]


def exec_ids(store: Store, account: str = "alice", **page: Any) -> list[int]:
    return [row["exec"] for row in json.loads(store.execution_history(account, HistoryPage(**page)))["history"]]


def recovered(store: Store) -> tuple[bytes | None, int, list[tuple[int, Command]]]:
    """Snapshot, its sequence, and every command after it."""
    recovery = store.recover()
    commands = [item for found in recovery.batches for item in found.commands]
    return recovery.snapshot, recovery.sequence, commands


class Outcomes:
    """Collects what was reported, in order."""

    def __init__(self) -> None:
        self.names: list[object] = []
        self.errors: list[Exception | None] = []

    def of(self, name: object) -> Any:
        def done(error: Exception | None) -> None:
            self.names.append(name)
            self.errors.append(error)

        return done

    async def count(self, wanted: int) -> None:
        """Let the loop run until that many reports have come."""
        async with asyncio.timeout(30):
            while len(self.names) < wanted:  # noqa: ASYNC110  # an event would be set by what is tried here
                await asyncio.sleep(0)
