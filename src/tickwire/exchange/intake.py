"""From a decoded request to a command: everything that can be said wrong about the request alone, with its field's
name.

Nothing is changed here; what depends on balances, positions or the book is for the engine to refuse.
"""

from tickwire.exchange.commands import (
    AdjustMargin,
    AmendOrder,
    CancelOrder,
    OrderType,
    PlaceOrder,
    SetLeverage,
    SetTradeMode,
    Side,
    TimeInForce,
)
from tickwire.exchange.identifiers import order_uuid, parse_order_id
from tickwire.exchange.instruments import Instrument, parse_money
from tickwire.exchange.state import State
from tickwire.wire.errors import ApiError
from tickwire.wire.requests import (
    AmendOrderRequest,
    CancelOrderRequest,
    LeverageRequest,
    MarginRequest,
    OrderRequest,
    TradeModeRequest,
)

__all__ = [
    "adjust_margin",
    "amend_order",
    "cancel_order",
    "parse_order_id",
    "place_order",
    "set_leverage",
    "set_trade_mode",
]

_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_TYPES = {"LIMIT": OrderType.LIMIT, "MARKET": OrderType.MARKET, "STOP_MARKET": OrderType.STOP_MARKET}
_TIMES_IN_FORCE = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
# The engine compares products of leverage; a larger one is refused as too high in any case.
_MAX_LEVERAGE_NUMBER = 10_000


def place_order(state: State, account: str, request: OrderRequest) -> PlaceOrder:
    """Contract 6.2. Raises ``ApiError``."""
    instrument = state.market(request.symbol).instrument
    price, trigger_price, match = _prices(instrument, request)
    if (request.quantity is None) == (request.amount is None):
        got = "neither" if request.quantity is None else "both"
        raise ApiError("InvalidParameter", f"quantity: expected exactly one of quantity and amount, got {got}")
    if request.time_in_force is not None and request.type != "LIMIT":
        raise ApiError("InvalidParameter", f"timeInForce: expected with LIMIT only, got {request.type}")
    worst = request.max_slippage_price
    return PlaceOrder(
        account=account,
        symbol=request.symbol,
        side=_SIDES[request.side],
        type=_TYPES[request.type],
        quantity=None if request.quantity is None else instrument.parse_quantity("quantity", request.quantity),
        amount=None if request.amount is None else parse_money("amount", request.amount),
        price=price,
        trigger_price=trigger_price,
        time_in_force=_TIMES_IN_FORCE[request.time_in_force or "GTC"],
        reduce_only=bool(request.reduce_only),
        max_slippage_price=None if worst is None else instrument.parse_price("maxSlippagePrice", worst),
        match_counterparty=match,
    )


def _prices(instrument: Instrument, request: OrderRequest) -> tuple[int | None, int | None, bool]:
    """(limit price, trigger price, match the counterparty) of an order."""
    match = request.price_match_strategy is not None
    if match and request.type != "LIMIT":
        raise ApiError("InvalidParameter", f"priceMatchStrategy: expected with LIMIT only, got {request.type}")
    if match and request.price is not None:
        raise ApiError("InvalidParameter", "price: expected none beside priceMatchStrategy, which sets it")
    if request.type == "MARKET":
        if request.price is not None:
            raise ApiError("InvalidParameter", "price: expected none with MARKET; maxSlippagePrice bounds its fills")
        return None, None, False
    if match:
        return None, None, True
    if request.price is None:
        meaning = "the limit" if request.type == "LIMIT" else "the trigger"
        raise ApiError("InvalidParameter", f"price: expected {meaning} of a {request.type} order, got nothing")
    price = instrument.parse_price("price", request.price)
    return (price, None, False) if request.type == "LIMIT" else (None, price, False)


def _order_id(state: State, account: str, text: str) -> int:
    """The integer of an order id, checked to the last digit where the order is still known."""
    order_id = parse_order_id("orderId", text)
    owner = state.account(account)
    order = owner.orders.get(order_id)
    if order is not None and order_uuid(order.id, order.time) != text.lower():
        raise ApiError("OrderNotFound")
    return order_id


def amend_order(state: State, account: str, request: AmendOrderRequest) -> AmendOrder:
    """Contract 6.3. Raises ``ApiError``."""
    instrument = state.market(request.symbol).instrument
    take_profit, stop_loss = request.new_take_profit_price, request.new_stop_loss_price
    return AmendOrder(
        account,
        request.symbol,
        _order_id(state, account, request.order_id),
        None if take_profit is None else instrument.parse_price("newTakeProfitPrice", take_profit),
        None if stop_loss is None else instrument.parse_price("newStopLossPrice", stop_loss),
    )


def cancel_order(state: State, account: str, request: CancelOrderRequest) -> CancelOrder:
    """Contract 6.5. Raises ``ApiError``."""
    state.market(request.symbol)
    return CancelOrder(account, request.symbol, _order_id(state, account, request.order_id))


def set_leverage(state: State, account: str, request: LeverageRequest) -> SetLeverage:
    """Contract 6.6. Raises ``ApiError``."""
    instrument = state.perpetual(request.symbol).instrument
    if request.leverage < 1:
        raise ApiError("InvalidParameter", f"leverage: expected at least 1, got {request.leverage}")
    if request.leverage > _MAX_LEVERAGE_NUMBER:
        raise ApiError("TooHighLeverage", f"leverage: expected at most {instrument.max_leverage}")
    return SetLeverage(account, request.symbol, request.leverage, request.margin_type == "ISOLATED")


def adjust_margin(state: State, account: str, request: MarginRequest) -> AdjustMargin:
    """Contract 6.6. Raises ``ApiError``."""
    state.perpetual(request.symbol)
    amount = parse_money("amount", request.amount)
    return AdjustMargin(account, request.symbol, amount if request.type == 1 else -amount)


def set_trade_mode(state: State, account: str, request: TradeModeRequest) -> SetTradeMode:
    """Contract 5.5. Raises ``ApiError``."""
    state.account(account)
    return SetTradeMode(account, request.trade_mode == "MULTIPLE_POSITIONS")
