"""What a client sends over REST: bodies and queries, as strict types.

A decimal stays a text here; only the exchange knows the symbol's tick and step. An unknown field is ignored, a wrong
type is refused with the field's name.
"""

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from tickwire.wire.errors import ApiError, explain
from tickwire.wire.rows import Decimal, ExecType, MarginType, OrderType, Side, TimeInForce, Timestamp, TradeModeName

__all__ = [
    "AmendOrderRequest",
    "BalanceQuery",
    "CancelOrderRequest",
    "ExecutionHistoryQuery",
    "KlineQuery",
    "LeverageRequest",
    "MarginQuery",
    "MarginRequest",
    "NoQuery",
    "OrderHistoryQuery",
    "OrderRequest",
    "OrderbookQuery",
    "SymbolQuery",
    "TradeModeRequest",
    "decode_body",
    "decode_query",
]

COUNTERPARTY_1 = "PRICE_MATCH_STRATEGY_COUNTERPARTY_1"
# Large enough for every request of the contract many times over.
MAX_BODY_BYTES = 64 * 1024
# JSON this deep has no place in a flat body; the decoder recurses, so the depth is bounded before it starts.
MAX_BODY_DEPTH = 32

T = TypeVar("T")


class Request(msgspec.Struct, rename="camel", kw_only=True):
    """Base of all requests: snake case here, camel case on the wire."""


class NoQuery(Request):
    """An endpoint without parameters."""


class SymbolQuery(Request):
    """``?symbol=``; without it, all symbols."""

    symbol: str | None = None


class KlineQuery(Request):
    """Candles of one symbol; both bounds are inclusive."""

    symbol: str
    interval: str
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    limit: Annotated[int, Meta(ge=100, le=1000)] = 100


class OrderbookQuery(Request):
    """``limit`` levels a side."""

    symbol: str
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class MarginQuery(Request):
    """``?currency=``; without it, every margin currency."""

    currency: str | None = None


class BalanceQuery(Request):
    """``?asset=``; without it, every asset."""

    asset: str | None = None


class OrderHistoryQuery(Request):
    """A page of history. ``after`` gives what is older than that order id, ``before`` what is newer."""

    product_type: Literal["SPOT", "PERPETUAL"] | None = None
    symbol: str | None = None
    count: Annotated[int, Meta(ge=1, le=1000)] = 64
    before: str | None = None
    after: str | None = None
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None


class ExecutionHistoryQuery(OrderHistoryQuery):
    """A page of executions; the cursors are order ids too."""

    order_id: str | None = None
    exec_type: ExecType | None = None


class TradeModeRequest(Request):
    """``PUT /account/trade-mode``."""

    trade_mode: TradeModeName


class OrderRequest(Request):
    """``POST /trade/order``. Exactly one of ``quantity`` (base) and ``amount`` (quote)."""

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal | None = None
    amount: Decimal | None = None
    price: Annotated[
        Decimal | None, Meta(description="The limit of a LIMIT order, the trigger of a STOP_MARKET order.")
    ] = None
    price_match_strategy: Literal["PRICE_MATCH_STRATEGY_COUNTERPARTY_1"] | None = None
    reduce_only: bool | None = None
    max_slippage_price: Annotated[Decimal | None, Meta(description="The worst price a fill may have.")] = None
    time_in_force: TimeInForce | None = None


class AmendOrderRequest(Request):
    """``PUT /trade/order``; null or absent leaves a price as it is."""

    symbol: str
    order_id: str
    new_take_profit_price: Decimal | None = None
    new_stop_loss_price: Decimal | None = None


class CancelOrderRequest(Request):
    """``DELETE /trade/order``, in the body."""

    symbol: str
    order_id: str


class LeverageRequest(Request):
    """``POST /trade/leverage``."""

    symbol: str
    leverage: int
    margin_type: MarginType


class MarginRequest(Request):
    """``POST /trade/margin``: ``type`` 1 adds, 2 takes out."""

    symbol: str
    amount: Decimal
    type: Literal[1, 2]


def decode_body(body: bytes, type: type[T]) -> T:
    """Read a JSON body. Raises ``ApiError`` InvalidParameter that names the field."""
    if len(body) > MAX_BODY_BYTES:
        raise ApiError("InvalidParameter", f"body: expected at most {MAX_BODY_BYTES} bytes, got {len(body)}")
    if not body:
        raise ApiError("InvalidParameter", "body: expected a JSON object, got nothing")
    if body.count(b"{") + body.count(b"[") > MAX_BODY_DEPTH:
        raise ApiError("InvalidParameter", f"body: expected a flat JSON object, got more than {MAX_BODY_DEPTH} levels")
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        raise ApiError("InvalidParameter", explain(error, "body")) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        raise ApiError("InvalidParameter", f"body: expected a JSON object: {error}"[:200]) from None


def decode_query(parameters: dict[str, str], type: type[T]) -> T:
    """Read query parameters. Raises ``ApiError`` InvalidParameter that names the field."""
    try:
        return msgspec.convert(parameters, type=type, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError("InvalidParameter", explain(error, "query")) from None
