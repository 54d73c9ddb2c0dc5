"""The simulated market: venues and participants of all symbols, driven by a clock from outside.

Sans-I/O: ``start`` and ``step`` are told the time, send commands through a door and say when the next one is due.
With the same seed, engine state and sequence of times the commands are the same. Every event is scheduled from the time
at which the one before it ran, so after a stall the market goes on from there instead of making up for it.
"""

import math
from collections import Counter
from collections.abc import Mapping
from heapq import heapify, heapreplace
from random import Random
from typing import Protocol

from tickwire.exchange.commands import VenuePrices
from tickwire.exchange.engine import Engine
from tickwire.exchange.instruments import Instrument
from tickwire.exchange.markets import Market
from tickwire.market.desk import Desk
from tickwire.market.history import BASIS_DEVIATION, BASIS_SECONDS
from tickwire.market.house import House
from tickwire.market.makers import DeepMaker, TightMaker
from tickwire.market.participants import Arbitrageur, MomentumTrader, NoiseTrader, Taker
from tickwire.market.process import MAX_DISPLACEMENT, MeanReverting, PriceProcess
from tickwire.market.profiles import anchor_of, assets_of, driver_of, endowment, simulated, start_price
from tickwire.market.view import Clock, Door, MarketView
from tickwire.wire.intervals import SECOND

__all__ = ["MarketSimulation"]

# Venues send this often, in seconds: the index leaves out one that is silent for half a second.
VENUE_PAUSE = (0.20, 0.38)
VENUE_DEVIATION = 0.000_02
VENUE_SECONDS = 5.0

# A basis found at the start is at most this: what is left of a user's push is not to be kept alive.
MAX_START_BASIS = 0.005


class _Actor(Protocol):
    def act(self) -> float: ...


class _Venues:
    """The venues of the index: each has the asset's price, a little off."""

    def __init__(self, views: list[MarketView], count: int, random: Random, door: Door) -> None:
        self._random = random
        self._door = door
        self._offsets = [
            (view, [MeanReverting(random, VENUE_DEVIATION, VENUE_SECONDS) for _ in range(count)]) for view in views
        ]
        self._pause = 0.0

    def act(self) -> float:
        """Send all prices of all perpetuals."""
        for view, offsets in self._offsets:
            view.refresh()
            prices = tuple([max(1, round(view.index * (1 + offset.advance(self._pause)))) for offset in offsets])
            self._door(VenuePrices(view.instrument.symbol, prices))
        self._pause = self._random.uniform(*VENUE_PAUSE)
        return self._pause


class MarketSimulation:
    """All that is simulated. ``counters`` counts orders, cancels and, by code, refusals."""

    def __init__(self, instruments: Mapping[str, Instrument], seed: int, venues: int = 5) -> None:
        self.counters: Counter[str] = Counter()
        self._instruments = simulated(instruments)
        self._seed = seed
        self._venues = venues
        self._clock = Clock(PriceProcess({}, Random(0)), 0)
        # (when it is due, its number, the view to bring up to date before it, who acts); the number settles ties.
        self._queue: list[tuple[int, int, MarketView | None, _Actor]] = []

    def start(self, engine: Engine, now: int, door: Door) -> int:
        """Open and fund the accounts, send the first prices and quotes; returns when ``step`` is due (ns).

        An exchange that has prices already goes on from these; what an earlier run left in the books is cancelled.
        """
        # Another start goes on with other random numbers, not with the same ones again.
        seed = f"{self._seed}/{engine.sequence}"
        process = PriceProcess(assets_of(self._instruments), Random(f"{seed}/process"))
        process.displacements.update(self._displacements(engine))
        clock = self._clock = Clock(process, now)
        views: dict[str, MarketView] = {}
        house = House(engine, door)
        actors: list[tuple[MarketView | None, _Actor]] = []
        desks: list[Desk] = []
        for symbol, instrument in self._instruments.items():
            market = engine.markets[symbol]
            driver = driver_of(instrument, self._instruments)
            leader = views.get(driver.symbol)
            random = Random(f"{seed}/{symbol}")
            basis = MeanReverting(random, BASIS_DEVIATION, BASIS_SECONDS, _basis(market, driver, process, leader))
            view = views[symbol] = MarketView(market, door, self.counters, clock, driver, leader, basis)
            if not instrument.trading:
                continue  # it has prices, but nobody may send orders
            base = endowment(instrument)
            tight = TightMaker(view, house.open("maker", symbol), random, base)
            deep = DeepMaker(view, house.open("depth", symbol), random, base)
            arbitrageur = Arbitrageur(view, house.open("arbitrage", symbol), random, base)
            taker = Taker(view, house.open("taker", symbol), random, base)
            momentum = MomentumTrader(view, house.open("momentum", symbol), random, base)
            noise = NoiseTrader(view, house.open("noise", symbol), random, base)
            for member in (tight, deep, arbitrageur, taker, momentum, noise):
                house.admit(member)
            desks.append(Desk(view, tight, deep, arbitrageur, random))
            actors += [(view, desks[-1]), (view, taker), (view, momentum), (view, noise)]
        random = Random(f"{seed}/venues")
        perpetuals = [view for view in views.values() if view.instrument.perpetual]
        venues = _Venues(perpetuals, self._venues, random, door)
        venues.act()
        for desk in desks:
            desk.act()
        self._queue = [
            (now + int(random.uniform(0.1, 1.0) * SECOND), number, *actor) for number, actor in enumerate(actors)
        ]
        self._queue += [
            (now + int(VENUE_PAUSE[0] * SECOND), len(actors), None, venues),
            (now + SECOND, len(actors) + 1, None, house),
        ]
        heapify(self._queue)
        return self._queue[0][0]

    def step(self, now: int) -> int:
        """Run what is due at ``now``; returns when to call again (ns). To be called after ``start``."""
        queue = self._queue
        while queue[0][0] <= now:
            _, number, view, actor = queue[0]
            self._clock.advance(now)
            if view is not None:
                view.refresh()
            # Every pause is positive, so nobody runs twice in a step.
            heapreplace(queue, (now + max(1, int(actor.act() * SECOND)), number, view, actor))
        return queue[0][0]

    def _displacements(self, engine: Engine) -> dict[str, float]:
        """How far each asset is from where it began, by the prices that the exchange has."""
        found: dict[str, float] = {}
        for instrument in self._instruments.values():
            driver = driver_of(instrument, self._instruments)
            market = engine.markets[driver.symbol]
            price = market.index_price or market.last_price
            if price is not None:
                displacement = math.log(price / start_price(driver))
                found.setdefault(driver.base, max(-MAX_DISPLACEMENT, min(MAX_DISPLACEMENT, displacement)))
        return found


def _basis(market: Market, driver: Instrument, process: PriceProcess, leader: MarketView | None) -> float:
    """The log of a market's last price over what its asset, or the market it follows, would make it."""
    instrument = market.instrument
    price = market.last_price or start_price(instrument)
    usual = anchor_of(driver, instrument) * math.exp(process.displacements[driver.base])
    basis = math.log(price / usual) - (0.0 if leader is None else leader.basis.value)
    return max(-MAX_START_BASIS, min(MAX_START_BASIS, basis))
