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
    init_margin_rate: Annotated[Decimal | None, Meta(description="Initial margin rate at the highest leverage.")]
    maint_margin_rate: Annotated[Decimal | None, Meta(description="Maintenance margin as a share of the notional.")]
    max_leverage: Annotated[Decimal | None, Meta(description="A decimal, not an integer.")]
    base_interest_rate: Annotated[
        Decimal | None, Meta(description="Interest part of the funding rate, for one funding interval.")
    ]
    funding_rate_cap: Annotated[Decimal | None, Meta(description="The funding rate stays within plus and minus this.")]
    funding_interval_hours: int | None
    tick_size: Annotated[Decimal | None, Meta(description="A price is a multiple of this.")]
    unit_order_qty: Annotated[Decimal | None, Meta(description="A quantity is a multiple of this.")]
    notional_min_order_amount: Annotated[Decimal | None, Meta(description="Smallest quote value of an order.")]
    notional_max_order_amount: Annotated[Decimal | None, Meta(description="Largest quote value of an order.")]
    notional_max_position_amount: Annotated[
        Decimal | None, Meta(description="Largest quote value of a position; null without a bound.")
    ]
    max_open_interest: Annotated[
        Decimal | None, Meta(description="Largest open interest in base; null without a bound.")
    ]


class Ticker(Row):
    """The state of one market. On the stream, UPDATE rows hold ``symbol`` and what changed."""

    symbol: str
    volume24h: Annotated[Decimal | None, Meta(description="Base quantity traded in 24 hours.")]
    turnover24h: Annotated[Decimal | None, Meta(description="Quote amount traded in 24 hours.")]
    # Named by hand: the rename rule would make it priceChange24H.
    price_change24h: Annotated[Decimal | None, Meta(description="Absolute change of the last price in 24 hours.")] = (
        msgspec.field(name="priceChange24h")
    )
    open_interest: Annotated[Decimal | None, Meta(description="Base quantity held long (equal to that held short).")]
    bid_price: Annotated[Decimal | None, Meta(description="Best bid; null while nobody bids.")]
    ask_price: Annotated[Decimal | None, Meta(description="Best ask; null while nobody asks.")]
    last_price: Annotated[Decimal | None, Meta(description="Price of the last trade.")]
    mark_price: Annotated[Decimal | None, Meta(description="Positions are valued and liquidated at it; null for spot.")]
    index_price: Annotated[Decimal | None, Meta(description="From the prices of several spot venues; null for spot.")]
    funding_rate: Annotated[Decimal | None, Meta(description="As estimated for the next funding time; null for spot.")]
    next_funding_time: Timestamp | None
    funding_interval_hours: int | None
    funding_rate_cap: Decimal | None


class FundingInfo(Row):
    """Funding of one perpetual."""

    symbol: str
    last_funding_rate: Annotated[Decimal | None, Meta(description="As paid at the last funding time.")]
    funding_rate: Annotated[Decimal | None, Meta(description="As estimated for the next funding time.")]
    next_funding_time: Timestamp | None
    funding_interval_hours: int | None
    funding_rate_cap: Annotated[Decimal | None, Meta(description="The funding rate stays within plus and minus this.")]


class Orderbook(Row):
    """The top of one book, best first."""

    symbol: str
    bids: Annotated[list[Level], Meta(description="Falling prices.")]
    asks: Annotated[list[Level], Meta(description="Rising prices.")]


class OrderbookDelta(Row):
    """A change of one book: absolute sizes, ``"0"`` removes the level."""

    symbol: str
    seq: Annotated[int, Meta(description="Counts the changes of this book.")]
    prev_seq: Annotated[int, Meta(description="Equals seq of the frame before.")]
    bids: Annotated[list[Level], Meta(description="The levels that changed; empty when none did.")]
    asks: Annotated[list[Level], Meta(description="The levels that changed; empty when none did.")]


class FeeRate(Row):
    """One fee level; ``feeRate`` is its taker rate."""

    level: int
    required_trade_volume: Annotated[Decimal, Meta(description="Quote volume of 30 days for this level.")]
    required_asset_balance: Annotated[Decimal, Meta(description="Balance for this level.")]
    fee_rate: Decimal


class AccountInfo(Row):
    """The whole account in USDT."""

    total_wallet_balance: Annotated[Decimal, Meta(description="Without floating profit and loss.")]
    total_unrealized_pnl: Annotated[Decimal, Meta(description="Of all positions at the mark price.")]
    total_margin_balance: Annotated[Decimal, Meta(description="Wallet plus unrealised profit and loss.")]
    total_margin_reserved: Annotated[Decimal, Meta(description="Held for positions and open orders.")]
    available_balance: Annotated[Decimal, Meta(description="What new orders and withdrawals may take.")]


class Margin(Row):
    """Margin in one currency."""

    currency: str
    isolated_margin_available: Annotated[
        Decimal, Meta(description="What isolated positions and orders may still take.")
    ]
    unrealized_pnl: Annotated[Decimal, Meta(description="Of all positions at the mark price.")]
    reserved_for_isolated_margin: Annotated[Decimal, Meta(description="Held for isolated orders.")]
    reserved_for_isolated_margin_position: Annotated[Decimal, Meta(description="Held for isolated positions.")]
    cross_margin_available: Annotated[Decimal, Meta(description="What cross positions and orders may still take.")]
    margin_balance: Annotated[Decimal, Meta(description="Wallet plus unrealised profit and loss.")]
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
    balance: Annotated[Decimal, Meta(description="The wallet.")]
    available_balance: Annotated[Decimal, Meta(description="Without what positions and open orders hold.")]
    max_withdrawable_amount: Annotated[Decimal, Meta(description="What could leave the account now.")]


class Position(Row):
    """One symbol's position, or its leverage setting while there is none."""

    symbol: str
    slot: Annotated[int, Meta(description="Always 0: one position a symbol.")]
    leverage: int
    margin_type: MarginType
    buyable_boosts: Annotated[list[str], Meta(description="Always empty.")]
    boost_remaining_count: Annotated[int, Meta(description="Always 0.")]
    position_side: Annotated[Literal["LONG", "SHORT"] | None, Meta(description="Null without a position.")]
    position_amount: Annotated[
        Decimal | None, Meta(description="Size in base (setting: position_amount = quote gives the notional).")
    ]
    position_qty: Annotated[Decimal | None, Meta(description="Size in base, without a sign.")]
    mark_price: Decimal | None
    unrealized_pnl: Annotated[Decimal | None, Meta(description="At the mark price.")]
    initial_margin: Annotated[Decimal | None, Meta(description="Entry notional over leverage.")]
    maint_margin: Annotated[Decimal | None, Meta(description="Below this the position is liquidated.")]
    entry_price: Annotated[Decimal | None, Meta(description="Average of the fills that opened it.")]
    break_even_price: Annotated[Decimal | None, Meta(description="Where a close would pay all fees and funding.")]
    liquidation_price: Annotated[
        Decimal | None,
        Meta(description="Mark price of liquidation, the other positions held; null when there is none."),
    ]
    total_fee: Annotated[Decimal | None, Meta(description="Paid since the position was opened.")]
    boost_expiry_timestamp: Annotated[Timestamp | None, Meta(description="Always null.")]
    boost_realized_pnl: Annotated[Decimal | None, Meta(description="Always null.")]


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
    quantity: Annotated[Decimal | None, Meta(description="Base quantity ordered.")]
    amount: Annotated[Decimal | None, Meta(description="Quote notional, where the order was placed by it.")]
    price: Annotated[Decimal | None, Meta(description="Limit; null for MARKET.")]
    trigger_price: Annotated[Decimal | None, Meta(description="Mid price at which a STOP_MARKET order fires.")]
    status: OrderStatus
    time_in_force: TimeInForce
    take_profit_price: Decimal | None
    stop_loss_price: Decimal | None
    leaves_qty: Annotated[Decimal | None, Meta(description="What is still open.")]


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
    transact_time: Annotated[Timestamp, Meta(description="When it last changed, ns since the epoch.")]
    cum_qty: Annotated[Decimal, Meta(description="Filled so far.")]
    avg_price: Annotated[Decimal | None, Meta(description="Average price of the fills; null without one.")]
    cum_fee: Annotated[Decimal, Meta(description="Fees paid so far, negative when received.")]
    init_leverage: Annotated[int | None, Meta(description="Leverage of the symbol when it was placed; null for spot.")]
    conditional_order_type: Annotated[
        ConditionalOrderType, Meta(description="Whether a take-profit or stop-loss placed it.")
    ]


class OrderHistory(Row):
    """A page of orders, newest first."""

    history: list[OrderHistoryRow]
    has_prev: Annotated[bool, Meta(description="Whether there are newer ones.")]
    has_next: Annotated[bool, Meta(description="Whether there are older ones.")]


class Execution(Row):
    """One thing that happened to an order, or a funding payment."""

    exec_id: Uuid
    order_id: Annotated[Uuid | None, Meta(description="Null for a funding payment.")]
    symbol: str
    side: Side
    order_type: OrderType | None
    price: Decimal | None
    quantity: Decimal | None
    time_in_force: TimeInForce | None
    status: OrderStatus | None
    exec_type: ExecType
    settlement_currency: Annotated[str, Meta(description="Asset in which the fee is paid.")]
    order_time: Timestamp | None
    transact_time: Timestamp
    last_price: Annotated[Decimal | None, Meta(description="Price of this fill; of a funding payment, the mark price.")]
    last_qty: Annotated[Decimal | None, Meta(description="Quantity of this fill; of a funding payment, the position.")]
    exec_fee: Annotated[Decimal | None, Meta(description="Fee of this fill, or funding paid; negative when received.")]
    cum_qty: Annotated[Decimal | None, Meta(description="Filled so far.")]
    avg_price: Annotated[Decimal | None, Meta(description="Average price of the fills so far.")]
    conditional_order_type: ConditionalOrderType


class ExecutionHistory(Row):
    """A page of executions, newest first."""

    history: list[Execution]
    has_prev: Annotated[bool, Meta(description="Whether there are newer ones.")]
    has_next: Annotated[bool, Meta(description="Whether there are older ones.")]


class Symbols(Row):
    """Reply of ``GET /trade/symbol``."""

    spot: list[str]
    perpetual_swap: list[str]
