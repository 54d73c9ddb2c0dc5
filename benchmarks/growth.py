"""How cost grows: a mark tick with the accounts that hold a position, a cancel and a fill with the resting orders.

A tick: so many accounts, half long and half short, cross and isolated, 5x to 50x, in one perpetual; the index moves by
up to 100 ticks once a second, and every margin is to be looked at that could be used up. A cancel and a fill: one of so
many orders, spread over 1,000 prices a side, anywhere in its price's queue or the oldest at the best price.
"""

import gc
import time
from random import Random

from benchmarks.flow import MIDDLE, START, SYMBOL, default_instruments
from benchmarks.report import Row, percentiles
from tickwire.exchange.commands import (
    CancelOrder,
    CreateAccount,
    Deposit,
    OrderType,
    PlaceOrder,
    SetLeverage,
    Side,
    TimeInForce,
    VenuePrices,
)
from tickwire.exchange.engine import Engine
from tickwire.exchange.instruments import MONEY_UNIT
from tickwire.exchange.settings import EngineSettings
from tickwire.wire.intervals import SECOND

__all__ = ["run"]

NAME = "growth"
DEALER = "dealer"
TICK_GOAL = "20,000 accounts under 100 ms"


def _engine() -> Engine:
    engine = Engine({SYMBOL: default_instruments()[SYMBOL]}, EngineSettings(max_open_orders=10**9))
    engine.apply(START, CreateAccount(DEALER, house=True))
    engine.apply(START, Deposit(DEALER, "USDT", 10**9 * MONEY_UNIT))
    engine.apply(START, VenuePrices(SYMBOL, (MIDDLE,) * 5))
    return engine


def _ticks(accounts: int, ticks: int) -> list[float]:
    """Seconds of each mark tick."""
    random = Random(1)
    engine = _engine()
    for number in range(accounts):
        name = f"trader-{number}"
        side = Side.BUY if number % 2 else Side.SELL
        quantity = random.randint(1_000, 5_000)  # up to 0.005 BTC, 375 USDT
        for command in (
            CreateAccount(name, house=True),
            Deposit(name, "USDT", random.randint(100, 5_000) * MONEY_UNIT),
            SetLeverage(name, SYMBOL, random.choice((5, 10, 20, 50)), isolated=random.random() < 0.5),
            PlaceOrder(DEALER, SYMBOL, -side, OrderType.LIMIT, quantity=quantity, price=MIDDLE),
            PlaceOrder(
                name, SYMBOL, side, OrderType.LIMIT, quantity=quantity, price=MIDDLE, time_in_force=TimeInForce.IOC
            ),
        ):
            events = engine.apply(START, command)
            if events.error is not None:
                raise RuntimeError(f"expected an accepted command, got {events.error} for {command}")
    gc.collect()
    gc.freeze()
    price, at, times = MIDDLE, START, []
    for _ in range(ticks):
        price += random.choice((-1, 1)) * random.randint(1, 100)
        at += SECOND
        begin = time.perf_counter()
        engine.apply(at, VenuePrices(SYMBOL, (price,) * 5))
        times.append(time.perf_counter() - begin)
    gc.unfreeze()
    return times


def _cancels_and_fills(resting: int, count: int) -> tuple[list[float], list[float]]:
    """Seconds of each cancel of a random order, and of each fill of the oldest order at the best price."""
    random = Random(2)
    engine = _engine()
    orders: list[int] = []

    def place(side: int) -> None:
        price = MIDDLE - side * random.randint(1, 1_000)
        order = engine.apply(
            START, PlaceOrder(DEALER, SYMBOL, side, OrderType.LIMIT, quantity=10_000, price=price)
        ).order
        if order is None:
            raise RuntimeError("expected a resting order, got none")
        orders.append(order.id)

    engine.apply(START, CreateAccount("taker", house=True))
    engine.apply(START, Deposit("taker", "USDT", 10**9 * MONEY_UNIT))
    for number in range(resting):
        place(Side.BUY if number % 2 else Side.SELL)
    gc.collect()
    gc.freeze()
    cancels: list[float] = []
    for _ in range(count):
        index = random.randrange(len(orders))
        orders[index], orders[-1] = orders[-1], orders[index]
        order_id = orders.pop()
        side = engine.accounts[DEALER].orders[order_id].side
        command = CancelOrder(DEALER, SYMBOL, order_id)
        begin = time.perf_counter()
        engine.apply(START, command)
        cancels.append(time.perf_counter() - begin)
        place(side)
    fills: list[float] = []
    for _ in range(count):
        side = random.choice((Side.BUY, Side.SELL))
        take = PlaceOrder("taker", SYMBOL, side, OrderType.MARKET, quantity=10_000)
        begin = time.perf_counter()
        events = engine.apply(START, take)
        fills.append(time.perf_counter() - begin)
        if events.order is None or events.order.status != "FILLED":
            raise RuntimeError(f"expected a fill, got {events.error or events.order}")
        place(-side)
    gc.unfreeze()
    return cancels, fills


def run(quick: bool) -> list[Row]:
    """1,000, 20,000 and 100,000 accounts; 100 to 100,000 orders; quick 20 and 50 of each."""
    rows: list[Row] = []

    def add(case: str, measure: str, unit: str, figures: dict[str, float], goal: str) -> None:
        """A row, against the first of its measure."""
        first = next((row for row in rows if row.measure == measure), None)
        ratio = None if first is None else figures["p50"] / first.figures["p50"]
        rows.append(Row(NAME, case, measure, unit, figures, ratio, "" if first is None else first.case, goal))

    for accounts in (20, 50) if quick else (1_000, 20_000, 100_000):
        ticks = _ticks(accounts, 20 if quick else 300)
        add(f"{accounts:,} accounts", "a mark tick", "ms", percentiles(ticks, 1e-3), TICK_GOAL)
    for resting in (20, 50) if quick else (100, 1_000, 10_000, 100_000):
        cancels, fills = _cancels_and_fills(resting, 20 if quick else 5_000)
        add(f"{resting:,} orders", "a cancel", "us", percentiles(cancels, 1e-6), "the same")
        add(f"{resting:,} orders", "a fill", "us", percentiles(fills, 1e-6), "the same")
    return rows
