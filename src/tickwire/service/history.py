"""From what happened in the engine to the rows that the journal's history keeps."""

from collections.abc import Iterable

import msgspec

from tickwire.exchange.executions import ExecutionEvent, FundingEvent
from tickwire.journal.records import Batch, ExecutionRecord, OrderRecord

__all__ = ["record_history"]

_encode = msgspec.json.Encoder().encode


def record_history(batch: Batch, events: Iterable[ExecutionEvent | FundingEvent]) -> None:
    """Add the rows of what a batch's commands did, in their order.

    An order has one row, as it stands after the last of them: what it was in between, nobody could ever read.
    """
    newest: dict[int, ExecutionEvent] = {}
    for event in events:
        if isinstance(event, ExecutionEvent):
            newest[event.order_id] = event
        batch.executions.append(
            ExecutionRecord(
                event.account,
                event.exec_id,
                event.order_id,
                event.symbol,
                event.perpetual,
                event.exec_type,
                event.transact_time,
                _encode(event.execution),
            )
        )
    for event in newest.values():
        batch.orders.append(
            OrderRecord(
                event.account,
                event.order_id,
                event.symbol,
                event.perpetual,
                event.order_time,
                event.transact_time,
                _encode(event.order),
            )
        )
