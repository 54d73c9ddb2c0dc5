"""What a client sends over REST: bodies and queries, as strict types.

A decimal stays a text here; only the exchange knows the symbol's tick and step. An unknown field is ignored, a wrong
type is refused with the field's name.
"""

import functools
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, inspect

from tickwire.wire.errors import ApiError, explain
from tickwire.wire.intervals import INTERVALS
from tickwire.wire.rows import (
    ExecType,
    MarginType,
    OrderType,
    Side,
    TimeInForce,
    Timestamp,
    TradeModeName,
    Uuid,
)
from tickwire.wire.topics import SYMBOL_PATTERN

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

# Documented forms; what is checked, and with which code an error comes, is up to the exchange.
PositiveDecimal = Annotated[
    str,
    Meta(
        extra_json_schema={"pattern": r"^[0-9]+(\.[0-9]+)?$", "maxLength": 40, "format": "decimal", "examples": ["0.1"]}
    ),
]
Interval = Annotated[str, Meta(extra_json_schema={"enum": list(INTERVALS)})]
Symbol = Annotated[str, Meta(extra_json_schema={"pattern": SYMBOL_PATTERN, "examples": ["BTCUSDT.PERP"]})]


class Request(msgspec.Struct, rename="camel", kw_only=True):
    """Base of all requests: snake case here, camel case on the wire."""


R = TypeVar("R", bound=Request)


class NoQuery(Request):
    """An endpoint without parameters."""


class SymbolQuery(Request):
    """``?symbol=``; without it, all symbols."""

    symbol: Annotated[Symbol | None, Meta(description="Without it, all symbols.")] = None


class KlineQuery(Request):
    """Candles of one symbol; both bounds are inclusive."""

    symbol: Symbol
    interval: Annotated[Interval, Meta(description="Minutes, or 1D, 1W, 1M.")]
    start_time: Annotated[
        Timestamp | None, Meta(description="Candles that start here or later, in ns since the epoch.")
    ] = None
    end_time: Annotated[
        Timestamp | None, Meta(description="Candles that start here or earlier, in ns since the epoch.")
    ] = None
    limit: Annotated[int, Meta(ge=100, le=1000)] = 100


class OrderbookQuery(Request):
    """``limit`` levels a side."""

    symbol: Symbol
    limit: Annotated[int, Meta(ge=1, le=1000, description="Levels a side.")] = 100


class MarginQuery(Request):
    """``?currency=``; without it, every margin currency."""

    currency: Annotated[str | None, Meta(description="Without it, every margin currency.")] = None


class BalanceQuery(Request):
    """``?asset=``; without it, every asset."""

    asset: Annotated[str | None, Meta(description="Without it, every asset.")] = None


class OrderHistoryQuery(Request):
    """A page of history. ``after`` gives what is older than that order id, ``before`` what is newer."""

    product_type: Literal["SPOT", "PERPETUAL"] | None = None
    symbol: Symbol | None = None
    count: Annotated[int, Meta(ge=1, le=1000, description="Rows a page.")] = 64
    before: Annotated[Uuid | None, Meta(description="An order id: what is newer.")] = None
    after: Annotated[Uuid | None, Meta(description="An order id: what is older.")] = None
    start_time: Annotated[Timestamp | None, Meta(description="From here on, in ns since the epoch.")] = None
    end_time: Annotated[Timestamp | None, Meta(description="Up to here, in ns since the epoch.")] = None


class ExecutionHistoryQuery(OrderHistoryQuery):
    """A page of executions; the cursors are order ids too."""

    order_id: Annotated[Uuid | None, Meta(description="Executions of this order.")] = None
    exec_type: ExecType | None = None


class TradeModeRequest(Request):
    """``PUT /account/trade-mode``."""

    trade_mode: TradeModeName


class OrderRequest(Request):
    """``POST /trade/order``. Exactly one of ``quantity`` (base) and ``amount`` (quote)."""

    symbol: Symbol
    side: Side
    type: OrderType
    quantity: Annotated[PositiveDecimal | None, Meta(description="Base quantity, a multiple of unitOrderQty.")] = None
    amount: Annotated[PositiveDecimal | None, Meta(description="Quote notional, instead of a quantity.")] = None
    price: Annotated[
        PositiveDecimal | None, Meta(description="The limit of a LIMIT order, the trigger of a STOP_MARKET order.")
    ] = None
    price_match_strategy: Annotated[
        Literal["PRICE_MATCH_STRATEGY_COUNTERPARTY_1"] | None,
        Meta(description="A LIMIT order at the opposite best price, instead of a price."),
    ] = None
    reduce_only: Annotated[bool | None, Meta(description="Never opens, increases or flips a position.")] = None
    max_slippage_price: Annotated[PositiveDecimal | None, Meta(description="The worst price a fill may have.")] = None
    time_in_force: Annotated[TimeInForce | None, Meta(description="With LIMIT only; GTC when left out.")] = None


class AmendOrderRequest(Request):
    """``PUT /trade/order``; null or absent leaves a price as it is."""

    symbol: Symbol
    order_id: Uuid
    new_take_profit_price: Annotated[
        PositiveDecimal | None, Meta(description="Mid price at which the position is closed with profit.")
    ] = None
    new_stop_loss_price: Annotated[
        PositiveDecimal | None, Meta(description="Mid price at which the position is closed with loss.")
    ] = None


class CancelOrderRequest(Request):
    """``DELETE /trade/order``, in the body."""

    symbol: Symbol
    order_id: Uuid


class LeverageRequest(Request):
    """``POST /trade/leverage``."""

    symbol: Symbol
    leverage: Annotated[int, Meta(description="1 up to the contract's maxLeverage.")]
    margin_type: MarginType


class MarginRequest(Request):
    """``POST /trade/margin``: ``type`` 1 adds, 2 takes out."""

    symbol: Symbol
    amount: Annotated[PositiveDecimal, Meta(description="More than zero, in the quote currency.")]
    type: Annotated[Literal[1, 2], Meta(description="1 adds, 2 takes out.")]


@functools.cache
def _choices(type: type) -> dict[str, str]:
    """The fields of a request that take a few given values only, with those values."""
    found: dict[str, str] = {}
    info = inspect.type_info(type)
    for field in info.fields if isinstance(info, inspect.StructType) else ():
        parts: list[inspect.Type] = [field.type]
        while parts:
            part = parts.pop()
            if isinstance(part, inspect.Metadata):
                parts.append(part.type)
            elif isinstance(part, inspect.UnionType):
                parts.extend(part.types)
            elif isinstance(part, inspect.LiteralType):
                found[field.encode_name] = ", ".join(str(value) for value in part.values)
    return found


def _refusal(error: msgspec.ValidationError, type: type, whole: str) -> ApiError:
    """A decoder's complaint that names the field; the values that an enumeration takes are added to it."""
    message = explain(error, whole)
    field, _, got = message.partition(": invalid enum value ")
    if got and field in _choices(type):
        message = f"{field}: expected one of {_choices(type)[field]}, got {got[:80]}"
    return ApiError("InvalidParameter", message)


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
        raise _refusal(error, type, "body") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        raise ApiError("InvalidParameter", f"body: expected a JSON object: {error}"[:200]) from None


def decode_query(parameters: dict[str, str], type: type[R]) -> R:
    """Read query parameters. Raises ``ApiError`` InvalidParameter that names the field."""
    try:
        query = msgspec.convert(parameters, type=type, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(error, type, "query") from None
    # Texts are read as what they stand for, and "null" would stand for a parameter that was not sent.
    for attribute, name in zip(type.__struct_fields__, type.__struct_encode_fields__, strict=True):
        if name in parameters and getattr(query, attribute) is None:
            expected = f"one of {_choices(type)[name]}" if name in _choices(type) else "a value"
            raise ApiError("InvalidParameter", f"{name}: expected {expected}, got {parameters[name]!r}")
    return query
