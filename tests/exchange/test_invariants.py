"""Each invariant notices what it is for."""

import re
from collections.abc import Callable

import pytest
from tests.exchange.world import BTC, SPOT, World

from tickwire.exchange.engine import Engine
from tickwire.exchange.instruments import MONEY_UNIT
from tickwire.exchange.invariants import broken_invariants, money_of


@pytest.fixture
def world() -> World:
    """Positions, spot balances and open orders of both kinds."""
    world = World("alice", "bob")
    world.deposit("bob", "5", "BTC")
    world.trade("50000", "0.5", "alice", "bob")
    world.trade("50000", "0.25", "alice", "bob", symbol=SPOT)
    for symbol in (BTC, SPOT):
        world.buy("alice", "0.1", "49000", symbol=symbol)
        world.buy("bob", "0.2", "48000", symbol=symbol)
        world.sell("bob", "0.3", "52000", symbol=symbol)
    world.sell("alice", "0.1", trigger="40000", reduce_only=True)
    return world


def test_a_state_that_came_about_by_commands_breaks_none(world: World) -> None:
    assert list(broken_invariants(world.engine)) == []


def test_the_sums_of_money(world: World) -> None:
    sums = money_of(world.engine)
    assert list(sums) == ["BTC", "USDT"]
    assert sums["BTC"] == {"wallets": 5 * MONEY_UNIT, "unrealized": 0, "fees": 0, "deposits": 5 * MONEY_UNIT}
    usdt = sums["USDT"]
    assert usdt["fees"] > 0
    assert usdt["wallets"] + usdt["unrealized"] + usdt["fees"] == usdt["deposits"] == 3_000_000 * MONEY_UNIT


def gain_money(engine: Engine) -> None:
    engine.accounts["alice"].wallets["USDT"] += 1


def lose_a_fee(engine: Engine) -> None:
    engine.fees["USDT"] -= 1


def grow_a_position(engine: Engine) -> None:
    engine.accounts["alice"].positions[BTC].quantity += 1


def forget_open_interest(engine: Engine) -> None:
    engine.markets[BTC].open_interest -= 1


def forget_a_holder(engine: Engine) -> None:
    del engine.markets[BTC].holders["bob"]


def cross_the_book(engine: Engine) -> None:
    order = next(order for order in engine.accounts["bob"].orders.values() if order.side < 0)
    book = engine.markets[order.symbol].book
    book.asks.remove(order)
    order.price = book.best_bid
    book.asks.add(order)


def change_a_level(engine: Engine) -> None:
    level = engine.markets[BTC].book.bids.best_level()
    assert level is not None
    level.quantity += 1


def lose_an_order_of_the_book(engine: Engine) -> None:
    book = engine.markets[SPOT].book
    level = book.bids.best_level()
    assert level is not None
    assert level.oldest is not None
    book.bids.remove(level.oldest)


def forget_an_order(engine: Engine) -> None:
    orders = engine.accounts["bob"].orders
    del orders[next(iter(orders))]


def misplace_an_order(engine: Engine) -> None:
    level = engine.markets[BTC].book.asks.best_level()
    assert level is not None
    assert level.oldest is not None
    level.oldest.price = level.price + 1


def fill_an_order_twice(engine: Engine) -> None:
    next(iter(engine.accounts["alice"].orders.values())).filled_quantity += 1


def hold_too_much(engine: Engine) -> None:
    engine.accounts["bob"].reserved["BTC"] += 1


def hold_too_little(engine: Engine) -> None:
    engine.accounts["alice"].order_reserve -= 1


def go_back_in_ids(engine: Engine) -> None:
    engine.next_order_id = 3


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            gain_money,
            "USDT: expected wallets, unrealised PnL and fees to be what was deposited, 3000000, got 3000000.0",
        ),
        (lose_a_fee, "USDT: expected wallets, unrealised PnL and fees to be what was deposited"),
        (grow_a_position, "BTCUSDT.PERP: expected as many contracts short as long, 0.500001, got 0.5"),
        (forget_open_interest, "BTCUSDT.PERP: expected an open interest of 0.5, got 0.499999"),
        (forget_a_holder, "BTCUSDT.PERP: expected those who hold a position to be known as holders"),
        (cross_the_book, "expected the best bid below the best ask, got 49000.0 and 49000.0"),
        (
            change_a_level,
            "BTCUSDT.PERP at 49000.0: expected a level of 100000 steps, the sum of its orders, got 100001",
        ),
        (lose_an_order_of_the_book, "BTCUSDT: expected every open order in the book and no other, got 1 missing and 0"),
        (forget_an_order, "expected every open order in the book and no other, got 0 missing and 1 too many"),
        (misplace_an_order, "BTCUSDT.PERP at 52000.0: expected orders of this side and price, got order"),
        (fill_an_order_twice, "expected what is filled and what is left to be what was ordered, 100000, got 1 and"),
        (hold_too_much, "bob: expected 0.3 BTC held by open spot orders, got 0.30000001"),
        (hold_too_little, "alice: expected .* held by open perpetual orders, got"),
        (go_back_in_ids, "expected the next order id above .*, which is in use, got 3"),
    ],
)
def test_what_is_spoiled_is_noticed(world: World, spoil: Callable[[Engine], None], sentence: str) -> None:
    spoil(world.engine)
    found = list(broken_invariants(world.engine))
    assert any(re.search(sentence, line) for line in found), found
