"""What one command did: the input of everything that shows the exchange to a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tickwire.wire.errors import ApiError

if TYPE_CHECKING:
    from tickwire.exchange.accounts import Account
    from tickwire.exchange.book import Order
    from tickwire.exchange.candles import Candle
    from tickwire.exchange.executions import ExecutionEvent, FundingEvent
    from tickwire.exchange.markets import Market

__all__ = ["Change", "Events"]


class Change:
    """What changed in a market, as bits. Plain integers: an enumeration's operators would be a fifth of the engine."""

    BOOK: Final = 1
    TRADE: Final = 2
    PRICE: Final = 4  # index, mark
    FUNDING: Final = 8
    CANDLE: Final = 16  # a candle closed


class Events:
    """The outcome of one command. A refused one has ``error`` set and changed nothing but the time."""

    __slots__ = (
        "accounts",
        "closed",
        "error",
        "executions",
        "fresh",
        "markets",
        "order",
        "sequence",
        "time",
        "weakened",
    )

    def __init__(self, time: int, sequence: int) -> None:
        self.time = time
        self.sequence = sequence
        self.error: ApiError | None = None
        self.order: Order | None = None  # placed or amended
        self.executions: list[ExecutionEvent | FundingEvent] = []
        # Accounts whose own doing or fills changed them, and markets by what changed, in order of first change.
        self.accounts: dict[Account, None] = {}
        self.markets: dict[Market, int] = {}
        self.fresh: dict[Market, int] = {}  # of these, what the engine has not yet drawn the consequences of
        # Accounts whose margin may hold less than before for another reason than the mark.
        self.weakened: dict[Account, None] = {}
        self.closed: list[tuple[Market, str, Candle]] = []

    def mark(self, market: Market, change: int) -> None:
        """Note a change of a market."""
        self.markets[market] = self.markets.get(market, 0) | change
        self.fresh[market] = self.fresh.get(market, 0) | change
