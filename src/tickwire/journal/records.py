"""What is handed to the journal: batches of commands with the history rows that they made."""

from collections.abc import Iterator

import msgspec

from tickwire.exchange.commands import Command

__all__ = ["Batch", "ExecutionRecord", "OrderRecord", "Recovery"]


class OrderRecord(msgspec.Struct, frozen=True):
    """An order as it stands: ``row`` is its JSON as the client sees it, the rest is what a query filters by.

    A later record of the same ``order_id`` replaces the row and ``transact_time``. Times are in ns since the epoch.
    """

    account: str
    order_id: int
    symbol: str
    perpetual: bool
    order_time: int
    transact_time: int
    row: bytes


class ExecutionRecord(msgspec.Struct, frozen=True):
    """One execution; ``exec_id`` is never used twice.

    A funding payment belongs to no order: its ``order_id`` is the newest order id of its time, of whatever account,
    which gives it a place among the orders.
    """

    account: str
    exec_id: int
    order_id: int
    symbol: str
    perpetual: bool
    exec_type: str
    transact_time: int
    row: bytes


class Batch(msgspec.Struct, frozen=True):
    """Commands with their times (ns), numbered from ``first_sequence`` on, and their history; kept whole or not."""

    first_sequence: int
    commands: list[tuple[int, Command]]
    orders: list[OrderRecord]
    executions: list[ExecutionRecord]


class Recovery(msgspec.Struct, frozen=True):
    """What to start from: a snapshot of the state after command ``sequence``, and the commands after it, in order.

    ``batches`` carry no history, which is kept already. Reading on raises ``DamagedJournalError`` at one that is
    damaged or missing. ``rules`` are those that these commands were made under (see ``Store.set_rules``), each with
    the first command it holds for; none where none were ever set.
    """

    snapshot: bytes | None
    sequence: int
    batches: Iterator[Batch]
    rules: list[tuple[int, bytes]]
