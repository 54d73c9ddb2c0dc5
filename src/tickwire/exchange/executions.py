"""What happened to an order, kept as plain numbers until somebody wants to see it.

The engine notes an execution for everything that happens to a client's order. The rows of the API that show it are
made when the journal or a stream asks for them, once each: most of the time of a command went into texts before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickwire.exchange.order_rows import execution_row, history_row
from tickwire.wire.rows import ExecType, Execution, OrderHistoryRow, OrderStatus

if TYPE_CHECKING:
    from tickwire.exchange.book import Order

__all__ = ["ExecutionEvent", "FundingEvent"]


class ExecutionEvent:
    """One execution of an account that keeps a history, with the order as it stood then. Times in ns."""

    __slots__ = (
        "_execution", "_order_row", "account", "cancel_reason", "exec_id", "exec_type", "fee", "filled_cost",
        "filled_quantity", "last_fee", "last_price", "last_quantity", "order_id", "order_time", "perpetual",
        "reject_reason", "remaining", "source", "status", "stop_loss_price", "symbol", "take_profit_price",
        "time_in_force", "transact_time",
    )  # fmt: skip

    def __init__(
        self,
        order: Order,
        exec_id: int,
        exec_type: ExecType,
        last_price: int | None,
        last_quantity: int | None,
        last_fee: int | None,
    ) -> None:
        """The last three are of a fill: ticks, steps, money."""
        self.account = order.account.name
        self.exec_id = exec_id
        self.exec_type: ExecType = exec_type
        self.symbol = order.symbol
        self.perpetual = order.market.perpetual
        self.order_id = order.id
        self.order_time = order.time
        self.transact_time = order.transact_time
        self.last_price = last_price
        self.last_quantity = last_quantity
        self.last_fee = last_fee
        # What of the order changes after it was placed.
        self.source: Order = order
        self.status: OrderStatus = order.status
        self.time_in_force = order.time_in_force
        self.remaining = order.remaining
        self.filled_quantity = order.filled_quantity
        self.filled_cost = order.filled_cost
        self.fee = order.fee
        self.take_profit_price = order.take_profit_price
        self.stop_loss_price = order.stop_loss_price
        self.cancel_reason = order.cancel_reason
        self.reject_reason = order.reject_reason
        self._execution: Execution | None = None
        self._order_row: OrderHistoryRow | None = None

    @property
    def execution(self) -> Execution:
        """The row of the execution history and of ``account.execution``."""
        row = self._execution
        if row is None:
            row = self._execution = execution_row(self.source, self)
        return row

    @property
    def order(self) -> OrderHistoryRow:
        """The row of the order history."""
        row = self._order_row
        if row is None:
            row = self._order_row = history_row(self.source, self)
        return row


class FundingEvent:
    """A funding payment of an account that keeps a history. ``order_id`` is the newest one, which places it in time."""

    __slots__ = (
        "account", "exec_id", "exec_type", "execution", "order", "order_id", "order_time", "perpetual", "symbol",
        "transact_time",
    )  # fmt: skip

    def __init__(self, account: str, exec_id: int, order_id: int, symbol: str, time: int, execution: Execution) -> None:
        self.account = account
        self.exec_id = exec_id
        self.exec_type: ExecType = "FUNDING"
        self.symbol = symbol
        self.perpetual = True
        self.order_id = order_id
        self.order_time = self.transact_time = time
        self.execution = execution
        self.order: OrderHistoryRow | None = None
