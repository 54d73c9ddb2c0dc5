"""One market: an instrument with its book, prices, candles and what waits for a price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickwire.exchange.alarms import AlarmQueue
from tickwire.exchange.book import OrderBook
from tickwire.exchange.candles import Candles
from tickwire.exchange.conditionals import TriggerQueue
from tickwire.exchange.instruments import Instrument
from tickwire.exchange.prices import PriceState

if TYPE_CHECKING:
    from tickwire.exchange.accounts import Account

__all__ = ["Market"]


class Market:
    """The state of one symbol."""

    __slots__ = (
        "alarms", "book", "candles", "holders", "instrument", "last_price", "multiplier", "open_interest", "perpetual",
        "prices", "symbol", "triggers", "valuation_price",
    )  # fmt: skip

    def __init__(self, instrument: Instrument, candle_retention: int) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self.perpetual = instrument.perpetual
        self.multiplier = instrument.multiplier
        self.book = OrderBook()
        self.candles = Candles(candle_retention)
        self.prices = PriceState(instrument)
        self.triggers = TriggerQueue()
        self.alarms = AlarmQueue()
        self.last_price: int | None = None
        # What positions are valued at: the mark, without venues the last trade. Kept, as every margin check reads it.
        self.valuation_price: int | None = None
        self.open_interest = 0  # steps held long
        self.holders: dict[str, Account] = {}  # accounts with a position here

    @property
    def mark_price(self) -> int | None:
        """Ticks; ``None`` for spot and before the first index price."""
        return self.prices.mark

    @property
    def index_price(self) -> int | None:
        """Ticks; ``None`` for spot and before the first venue price."""
        return self.prices.index

    def update_mark(self, time: int) -> bool:
        """Compute the mark price at ``time`` (ns); whether it changed."""
        changed = self.prices.update_mark(time, self.last_price)
        if changed:
            self.revalue()
        return changed

    def set_last_price(self, price: int | None) -> None:
        """Take the price (ticks) of the newest trade."""
        self.last_price = price
        self.revalue()

    def revalue(self) -> None:
        """Bring ``valuation_price`` up to date, after the mark or the last price has changed."""
        mark = self.prices.mark
        self.valuation_price = self.last_price if mark is None else mark
