"""Commands: everything that can change the exchange, in the engine's own integers.

Prices are counts of the instrument's tick, quantities counts of its step, money counts of ``10 ** -8`` of the asset.
A command is journalled as it is applied; its encoding is part of the data directory's format, so tags are never
reused and fields are only ever added at the end, with a default.
"""

from typing import Final

import msgspec

__all__ = [
    "AdjustMargin",
    "AmendOrder",
    "BackfillCandles",
    "CancelAll",
    "CancelOrder",
    "Command",
    "CreateAccount",
    "Deposit",
    "OrderType",
    "PlaceOrder",
    "SetLeverage",
    "SetTradeMode",
    "Side",
    "Tick",
    "TimeInForce",
    "VenuePrices",
]


# Plain integers, not enumerations: these are compared several times for every command.


class Side:
    """Also the sign of what a fill adds to a position."""

    BUY: Final = 1
    SELL: Final = -1


class OrderType:
    """As on the wire."""

    LIMIT: Final = 1
    MARKET: Final = 2
    STOP_MARKET: Final = 3


class TimeInForce:
    """As on the wire."""

    GTC: Final = 1
    IOC: Final = 2
    FOK: Final = 3


class CreateAccount(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=1):
    """Open an account, empty. Known already: nothing happens.

    ``house`` marks a simulated participant: it trades like anyone, but no history of its orders is kept.
    """

    account: str
    house: bool = False


class Deposit(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=2):
    """Add ``amount`` (10**-8 of the asset) to a wallet, or take it out when negative."""

    account: str
    asset: str
    amount: int


class PlaceOrder(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=3):
    """A new order. Exactly one of ``quantity`` (steps) and ``amount`` (quote money) is set.

    ``price`` is the limit of a LIMIT order; ``trigger_price`` belongs to STOP_MARKET; ``match_counterparty`` makes a
    LIMIT order take the opposite best as its price; ``max_slippage_price`` is the worst price a fill may have.
    """

    account: str
    symbol: str
    side: int
    type: int
    quantity: int | None = None
    amount: int | None = None
    price: int | None = None
    trigger_price: int | None = None
    time_in_force: int = TimeInForce.GTC
    reduce_only: bool = False
    max_slippage_price: int | None = None
    match_counterparty: bool = False


class CancelOrder(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=4):
    """Cancel one open order."""

    account: str
    symbol: str
    order_id: int


class CancelAll(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=5):
    """Cancel every open order of an account, in one symbol or in all."""

    account: str
    symbol: str | None = None


class AmendOrder(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=6):
    """Set take-profit and stop-loss prices (ticks); ``None`` leaves one as it is."""

    account: str
    symbol: str
    order_id: int
    take_profit_price: int | None = None
    stop_loss_price: int | None = None


class SetLeverage(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=7):
    """Set leverage and margin type of one symbol."""

    account: str
    symbol: str
    leverage: int
    isolated: bool


class AdjustMargin(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=8):
    """Move ``amount`` (money) from the wallet to an isolated position, or back when negative."""

    account: str
    symbol: str
    amount: int


class SetTradeMode(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=9):
    """Choose ONE_WAY or MULTIPLE_POSITIONS (in which orders are refused)."""

    account: str
    multiple_positions: bool


class VenuePrices(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=10):
    """Last prices (ticks) of the index venues, by venue number; ``None`` where a venue has nothing new."""

    symbol: str
    prices: tuple[int | None, ...]


class Tick(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=11):
    """Time passes: candles close, funding is paid, merged pushes go out."""


class BackfillCandles(msgspec.Struct, frozen=True, array_like=True, tag_field="command", tag=12):
    """Past candles of one series, oldest first, before the first live trade: accepted while the series is empty.

    A row is ``(start ns, open, high, low, close in ticks, volume in steps, turnover in money)``. The newest row may
    be of the candle that is still open; it then counts all up to now, the open minute included. Minutes come first.
    """

    symbol: str
    interval: str
    rows: tuple[tuple[int, int, int, int, int, int, int], ...]


Command = (
    CreateAccount
    | Deposit
    | PlaceOrder
    | CancelOrder
    | CancelAll
    | AmendOrder
    | SetLeverage
    | AdjustMargin
    | SetTradeMode
    | VenuePrices
    | Tick
    | BackfillCandles
)
