"""One example of every row, for both API documents. Typed, so that a row that changes takes its example along."""

from tickwire.wire import rows
from tickwire.wire.requests import OrderRequest

__all__ = [
    "ACCOUNT_INFO",
    "BALANCE",
    "CONTRACT",
    "EPOCH",
    "EXECUTION",
    "FEE_RATE",
    "FUNDING_INFO",
    "KLINE",
    "MARGIN",
    "ORDER",
    "ORDERBOOK",
    "ORDERBOOK_DELTA",
    "ORDER_HISTORY_ROW",
    "ORDER_REQUEST",
    "POSITION",
    "SERVER_TIME",
    "SYMBOLS",
    "TICKER",
    "TIME",
]

SYMBOL = "BTCUSDT.PERP"
TIME = "1765975842095607088"
EPOCH = "5f0c1a9e.12"
ORDER_ID = "019b2c8a-3f2f-7000-8000-0000000004d2"
EXEC_ID = "019b2c8a-3f2f-7001-8000-0000000010e1"

SERVER_TIME = rows.ServerTime(TIME)
CONTRACT = rows.Contract(
    symbol=SYMBOL,
    quote_currency="USDT",
    init_margin_rate="0.01",
    maint_margin_rate="0.005",
    max_leverage="100",
    base_interest_rate="0.0001",
    funding_rate_cap="0.00375",
    funding_interval_hours=8,
    tick_size="0.1",
    unit_order_qty="0.000001",
    notional_min_order_amount="1",
    notional_max_order_amount="20000000",
    notional_max_position_amount=None,
    max_open_interest=None,
)
TICKER = rows.Ticker(
    symbol=SYMBOL,
    volume24h="1834.220145",
    turnover24h="137204511.0931",
    price_change24h="-412.7",
    open_interest="921.40771",
    bid_price="74937.0",
    ask_price="74937.1",
    last_price="74937.1",
    mark_price="74936.8",
    index_price="74940.2",
    funding_rate="0.0001",
    next_funding_time="1765987200000000000",
    funding_interval_hours=8,
    funding_rate_cap="0.00375",
)
FUNDING_INFO = rows.FundingInfo(
    symbol=SYMBOL,
    last_funding_rate="0.0001",
    funding_rate="0.0001",
    next_funding_time="1765987200000000000",
    funding_interval_hours=8,
    funding_rate_cap="0.00375",
)
KLINE: rows.Kline = ("1765975800000000000", "74930.0", "74941.5", "74928.3", "74937.1", "3.20114", "239880.412")
ORDERBOOK = rows.Orderbook(SYMBOL, bids=[("74937.0", "0.42"), ("74936.9", "1.5")], asks=[("74937.1", "0.310001")])
ORDERBOOK_DELTA = rows.OrderbookDelta(SYMBOL, seq=48211, prev_seq=48210, bids=[("74936.9", "0")], asks=[])
FEE_RATE = rows.FeeRate(level=0, required_trade_volume="0", required_asset_balance="0", fee_rate="0.0006")
ACCOUNT_INFO = rows.AccountInfo(
    total_wallet_balance="10000",
    total_unrealized_pnl="12.5",
    total_margin_balance="10012.5",
    total_margin_reserved="749.371",
    available_balance="9263.129",
)
MARGIN = rows.Margin(
    currency="USDT",
    isolated_margin_available="9263.129",
    unrealized_pnl="12.5",
    reserved_for_isolated_margin="0",
    reserved_for_isolated_margin_position="0",
    cross_margin_available="9263.129",
    margin_balance="10012.5",
    cross_margin_ratio="0.00374218",
    init_margin_reserved="0",
    init_position_margin="749.371",
)
BALANCE = rows.Balance(asset="USDT", balance="10000", available_balance="9263.129", max_withdrawable_amount="9250.629")
POSITION = rows.Position(
    symbol=SYMBOL,
    slot=0,
    leverage=10,
    margin_type="CROSS",
    buyable_boosts=[],
    boost_remaining_count=0,
    position_side="LONG",
    position_amount="0.1",
    position_qty="0.1",
    mark_price="74936.8",
    unrealized_pnl="12.5",
    initial_margin="749.371",
    maint_margin="37.4684",
    entry_price="74811.8",
    break_even_price="74901.5742",
    liquidation_price=None,
    total_fee="4.4887",
    boost_expiry_timestamp=None,
    boost_realized_pnl=None,
)
ORDER = rows.Order(
    order_id=ORDER_ID,
    symbol=SYMBOL,
    side="BUY",
    order_type="LIMIT",
    quantity="0.1",
    amount=None,
    price="74937.0",
    trigger_price=None,
    status="PARTIALLY_FILLED",
    time_in_force="GTC",
    take_profit_price=None,
    stop_loss_price=None,
    leaves_qty="0.04",
)
ORDER_REQUEST = OrderRequest(symbol=SYMBOL, side="BUY", type="LIMIT", quantity="0.1", price="74937.0")
ORDER_HISTORY_ROW = rows.OrderHistoryRow(
    order_id=ORDER_ID,
    symbol=SYMBOL,
    side="BUY",
    order_type="LIMIT",
    quantity="0.1",
    amount=None,
    price="74937.0",
    trigger_price=None,
    status="CANCELED",
    time_in_force="GTC",
    take_profit_price=None,
    stop_loss_price=None,
    leaves_qty="0.04",
    order_cancel_reason="USER_CANCELED",
    order_reject_reason=None,
    order_time=TIME,
    transact_time="1765975901002114000",
    cum_qty="0.06",
    avg_price="74937",
    cum_fee="0.899244",
    init_leverage=10,
    conditional_order_type="INVALID",
)
EXECUTION = rows.Execution(
    exec_id=EXEC_ID,
    order_id=ORDER_ID,
    symbol=SYMBOL,
    side="BUY",
    order_type="LIMIT",
    price="74937.0",
    quantity="0.1",
    time_in_force="GTC",
    status="PARTIALLY_FILLED",
    exec_type="TRADE",
    settlement_currency="USDT",
    order_time=TIME,
    transact_time=TIME,
    last_price="74937.0",
    last_qty="0.06",
    exec_fee="0.899244",
    cum_qty="0.06",
    avg_price="74937",
    conditional_order_type="INVALID",
)
SYMBOLS = rows.Symbols(spot=["BTCUSDT", "ETHUSDT"], perpetual_swap=[SYMBOL, "ETHUSDT.PERP"])
