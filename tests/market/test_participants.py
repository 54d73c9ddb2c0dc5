import math
from collections import Counter
from random import Random

import pytest
from tests.market.harness import BTC, NOW, default_instruments, mean

from tickwire.exchange.accounts import Account
from tickwire.exchange.commands import CancelOrder, Command, CreateAccount, Deposit, PlaceOrder
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.instruments import MONEY_UNIT
from tickwire.market.participants import Arbitrageur, MomentumTrader, NoiseTrader, Taker, order_size
from tickwire.market.process import MeanReverting, PriceProcess
from tickwire.market.profiles import assets_of
from tickwire.market.view import Clock, MarketView
from tickwire.wire.intervals import SECOND

INSTRUMENTS = {BTC: default_instruments()[BTC]}
START = 749_371


class Room:
    """A book with one big order a side, and a fair value that the test sets."""

    def __init__(self) -> None:
        self.engine = Engine(INSTRUMENTS)
        self.commands: list[Command] = []
        self.process = PriceProcess(assets_of(INSTRUMENTS), Random(1))
        self.clock = Clock(self.process, NOW)
        self.market = self.engine.markets[BTC]
        basis = MeanReverting(Random(1), 0.0, 1.0)
        self.view = MarketView(self.market, self.door, Counter(), self.clock, INSTRUMENTS[BTC], None, basis)
        self.other = self.open("other")

    def open(self, name: str) -> Account:
        self.door(CreateAccount(name))
        self.door(Deposit(name, "USDT", 10**9 * MONEY_UNIT))
        return self.engine.accounts[name]

    def door(self, command: Command) -> Events:
        self.commands.append(command)
        return self.engine.apply(self.clock.time, command)

    def offer(self, side: int, price: int, notional: float) -> int:
        order = self.door(PlaceOrder("other", BTC, side, 1, self.view.steps(notional), price=price)).order
        assert order is not None
        return order.quantity

    def offer_both(self, ticks: int) -> None:
        """A million either side of a price, in place of what there was."""
        for order_id in list(self.other.orders):
            self.door(CancelOrder("other", BTC, order_id))
        self.offer(1, ticks - 1, 1_000_000)
        self.offer(-1, ticks + 1, 1_000_000)

    def wait(self, seconds: float) -> None:
        self.clock.time += int(seconds * SECOND)
        self.view.refresh()

    def set_fair(self, ticks: float) -> None:
        self.process.displacements["BTC"] = math.log(ticks / START)
        self.view.refresh()
        self.view.center = self.view.fair


@pytest.fixture
def room() -> Room:
    return Room()


def test_order_sizes_have_their_mean_and_a_fat_tail() -> None:
    random = Random(1)
    sizes = [order_size(random, 1_000.0) for _ in range(50_000)]
    assert mean(sizes) == pytest.approx(1_000.0, rel=0.05)
    assert sorted(sizes)[25_000] < 500
    assert max(sizes) > 20_000


def test_a_taker_trades_back_and_forth_within_its_bound(room: Room) -> None:
    taker = Taker(room.view, room.open("taker"), Random(2))
    exposures, pauses = [], []
    for _ in range(3_000):
        room.offer_both(START)
        pauses.append(taker.act())
        exposures.append(taker.exposure())
    bound = Taker.BOUND * room.view.profile.touch_notional
    assert max(exposures) < 1.5 * bound
    assert min(exposures) > -1.5 * bound
    assert min(exposures) < 0 < max(exposures)
    # The profile's rate, at the volatility of the view.
    assert 1 / mean(pauses) == pytest.approx(
        room.view.profile.trades_per_second * (0.4 + 0.6 * room.view.ratio), rel=0.1
    )


def test_takers_lean_towards_fair_value(room: Room) -> None:
    taker = Taker(room.view, room.open("taker"), Random(3))
    for fair, sign in ((START * 1.001, 1), (START * 0.999, -1)):
        room.set_fair(fair)
        start = taker.position()
        for _ in range(40):
            room.offer_both(START)
            taker.act()
        assert (taker.position() - start) * sign > 0


def test_a_momentum_trader_follows_a_move_and_leaves_after_it(room: Room) -> None:
    trader = MomentumTrader(room.view, room.open("momentum"), Random(4))
    positions = []
    for second in range(120):
        room.offer_both(START + min(second, 40) * 40)
        room.wait(1.0)
        trader.act()
        positions.append(trader.position())
    assert max(positions) > 0
    assert min(positions) == 0
    assert trader.exposure() < 2 * MomentumTrader.BOUND * room.view.profile.touch_notional
    assert positions[-1] == 0
    assert room.view.counters["refused.MinNotional"] == 0


def test_a_noise_trader_takes_its_orders_back(room: Room) -> None:
    noise = NoiseTrader(room.view, room.open("noise"), Random(5))
    most = 0
    seen: dict[int, int] = {}
    for _ in range(300):
        room.offer_both(START)
        room.wait(1.0)
        noise.act()
        most = max(most, len(noise.account.orders))
        for order_id in noise.account.orders:
            seen.setdefault(order_id, room.clock.time)
    assert 2 < most <= NoiseTrader.OPEN_ORDERS
    assert len(seen) > 3 * NoiseTrader.OPEN_ORDERS
    oldest = min(seen[order_id] for order_id in noise.account.orders)
    assert room.clock.time - oldest < 10 * NoiseTrader.LIFETIME * SECOND
    assert room.view.counters["cancels"] > 0


def test_an_arbitrageur_takes_what_is_mispriced_and_no_more(room: Room) -> None:
    arbitrageur = Arbitrageur(room.view, room.open("arbitrage"), Random(6))
    cheap = room.offer(-1, START - 100, 30_000)
    room.offer(-1, START + 1, 1_000_000)
    room.set_fair(START + 0.5)
    arbitrageur.clear()
    assert arbitrageur.position() == cheap
    assert room.market.book.best_ask == START + 1


def test_an_arbitrageur_takes_bites_up_to_its_bound(room: Room) -> None:
    arbitrageur = Arbitrageur(room.view, room.open("arbitrage"), Random(7))
    bite = Arbitrageur.BITE * room.view.profile.touch_notional
    for _ in range(3):
        room.offer(1, START + 1_000, 15_000_000)
    room.set_fair(START)
    arbitrageur.clear()
    assert -arbitrageur.exposure() == pytest.approx(bite, rel=0.01)
    exposures = []
    for _ in range(150):
        arbitrageur.clear()
        exposures.append(-arbitrageur.exposure())
    bound = Arbitrageur.BOUND * room.view.profile.depth_notional
    assert max(exposures) == pytest.approx(bound, rel=0.02)


def test_an_arbitrageur_trades_away_what_it_has_gathered(room: Room) -> None:
    arbitrageur = Arbitrageur(room.view, room.open("arbitrage"), Random(8))
    room.offer(1, START + 1_000, 150_000)
    room.set_fair(START)
    arbitrageur.clear()
    gathered = arbitrageur.exposure()
    assert gathered < -100_000
    for _ in range(2_000):
        room.offer_both(START)
        arbitrageur.clear()
    assert abs(arbitrageur.exposure()) < abs(gathered) / 2
