"""Orders and executions as rows of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tickwire.exchange.book import Order
from tickwire.exchange.identifiers import execution_uuid
from tickwire.exchange.instruments import MONEY_PLACES, Instrument
from tickwire.wire import rows
from tickwire.wire.decimals import format_decimal

if TYPE_CHECKING:
    from tickwire.exchange.executions import ExecutionEvent

__all__ = [
    "AVERAGE_PARTS",
    "average_price_text",
    "execution_row",
    "fine_price_text",
    "funding_row",
    "history_row",
    "money_text",
    "order_row",
]

_SIDE: dict[int, rows.Side] = {1: "BUY", -1: "SELL"}
_TYPE: dict[int, rows.OrderType] = {1: "LIMIT", 2: "MARKET", 3: "STOP_MARKET"}
_TIME_IN_FORCE: dict[int, rows.TimeInForce] = {1: "GTC", 2: "IOC", 3: "FOK"}
# Averages are shown with this many decimals more than the tick has.
AVERAGE_EXTRA_PLACES = 4
AVERAGE_PARTS = 10**AVERAGE_EXTRA_PLACES


def money_text(amount: int) -> str:
    """Money in its shortest form."""
    return format_decimal(amount, MONEY_PLACES)


def average_price_text(instrument: Instrument, cost: int, quantity: int) -> str | None:
    """``cost / quantity`` as a price with four more decimals than the tick, rounded to the nearest."""
    if not quantity:
        return None
    denominator = quantity * instrument.multiplier
    return fine_price_text(instrument, (2 * cost * AVERAGE_PARTS + denominator) // (2 * denominator))


def fine_price_text(instrument: Instrument, parts: int) -> str:
    """A price in ``AVERAGE_PARTS`` of a tick, in its shortest form."""
    return format_decimal(parts * instrument.price_value, instrument.price_places + AVERAGE_EXTRA_PLACES)


def _price(instrument: Instrument, ticks: int | None) -> str | None:
    return None if ticks is None else instrument.price_text(ticks)


def order_row(order: Order) -> rows.Order:
    """Contract 6.1."""
    instrument = order.market.instrument
    return rows.Order(
        order.uuid,
        order.symbol,
        _SIDE[order.side],
        _TYPE[order.type],
        instrument.quantity_text(order.quantity),
        None if order.amount is None else money_text(order.amount),
        _price(instrument, order.price),
        _price(instrument, order.trigger_price),
        order.status,
        _TIME_IN_FORCE[order.time_in_force],
        _price(instrument, order.take_profit_price),
        _price(instrument, order.stop_loss_price),
        instrument.quantity_text(order.remaining),
    )


def history_row(order: Order, then: Order | ExecutionEvent) -> rows.OrderHistoryRow:
    """Contract 6.7: an order with how it ended, as it stood ``then``.

    The fields of ``order_row`` once more, written out: a row is made for every execution, and is checked as it stands.
    """
    instrument = order.market.instrument
    return rows.OrderHistoryRow(
        order.uuid,
        order.symbol,
        _SIDE[order.side],
        _TYPE[order.type],
        instrument.quantity_text(order.quantity),
        None if order.amount is None else money_text(order.amount),
        _price(instrument, order.price),
        _price(instrument, order.trigger_price),
        then.status,
        _TIME_IN_FORCE[then.time_in_force],
        _price(instrument, then.take_profit_price),
        _price(instrument, then.stop_loss_price),
        instrument.quantity_text(then.remaining),
        then.cancel_reason,
        then.reject_reason,
        str(order.time),
        str(then.transact_time),
        instrument.quantity_text(then.filled_quantity),
        average_price_text(instrument, then.filled_cost, then.filled_quantity),
        money_text(then.fee),
        order.leverage or None,
        order.conditional,
    )


def execution_row(order: Order, event: ExecutionEvent) -> rows.Execution:
    """Contract 6.7: one thing that happened to an order."""
    instrument = order.market.instrument
    return rows.Execution(
        execution_uuid(event.exec_id, event.transact_time),
        order.uuid,
        order.symbol,
        _SIDE[order.side],
        _TYPE[order.type],
        _price(instrument, order.price),
        instrument.quantity_text(order.quantity),
        _TIME_IN_FORCE[event.time_in_force],
        event.status,
        event.exec_type,
        instrument.quote,
        str(order.time),
        str(event.transact_time),
        _price(instrument, event.last_price),
        None if event.last_quantity is None else instrument.quantity_text(event.last_quantity),
        None if event.last_fee is None else money_text(event.last_fee),
        instrument.quantity_text(event.filled_quantity),
        average_price_text(instrument, event.filled_cost, event.filled_quantity),
        order.conditional,
    )


def funding_row(
    instrument: Instrument, exec_id: int, time: int, quantity: int, mark_price: int, payment: int
) -> rows.Execution:
    """A funding payment: ``execFee`` is what the position of ``quantity`` (signed) paid, negative when received."""
    side: Literal["BUY", "SELL"] = "BUY" if quantity > 0 else "SELL"
    return rows.Execution(
        execution_uuid(exec_id, time),
        None,
        instrument.symbol,
        side,
        None,
        None,
        None,
        None,
        None,
        "FUNDING",
        instrument.quote,
        None,
        str(time),
        instrument.price_text(mark_price),
        instrument.quantity_text(abs(quantity)),
        money_text(payment),
        None,
        None,
        "INVALID",
    )
