"""What the journal's history is given of a batch."""

import msgspec
from tests.exchange.world import START, World

from tickwire.exchange.commands import CancelOrder
from tickwire.exchange.executions import ExecutionEvent, FundingEvent
from tickwire.exchange.order_rows import history_row
from tickwire.journal.records import Batch
from tickwire.service.history import record_history
from tickwire.wire.intervals import HOUR


def test_an_order_has_one_row_as_it_stands_after_the_batch() -> None:
    world = World("anna", "boris")
    events: list[ExecutionEvent | FundingEvent] = []
    resting = world.command("anna", 1, "1", "50000")
    events += world.do(resting).executions
    order = world.engine.accounts["anna"].orders[1]
    events += world.do(world.command("boris", -1, "0.4", "50000")).executions
    events += world.do(CancelOrder("anna", order.symbol, order.id)).executions
    batch = Batch(1, [], [], [])
    record_history(batch, events)
    # Each of the executions, and the two orders in the order in which they were placed.
    assert [record.exec_type for record in batch.executions] == ["NEW", "NEW", "TRADE", "TRADE", "CANCELED"]
    assert [record.exec_id for record in batch.executions] == [event.exec_id for event in events]
    assert [record.order_id for record in batch.orders] == [1, 2]
    assert batch.orders[0].row == msgspec.json.encode(history_row(order, order))
    assert msgspec.json.decode(batch.orders[0].row)["status"] == "CANCELED"
    assert (batch.orders[0].account, batch.orders[0].order_time, batch.orders[0].perpetual) == ("anna", START, True)
    assert [msgspec.json.decode(record.row)["cumQty"] for record in batch.executions] == ["0", "0", "0.4", "0.4", "0.4"]


def test_a_funding_payment_is_an_execution_without_an_order() -> None:
    world = World("anna", "boris")
    world.mark("50000")
    world.trade("50000", "1", "anna", "boris")
    events = world.wait(8 * HOUR).executions
    batch = Batch(1, [], [], [])
    record_history(batch, events)
    assert batch.orders == []
    assert [(record.account, record.exec_type) for record in batch.executions] == [
        ("anna", "FUNDING"),
        ("boris", "FUNDING"),
    ]
