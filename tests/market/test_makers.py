import math
from collections import Counter
from random import Random

import pytest
from tests.market.harness import BTC, NOW, default_instruments

from tickwire.exchange.commands import CancelOrder, Command, CreateAccount, Deposit, PlaceOrder
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.instruments import MONEY_UNIT
from tickwire.market.makers import DEEP_LEVELS, DeepMaker, TightMaker
from tickwire.market.process import MeanReverting, PriceProcess
from tickwire.market.profiles import assets_of
from tickwire.market.view import Clock, MarketView

INSTRUMENTS = {BTC: default_instruments()[BTC]}
START = 749_371


class Room:
    """One book whose fair value the test sets."""

    def __init__(self) -> None:
        self.engine = Engine(INSTRUMENTS)
        self.commands: list[Command] = []
        self.process = PriceProcess(assets_of(INSTRUMENTS), Random(1))
        clock = Clock(self.process, NOW)
        market = self.engine.markets[BTC]
        basis = MeanReverting(Random(1), 0.0, 1.0)
        self.view = MarketView(market, self.door, Counter(), clock, INSTRUMENTS[BTC], None, basis)
        for name in ("tight", "deep", "user"):
            self.door(CreateAccount(name))
            self.door(Deposit(name, "USDT", 10**9 * MONEY_UNIT))
        self.tight = TightMaker(self.view, self.engine.accounts["tight"], Random(2))
        self.deep = DeepMaker(self.view, self.engine.accounts["deep"], Random(3))
        self.book = market.book

    def door(self, command: Command) -> Events:
        self.commands.append(command)
        return self.engine.apply(NOW, command)

    def quote(self, maker: TightMaker | DeepMaker, ticks: float) -> list[Command]:
        """A round of one maker at a fair value of so many ticks; what it sent."""
        self.process.displacements["BTC"] = math.log(ticks / START)
        self.view.refresh()
        self.view.center = self.view.fair
        self.commands.clear()
        maker.withdraw()
        maker.quote()
        return list(self.commands)

    def user_bid(self, price: int) -> None:
        assert self.door(PlaceOrder("user", BTC, 1, 1, 100_000, price=price)).error is None


@pytest.fixture
def room() -> Room:
    return Room()


def test_the_tight_maker_quotes_a_tick_or_two_around_fair_value(room: Room) -> None:
    for ticks in (START, START + 0.3, START + 0.5, START + 40.7, START - 39.2):
        room.quote(room.tight, ticks)
        bid, ask = room.book.best_bid, room.book.best_ask
        assert bid is not None
        assert ask is not None
        assert bid < ticks < ask
        assert ask - bid <= 3


def test_the_tight_maker_keeps_what_fits_and_never_replaces_a_price(room: Room) -> None:
    room.quote(room.tight, START)
    random = Random(4)
    ticks, sent, moves = float(START), 0, 200
    for _ in range(moves):
        ticks += random.gauss(0.0, 3.0)
        orders = {order.id: (order.side, order.price) for order in room.tight.account.orders.values()}
        commands = room.quote(room.tight, ticks)
        cancelled = {orders[command.order_id] for command in commands if isinstance(command, CancelOrder)}
        placed = [(command.side, command.price) for command in commands if isinstance(command, PlaceOrder)]
        assert not cancelled & set(placed)
        assert len(room.tight.account.orders) == 18
        sent += len(commands)
    assert sent / moves < 18, "less than half of what replacing every order would take"


def test_the_deep_maker_has_its_levels_and_sends_nothing_for_a_small_move(room: Room) -> None:
    first = room.quote(room.deep, START)
    assert len(first) == 2 * DEEP_LEVELS
    assert len(room.book.bids) == len(room.book.asks) == DEEP_LEVELS
    assert room.quote(room.deep, START + 2) == []
    assert 0 < len(room.quote(room.deep, START + 120)) <= 12


def test_the_deep_maker_reaches_beyond_the_slippage_bound(room: Room) -> None:
    room.quote(room.deep, START)
    for side in (room.book.bids, room.book.asks):
        farthest, _ = side.top(DEEP_LEVELS)[-1]
        assert 0.0025 < abs(farthest / START - 1) < 0.006
        within = sum(price * steps for price, steps in side.top(DEEP_LEVELS) if abs(price / START - 1) <= 0.0025)
        notional = within * INSTRUMENTS[BTC].multiplier / MONEY_UNIT
        profile = INSTRUMENTS[BTC].market
        assert profile is not None
        assert notional == pytest.approx(profile.depth_notional, rel=0.3)


def test_the_deep_maker_fills_up_what_was_taken(room: Room) -> None:
    room.quote(room.deep, START)
    taken = room.door(PlaceOrder("user", BTC, 1, 2, amount=1_000_000 * MONEY_UNIT)).order
    assert taken is not None
    assert taken.status == "FILLED"
    assert len(room.book.asks) < DEEP_LEVELS
    room.quote(room.deep, START)
    assert len(room.book.asks) >= DEEP_LEVELS - 1  # one may be there in part


def test_the_deep_maker_lays_a_new_grid_when_the_price_is_another(room: Room) -> None:
    room.quote(room.deep, START)
    old = set(room.deep.account.orders)
    for ticks in (START * 2, START // 3):
        room.quote(room.deep, ticks)
        assert not old & set(room.deep.account.orders)
        assert len(room.book.bids) == len(room.book.asks) == DEEP_LEVELS
        assert abs(room.book.asks.top(DEEP_LEVELS)[-1][0] / ticks - 1) < 0.006
        old = set(room.deep.account.orders)


def test_makers_only_rest(room: Room) -> None:
    """A bid of somebody above fair value is gone around, not sold to."""
    room.user_bid(START + 700)
    for maker in (room.tight, room.deep):
        room.quote(maker, START)
        assert maker.position() == 0
    assert room.book.best_bid == START + 700
    assert room.book.best_ask == START + 701
    assert len(room.book.asks) >= 50


def test_makers_withdraw_what_fair_value_has_passed(room: Room) -> None:
    room.quote(room.tight, START)
    room.quote(room.deep, START)
    room.quote(room.tight, START + 500)
    room.quote(room.deep, START + 500)
    asks = [price for price, _ in room.book.asks.top(100)]
    assert min(asks) > START + 500
    assert room.tight.position() == room.deep.position() == 0
