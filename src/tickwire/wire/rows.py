"""The rows of the contract, one definition for REST, stream, OpenAPI, AsyncAPI and client.

Attribute names are the wire's in snake case. Decimals and timestamps are texts (see ``decimals``). Fields that may be
null say so. The order of the fields is the order on the wire.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = [
    "AccountInfo",
    "Balance",
    "Contract",
    "Decimal",
    "Empty",
    "Execution",
    "ExecutionHistory",
    "FeeRate",
    "FundingInfo",
    "Kline",
    "Margin",
    "Margins",
    "Order",
    "OrderHistory",
    "OrderHistoryRow",
    "OrderList",
    "OrderReply",
    "Orderbook",
    "OrderbookDelta",
    "Position",
    "PositionReply",
    "ServerTime",
    "Symbols",
    "Ticker",
    "Timestamp",
    "TradeMode",
]

# extra_json_schema documents the form without making every decode run a regular expression.
Decimal = Annotated[
    str, Meta(extra_json_schema={"pattern": r"^-?[0-9]+(\.[0-9]+)?$", "format": "decimal", "examples": ["74937.1"]})
]
Timestamp = Annotated[
    str,
    Meta(
        description="Nanoseconds since the epoch.",
        extra_json_schema={"pattern": "^[0-9]{19}$", "examples": ["1765975842095607088"]},
    ),
]
Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]

Side = Literal["BUY", "SELL"]
OrderType = Literal["MARKET", "LIMIT", "STOP_MARKET"]
TimeInForce = Literal["FOK", "IOC", "GTC"]
OrderStatus = Literal["PENDING_NEW", "NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED"]
ExecType = Literal["NEW", "TRADE", "CANCELED", "REPLACED", "REJECTED", "TRIGGERED", "FUNDING"]
MarginType = Literal["CROSS", "ISOLATED"]
TradeModeName = Literal["ONE_WAY", "MULTIPLE_POSITIONS"]
ConditionalOrderType = Literal["INVALID", "POSITION_TP", "POSITION_SL", "ORDER_TP", "ORDER_SL"]

Kline = tuple[Timestamp, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal]
"""``[startTime, open, high, low, close, volume, turnover]``; volume in base, turnover in quote."""

Level = tuple[Decimal, Decimal]
"""``[price, quantity]``."""


class Row(msgspec.Struct, rename="camel"):
    """Base of all rows: snake case here, camel case on the wire."""


class Empty(Row):
    """Reply of what has nothing to say: ``{}``."""


class ServerTime(Row):
    """Reply of ``GET /public/time``."""

    server_time: Timestamp


class Contract(Row):
    """What can be traded, and within which bounds. Derivative fields are null for spot."""

    symbol: str
    quote_currency: str
    init_margin_rate: Decimal | None
    maint_margin_rate: Decimal | None
    max_leverage: Decimal | None
    base_interest_rate: Decimal | None
    funding_rate_cap: Decimal | None
    funding_interval_hours: int | None
    tick_size: Decimal | None
    unit_order_qty: Decimal | None
    notional_min_order_amount: Decimal | None
    notional_max_order_amount: Decimal | None
    notional_max_position_amount: Decimal | None
    max_open_interest: Decimal | None


class Ticker(Row):
    """The state of one market. On the stream, UPDATE rows hold ``symbol`` and what changed."""

    symbol: str
    volume24h: Annotated[Decimal | None, Meta(description="Base quantity traded in 24 hours.")]
    turnover24h: Annotated[Decimal | None, Meta(description="Quote amount traded in 24 hours.")]
    # Named by hand: the rename rule would make it priceChange24H.
    price_change24h: Annotated[
        Decimal | None, Meta(description="Absolute change of the last price in 24 hours.")
    ] = msgspec.field(name="priceChange24h")
    open_interest: Annotated[Decimal | None, Meta(description="Base quantity held long (equal to that held short).")]
    bid_price: Decimal | None
    ask_price: Decimal | None
    last_price: Decimal | None
    mark_price: Decimal | None
    index_price: Decimal | None
    funding_rate: Decimal | None
    next_funding_time: Timestamp | None
    funding_interval_hours: int | None
    funding_rate_cap: Decimal | None


class FundingInfo(Row):
    """Funding of one perpetual."""

    symbol: str
    last_funding_rate: Decimal | None
    funding_rate: Decimal | None
    next_funding_time: Timestamp | None
    funding_interval_hours: int | None
    funding_rate_cap: Decimal | None


class Orderbook(Row):
    """The top of one book, best first."""

    symbol: str
    bids: list[Level]
    asks: list[Level]


class OrderbookDelta(Row):
    """A change of one book: absolute sizes, ``"0"`` removes the level."""

    symbol: str
    seq: int
    prev_seq: Annotated[int, Meta(description="Equals seq of the frame before.")]
    bids: list[Level]
    asks: list[Level]


class FeeRate(Row):
    """One fee level; ``feeRate`` is its taker rate."""

    level: int
    required_trade_volume: Decimal
    required_asset_balance: Decimal
    fee_rate: Decimal


class AccountInfo(Row):
    """The whole account in USDT."""

    total_wallet_balance: Annotated[Decimal, Meta(description="Without floating profit and loss.")]
    total_unrealized_pnl: Decimal
    total_margin_balance: Annotated[Decimal, Meta(description="Wallet plus unrealised profit and loss.")]
    total_margin_reserved: Annotated[Decimal, Meta(description="Held for positions and open orders.")]
    available_balance: Decimal


class Margin(Row):
    """Margin in one currency."""

    currency: str
    isolated_margin_available: Decimal
    unrealized_pnl: Decimal
    reserved_for_isolated_margin: Annotated[Decimal, Meta(description="Held for isolated orders.")]
    reserved_for_isolated_margin_position: Annotated[Decimal, Meta(description="Held for isolated positions.")]
    cross_margin_available: Decimal
    margin_balance: Decimal
    cross_margin_ratio: Annotated[
        Decimal | None, Meta(description="Cross maintenance margin over cross margin balance; null without a position.")
    ]
    init_margin_reserved: Annotated[Decimal, Meta(description="Held for cross orders.")]
    init_position_margin: Annotated[Decimal, Meta(description="Held for cross positions.")]


class Margins(Row):
    """Reply of ``GET /account/margin``."""

    margins: list[Margin]


class Balance(Row):
    """What the account holds of one asset."""

    asset: str
    balance: Decimal
    available_balance: Decimal
    max_withdrawable_amount: Decimal


class Position(Row):
    """One symbol's position, or its leverage setting while there is none."""

    symbol: str
    slot: int
    leverage: int
    margin_type: MarginType
    buyable_boosts: list[str]
    boost_remaining_count: int
    position_side: Literal["LONG", "SHORT"] | None
    position_amount: Annotated[
        Decimal | None, Meta(description="Size in base (setting: position_amount = quote gives the notional).")
    ]
    position_qty: Annotated[Decimal | None, Meta(description="Size in base, without a sign.")]
    mark_price: Decimal | None
    unrealized_pnl: Decimal | None
    initial_margin: Decimal | None
    maint_margin: Decimal | None
    entry_price: Decimal | None
    break_even_price: Decimal | None
    liquidation_price: Decimal | None
    total_fee: Decimal | None
    boost_expiry_timestamp: Timestamp | None
    boost_realized_pnl: Decimal | None


class PositionReply(Row):
    """Reply of ``POST /trade/leverage`` and ``POST /trade/margin``."""

    position: Position


class TradeMode(Row):
    """Body and reply of ``PUT /account/trade-mode``."""

    trade_mode: TradeModeName


class Order(Row):
    """An order as it stands."""

    order_id: Uuid
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal | None
    amount: Decimal | None
    price: Decimal | None
    trigger_price: Decimal | None
    status: OrderStatus
    time_in_force: TimeInForce
    take_profit_price: Decimal | None
    stop_loss_price: Decimal | None
    leaves_qty: Decimal | None


class OrderReply(Row):
    """Reply of ``POST`` and ``PUT /trade/order``."""

    order: Order


class OrderList(Row):
    """Reply of ``GET /trade/order`` under the setting ``open_orders = wrapped``."""

    orders: list[Order]


class OrderHistoryRow(Order):
    """An order with how it ended."""

    order_cancel_reason: str | None
    order_reject_reason: str | None
    order_time: Timestamp
    transact_time: Timestamp
    cum_qty: Decimal
    avg_price: Decimal | None
    cum_fee: Decimal
    init_leverage: int | None
    conditional_order_type: ConditionalOrderType


class OrderHistory(Row):
    """A page of orders, newest first."""

    history: list[OrderHistoryRow]
    has_prev: bool
    has_next: bool


class Execution(Row):
    """One thing that happened to an order, or a funding payment."""

    exec_id: Uuid
    order_id: Uuid | None
    symbol: str
    side: Side
    order_type: OrderType | None
    price: Decimal | None
    quantity: Decimal | None
    time_in_force: TimeInForce | None
    status: OrderStatus | None
    exec_type: ExecType
    settlement_currency: str
    order_time: Timestamp | None
    transact_time: Timestamp
    last_price: Decimal | None
    last_qty: Decimal | None
    exec_fee: Decimal | None
    cum_qty: Decimal | None
    avg_price: Decimal | None
    conditional_order_type: ConditionalOrderType


class ExecutionHistory(Row):
    """A page of executions, newest first."""

    history: list[Execution]
    has_prev: bool
    has_next: bool


class Symbols(Row):
    """Reply of ``GET /trade/symbol``."""

    spot: list[str]
    perpetual_swap: list[str]
