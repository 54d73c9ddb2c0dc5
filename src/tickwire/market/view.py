"""What the participants of one symbol share: its book, what it is worth, and the door through which orders go."""

import math
from collections import Counter
from collections.abc import Callable
from random import Random

from tickwire.exchange.accounts import Account
from tickwire.exchange.book import Order
from tickwire.exchange.commands import CancelOrder, Command, OrderType, PlaceOrder, TimeInForce
from tickwire.exchange.events import Events
from tickwire.exchange.instruments import MONEY_UNIT, RATE_UNIT, Instrument
from tickwire.exchange.markets import Market
from tickwire.market.process import YEAR_SECONDS, MeanReverting, PriceProcess
from tickwire.market.profiles import anchor_of, profile_of
from tickwire.wire.intervals import SECOND

__all__ = ["Clock", "Door", "MarketView", "Participant"]

# Prices catch up with at most this much of a stall, so that none has jumped when the market goes on.
MAX_STEP_SECONDS = 5.0
# The process is not asked again within this time: events come in clusters, and it costs as much as an order.
LEAST_STEP_SECONDS = 0.005

Door = Callable[[Command], Events]
"""Applies one command at once and returns what it did."""


class Clock:
    """The price process in live time."""

    __slots__ = ("_seen", "process", "time")

    def __init__(self, process: PriceProcess, now: int) -> None:
        self.process = process
        self.time = self._seen = now

    def advance(self, now: int) -> None:
        """Let it be ``now`` (ns)."""
        self.time = now
        seconds = (now - self._seen) / SECOND
        if seconds >= LEAST_STEP_SECONDS:
            self.process.advance(min(seconds, MAX_STEP_SECONDS))
            self._seen = now


class MarketView:
    """One symbol as its participants see it. Prices are in ticks, notionals in the quote currency.

    ``index`` is the price of the asset elsewhere, ``fair`` the same with this market's basis, ``center`` where the
    market makers quote around: fair value moved by ``push`` for what they hold. ``ratio`` is the present volatility
    over the usual, ``time`` when all this was seen.
    """

    __slots__ = (
        "_anchor", "_asset", "_clock", "_leader", "basis", "center", "counters", "door", "fair", "index", "instrument",
        "market", "profile", "push", "ratio", "slippage", "tick_speed", "time",
    )  # fmt: skip

    def __init__(
        self,
        market: Market,
        door: Door,
        counters: Counter[str],
        clock: Clock,
        driver: Instrument,
        leader: "MarketView | None",
        basis: MeanReverting,
    ) -> None:
        """``driver`` is whose asset moves the price; ``leader`` is its view where that is another market than this."""
        self.market = market
        self.instrument = instrument = market.instrument
        self.profile = profile_of(instrument)
        self.door = door
        self.counters = counters
        self.basis = basis
        self.push = 1.0
        self.time = clock.time
        self._clock = clock
        self._asset = driver.base
        self._anchor = anchor_of(driver, instrument)
        self._leader = leader
        self.slippage = instrument.max_slippage / RATE_UNIT
        self.index = self.fair = self.ratio = 0.0
        self.refresh()
        self.center = self.fair
        # How many ticks the price usually moves in a second: how often quotes have to follow.
        self.tick_speed = self.fair * profile_of(driver).annual_volatility / math.sqrt(YEAR_SECONDS)

    def refresh(self) -> None:
        """See everything as it is now."""
        process, leader = self._clock.process, self._leader
        displacement = process.displacements[self._asset]
        basis = self.basis.advance(min((self._clock.time - self.time) / SECOND, MAX_STEP_SECONDS))
        self.time = self._clock.time
        self.index = self._anchor * math.exp(displacement)
        if leader is None:
            self.fair = self._anchor * math.exp(displacement + basis)
        else:
            # It follows the other market, not the asset: where that one has been pushed to, this one goes too.
            self.fair = self._anchor * math.exp(displacement + leader.basis.value + basis) * leader.push
        self.ratio = process.ratios[self._asset]

    @property
    def mid(self) -> float:
        """The middle of the book; fair value while a side is empty."""
        double = self.market.book.double_mid
        return self.fair if double is None else double / 2

    def steps(self, notional: float) -> int:
        """A quantity worth ``notional``, within what the instrument takes as an order."""
        unit = self.fair * self.instrument.multiplier
        least = math.ceil(self.instrument.min_notional * 1.1 / unit)
        most = int(self.instrument.max_notional * 0.9 / unit)
        return max(1, least, min(most, int(notional * MONEY_UNIT / unit)))

    def notional(self, steps: int) -> float:
        """What a quantity is worth at fair value."""
        return steps * self.fair * self.instrument.multiplier / MONEY_UNIT


class Participant:
    """One simulated account in one symbol. It sends plain orders and sees what anybody sees, besides fair value."""

    def __init__(self, view: MarketView, account: Account, random: Random, endowment: int = 0) -> None:
        """``endowment`` is how much of a spot pair's base asset (steps) counts as holding nothing."""
        self.view = view
        self.account = account
        self.random = random
        self.endowment = endowment
        self.symbol = view.instrument.symbol

    def position(self) -> int:
        """What is held, in signed steps: the perpetual position, or the spot asset beyond the endowment."""
        instrument = self.view.instrument
        if instrument.perpetual:
            position = self.account.positions.get(self.symbol)
            return 0 if position is None else position.quantity
        held: int = self.account.wallets.get(instrument.base, 0) // instrument.step_money
        return held - self.endowment

    def exposure(self) -> float:
        """What is held, in the quote currency, signed."""
        return self.view.notional(self.position())

    def rest(self, side: int, quantity: int, price: int) -> int | None:
        """Place a limit order; its id when it rests now, ``None`` when it filled or was refused."""
        order = self.place(PlaceOrder(self.account.name, self.symbol, side, OrderType.LIMIT, quantity, price=price))
        return order.id if order is not None and order.id in self.account.orders else None

    def take(self, side: int, quantity: int, worst_price: int | None = None, reduce: bool = False) -> None:
        """Trade now: at any price within the slippage bound, or no worse than ``worst_price``.

        ``reduce`` may only reduce the position, where there is such a thing.
        """
        command = PlaceOrder(
            self.account.name,
            self.symbol,
            side,
            OrderType.MARKET if worst_price is None else OrderType.LIMIT,
            quantity,
            price=worst_price,
            time_in_force=TimeInForce.GTC if worst_price is None else TimeInForce.IOC,
            reduce_only=reduce and self.view.instrument.perpetual,
        )
        self.place(command)

    def place(self, command: PlaceOrder) -> Order | None:
        """Send an order; ``None`` when it was refused, which is counted."""
        counters = self.view.counters
        counters["orders"] += 1
        events = self.view.door(command)
        if events.error is not None:
            counters[f"refused.{events.error.code}"] += 1
            return None
        return events.order

    def cancel(self, order_id: int) -> None:
        """Cancel an own order if it is still open."""
        if order_id in self.account.orders:
            self.view.counters["cancels"] += 1
            self.view.door(CancelOrder(self.account.name, self.symbol, order_id))
