"""The endpoints of past orders and executions (contract section 6.7): the journal answers them, a page at a time."""

from tickwire.exchange.identifiers import parse_order_id
from tickwire.exchange.state import State
from tickwire.journal.history import HistoryPage
from tickwire.rest import examples
from tickwire.rest.endpoint import Endpoint
from tickwire.rest.gateway import Gateway
from tickwire.rest.parameters import parse_period
from tickwire.wire import rows
from tickwire.wire.requests import ExecutionHistoryQuery, OrderHistoryQuery

__all__ = ["HISTORY_ENDPOINTS"]


def _page(
    state: State, query: OrderHistoryQuery, order_id: str | None = None, exec_type: str | None = None
) -> HistoryPage:
    """What to show. Raises ``ApiError`` that names the field."""
    if query.symbol is not None:
        state.market(query.symbol)
    start, end = parse_period(query.start_time, query.end_time)
    return HistoryPage(
        count=query.count,
        before=None if query.before is None else parse_order_id("before", query.before),
        after=None if query.after is None else parse_order_id("after", query.after),
        perpetual=None if query.product_type is None else query.product_type == "PERPETUAL",
        symbol=query.symbol,
        start=start,
        end=end,
        order_id=None if order_id is None else parse_order_id("orderId", order_id),
        exec_type=exec_type,
    )


async def _order_history(gateway: Gateway, account: str, query: OrderHistoryQuery) -> bytes:
    return gateway.store.order_history(account, _page(gateway.engine, query))


async def _execution_history(gateway: Gateway, account: str, query: ExecutionHistoryQuery) -> bytes:
    page = _page(gateway.engine, query, query.order_id, query.exec_type)
    return gateway.store.execution_history(account, page)


_PAGING = (
    "`after` (an order id) gives the rows that are older than that order, `before` the newer ones next to it. "
    "`hasNext` says whether there are older rows than the page's, `hasPrev` newer ones."
)

HISTORY_ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/trade/order/history",
        tag="history",
        scope="read",
        summary="Orders, newest first",
        description=f"{_PAGING} Times are those of placing.",
        request=OrderHistoryQuery,
        reply=rows.OrderHistory,
        reply_example=rows.OrderHistory([examples.ORDER_HISTORY_ROW], has_prev=False, has_next=True),
        errors=("InvalidSymbol", "OrderNotFound"),
        handle=_order_history,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/trade/execution/history",
        tag="history",
        scope="read",
        summary="Executions and funding payments, newest first",
        description=(
            f"{_PAGING} A page ends only between two orders, so that nothing is lost or repeated on the way; it may "
            "hold more than `count` rows."
        ),
        request=ExecutionHistoryQuery,
        reply=rows.ExecutionHistory,
        reply_example=rows.ExecutionHistory([examples.EXECUTION], has_prev=False, has_next=True),
        errors=("InvalidSymbol", "OrderNotFound"),
        handle=_execution_history,
    ),
)
