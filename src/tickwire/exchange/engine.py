"""The engine: takes commands in order, is the only place where state changes.

Time comes with the commands. At each full second that has passed the engine samples the basis, renews marks, closes
candles and, when it is due, pays funding, before the command itself is looked at; so it makes no difference which
command happens to be the first of a second.
"""

from collections.abc import Callable
from typing import Any

from tickwire.exchange.account_settings import adjust_margin, deposit, set_leverage, set_trade_mode
from tickwire.exchange.book import Order
from tickwire.exchange.commands import (
    AdjustMargin,
    AmendOrder,
    BackfillCandles,
    CancelAll,
    CancelOrder,
    Command,
    CreateAccount,
    Deposit,
    PlaceOrder,
    SetLeverage,
    SetTradeMode,
    Tick,
    VenuePrices,
)
from tickwire.exchange.deleveraging import unwind
from tickwire.exchange.events import Change, Events
from tickwire.exchange.fees import begin_days
from tickwire.exchange.funding import pay_funding
from tickwire.exchange.instruments import Instrument
from tickwire.exchange.liquidation import check_marks, check_weakened, watch_all
from tickwire.exchange.markets import Market
from tickwire.exchange.orders import amend_order, cancel_all, cancel_order, fire_triggers, place_order
from tickwire.exchange.settings import EngineSettings
from tickwire.exchange.snapshot import dump_state, load_state
from tickwire.exchange.state import State
from tickwire.wire.errors import ApiError
from tickwire.wire.intervals import DAY, MINUTE, SECOND

__all__ = ["Engine"]


class Engine(State):
    """The exchange as a state machine."""

    def __init__(self, instruments: dict[str, Instrument], settings: EngineSettings | None = None) -> None:
        super().__init__(instruments, settings or EngineSettings())

    def dump(self) -> bytes:
        """The whole state, canonically: the same state gives the same bytes."""
        return dump_state(self)

    @classmethod
    def load(cls, instruments: dict[str, Instrument], settings: EngineSettings | None, data: bytes) -> "Engine":
        """An engine that goes on from ``dump``'s bytes. Raises ``SnapshotError``."""
        engine = cls(instruments, settings)
        load_state(engine, data)
        watch_all(engine)
        return engine

    def apply(self, time: int, command: Command) -> Events:
        """Apply one command at ``time`` (ns; never before the last command's).

        A refused command is reported in ``error`` of the events and changes nothing but the time.
        """
        for market in self.events.markets:
            market.book.bids.changed.clear()
            market.book.asks.changed.clear()
        if time < self.time:
            time = self.time
        self.time = time
        self.sequence += 1
        events = self.events = Events(time, self.sequence)
        if time >= self.next_second:
            self._advance(time)
        try:
            events.order = _HANDLERS[type(command)](self, command)
        except ApiError as error:
            events.error = error
        if events.markets or events.weakened:
            self._after_changes(events)
        return events

    def _after_changes(self, events: Events) -> None:
        """Triggers, marks and liquidations that follow from what the command changed.

        They change more in turn, in this market or (in cross margin) in another, so this goes on until nothing is new.
        """
        fresh = events.fresh
        while fresh or events.weakened:
            if not fresh:
                check_weakened(self)
                continue
            market, change = fresh.popitem()
            if change & Change.BOOK and market.triggers:
                fire_triggers(self, market)
            if not change & (Change.TRADE | Change.PRICE) or not market.instrument.perpetual:
                continue
            if market.update_mark(self.time):
                events.mark(market, Change.PRICE)  # comes round once more, with the new mark
            elif change & Change.PRICE:
                check_marks(self, market)
            elif market.mark_price is None:
                # Without an index positions are valued at the last trade.
                events.markets[market] |= Change.PRICE
                check_marks(self, market)
        for market, change in events.markets.items():
            if change & Change.BOOK and (market.book.bids.changed or market.book.asks.changed):
                market.book.sequence += 1

    def _advance(self, time: int) -> None:
        """What happens with the passing of seconds."""
        second = time - time % SECOND
        events = self.events
        days = second // DAY - (self.next_second - SECOND) // DAY
        if days and self.next_second:
            begin_days(self, days)
        new_minute = second // MINUTE != (self.next_second - SECOND) // MINUTE
        self.next_second = second + SECOND
        for market in self.markets.values():
            closing = market.candles.next_close
            if closing is not None and time >= closing:
                for interval, candle in market.candles.advance(time):
                    events.closed.append((market, interval, candle))
                events.mark(market, Change.CANDLE)
            if not market.instrument.perpetual:
                continue
            prices = market.prices
            prices.sample_basis(market.book.double_mid)
            if market.update_mark(time):
                events.mark(market, Change.PRICE)
            if new_minute:
                self._sample_premium(market)
            if time >= prices.next_funding:
                if prices.next_funding:
                    pay_funding(self, market)
                    events.mark(market, Change.PRICE)
                else:
                    prices.schedule_funding(time)
            unwind(self, market)

    def _sample_premium(self, market: Market) -> None:
        before = market.prices.funding_rate
        market.prices.sample_premium(self._impact(market, -1), self._impact(market, 1))
        if market.prices.funding_rate != before:
            self.events.mark(market, Change.FUNDING)

    def _impact(self, market: Market, side: int) -> tuple[int, int] | None:
        """(cost in ticks, steps) of trading the impact notional now, or ``None`` when the book is too thin."""
        left = market.instrument.impact_notional
        cost = quantity = 0
        for level in market.book.side(-side):
            unit = level.price * market.multiplier
            taken = min(level.quantity, -(-left // unit))
            quantity += taken
            cost += taken * level.price
            left -= taken * unit
            if left <= 0:
                return cost, quantity
        return None

    # Handlers of single commands.

    def _tick(self, _: Tick) -> None:
        """Nothing of its own: ``apply`` has let the time pass."""

    def _venue_prices(self, command: VenuePrices) -> None:
        market = self.perpetual(command.symbol)
        if market.prices.set_venues(self.time, command.prices, self.settings.index_stop):
            self.events.mark(market, Change.PRICE)

    def _create_account(self, command: CreateAccount) -> None:
        if command.account not in self.accounts:
            self.events.accounts[self.open_account(command.account, command.house)] = None

    def _backfill(self, command: BackfillCandles) -> None:
        market = self.market(command.symbol)
        candles = market.candles
        series = candles.series.get(command.interval)
        if series is None or len(series) or (market.last_price is not None and command.interval == "1"):
            raise ApiError("InvalidParameter", "interval: expected an empty candle series")
        candles.backfill(command.interval, command.rows, self.time)
        if command.interval == "1" and candles.minute is not None:
            market.set_last_price(candles.minute.close)
        self.events.mark(market, Change.CANDLE)


# Those that place or amend an order give it back.
_HANDLERS: dict[type, Callable[[Engine, Any], Order | None]] = {
    PlaceOrder: place_order,
    CancelOrder: cancel_order,
    VenuePrices: Engine._venue_prices,
    Tick: Engine._tick,
    AmendOrder: amend_order,
    CancelAll: cancel_all,
    SetLeverage: set_leverage,
    AdjustMargin: adjust_margin,
    SetTradeMode: set_trade_mode,
    CreateAccount: Engine._create_account,
    Deposit: deposit,
    BackfillCandles: Engine._backfill,
}
