"""The endpoints that trade, and the open orders (contract sections 6.2 to 6.6)."""

from typing import Literal

from tickwire.exchange import intake, views
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.rest import examples
from tickwire.rest.endpoint import Endpoint, reads, writes
from tickwire.wire import rows
from tickwire.wire.requests import (
    AmendOrderRequest,
    CancelOrderRequest,
    LeverageRequest,
    MarginRequest,
    NoQuery,
    OrderRequest,
    SymbolQuery,
)

__all__ = ["OpenOrders", "trade_endpoints"]

OpenOrders = Literal["bare", "wrapped"]
"""What ``GET /trade/order`` replies: an array as observed, or ``{"orders": [...]}`` as documented."""


def _order(_engine: Engine, _account: str, _request: object, events: Events) -> object:
    assert events.order is not None
    return rows.OrderReply(views.order(events.order))


def _cancelled(_engine: Engine, _account: str, _request: CancelOrderRequest, _events: Events) -> object:
    return rows.Empty()


def _position(engine: Engine, account: str, request: LeverageRequest | MarginRequest, _events: Events) -> object:
    return rows.PositionReply(views.position(engine, account, request.symbol))


def _open_orders(engine: Engine, account: str, query: SymbolQuery) -> object:
    return views.open_orders(engine, account, query.symbol)


def _wrapped_open_orders(engine: Engine, account: str, query: SymbolQuery) -> object:
    return rows.OrderList(views.open_orders(engine, account, query.symbol))


def _symbols(engine: Engine, _account: str, _query: NoQuery) -> object:
    return views.symbols(engine)


def trade_endpoints(open_orders: OpenOrders) -> tuple[Endpoint, ...]:
    """The rows of the table."""
    return (
        Endpoint(
            method="POST",
            path="/api/v1/trade/order",
            tag="trade",
            scope="trade",
            summary="Place an order",
            description=(
                "Exactly one of `quantity` (base) and `amount` (quote notional). A MARKET order runs as IOC: what it "
                "cannot fill within the slippage bound is cancelled. The reply shows the order after its first fills."
            ),
            request=OrderRequest,
            example=examples.ORDER_REQUEST,
            reply=rows.OrderReply,
            reply_example=rows.OrderReply(examples.ORDER),
            errors=(
                "InvalidSymbol",
                "ApiSymbolRestricted",
                "InsufficientBalance",
                "ReduceOnlyRejected",
                "InvalidTradeMode",
                "MinNotional",
                "MaxNotional",
                "MaxPosition",
                "MaxOpenInterest",
                "SlippageExceeded",
                "NoCounterparty",
                "TooManyOrders",
            ),
            handle=writes(intake.place_order, _order),
        ),
        Endpoint(
            method="PUT",
            path="/api/v1/trade/order",
            tag="trade",
            scope="trade",
            summary="Set take-profit and stop-loss of an order",
            description="A price that is null or absent stays as it is.",
            request=AmendOrderRequest,
            example=AmendOrderRequest(
                symbol="BTCUSDT.PERP", order_id=examples.ORDER.order_id, new_take_profit_price="80000.0"
            ),
            reply=rows.OrderReply,
            reply_example=rows.OrderReply(examples.ORDER),
            errors=("InvalidSymbol", "OrderNotFound"),
            handle=writes(intake.amend_order, _order),
        ),
        Endpoint(
            method="GET",
            path="/api/v1/trade/order",
            tag="trade",
            scope="read",
            summary="Open orders, oldest first",
            description="The stream's topic is `account.order`.",
            request=SymbolQuery,
            reply=list[rows.Order] if open_orders == "bare" else rows.OrderList,
            reply_example=[examples.ORDER] if open_orders == "bare" else rows.OrderList([examples.ORDER]),
            errors=("InvalidSymbol",),
            handle=reads(_open_orders if open_orders == "bare" else _wrapped_open_orders),
        ),
        Endpoint(
            method="DELETE",
            path="/api/v1/trade/order",
            tag="trade",
            scope="trade",
            summary="Cancel an order",
            description="Symbol and order id travel in a JSON body, which is part of the signed message.",
            request=CancelOrderRequest,
            example=CancelOrderRequest(symbol="BTCUSDT.PERP", order_id=examples.ORDER.order_id),
            reply=rows.Empty,
            reply_example={},
            errors=("InvalidSymbol", "OrderNotFound"),
            handle=writes(intake.cancel_order, _cancelled),
        ),
        Endpoint(
            method="POST",
            path="/api/v1/trade/leverage",
            tag="trade",
            scope="trade",
            summary="Set leverage and margin type of a perpetual",
            description="The margin type can only change while the symbol has neither a position nor open orders.",
            request=LeverageRequest,
            example=LeverageRequest(symbol="BTCUSDT.PERP", leverage=10, margin_type="CROSS"),
            reply=rows.PositionReply,
            reply_example=rows.PositionReply(examples.POSITION),
            errors=("InvalidSymbol", "TooHighLeverage", "InsufficientBalance", "InvalidMargin", "OpenOrdersExist"),
            handle=writes(intake.set_leverage, _position),
        ),
        Endpoint(
            method="POST",
            path="/api/v1/trade/margin",
            tag="trade",
            scope="trade",
            summary="Add margin to an isolated position, or take some out",
            request=MarginRequest,
            example=MarginRequest(symbol="BTCUSDT.PERP", amount="100", type=1),
            reply=rows.PositionReply,
            reply_example=rows.PositionReply(examples.POSITION),
            errors=("InvalidSymbol", "InsufficientBalance", "PositionNotFound", "InvalidMargin"),
            handle=writes(intake.adjust_margin, _position),
        ),
        Endpoint(
            method="GET",
            path="/api/v1/trade/symbol",
            tag="trade",
            scope="read",
            summary="All symbols",
            reply=rows.Symbols,
            reply_example=examples.SYMBOLS,
            handle=reads(_symbols),
        ),
    )
