"""The pure engine in this process: commands a second, the time of each, and the memory of a resting order.

A mixed flow in one perpetual, seeded: 60 % limit orders within 50 ticks of the middle (some of which trade), 30 %
cancellations, 10 % market orders. Once all of it from house accounts, which keep no history, and once from clients'
accounts, for which every execution is rendered as the row the history keeps.
"""

import gc
import importlib.resources
import time
import tracemalloc
from random import Random

from benchmarks.report import Row, percentiles
from tickwire.exchange.commands import (
    CancelOrder,
    Command,
    CreateAccount,
    Deposit,
    OrderType,
    PlaceOrder,
    Tick,
    VenuePrices,
)
from tickwire.exchange.engine import Engine
from tickwire.exchange.instruments import MONEY_UNIT, Instrument, load_instruments
from tickwire.exchange.settings import EngineSettings
from tickwire.wire.intervals import SECOND

__all__ = ["START", "SYMBOL", "default_instruments", "run"]

NAME = "engine"
SYMBOL = "BTCUSDT.PERP"
START = 1_765_975_842 * SECOND
MIDDLE = 749_370  # ticks
ACCOUNTS = 20
STEP = 1_000_000  # ns between two commands


def default_instruments() -> dict[str, Instrument]:
    """What a server opens by default."""
    return load_instruments(importlib.resources.files("tickwire.exchange").joinpath("instruments.toml").read_text())


class Flow:
    """An engine and the commands that come to it."""

    def __init__(self, house: bool, seed: int = 1) -> None:
        instruments = {SYMBOL: default_instruments()[SYMBOL]}
        self.engine = Engine(instruments, EngineSettings(max_open_orders=10**9))
        self._random = Random(seed)
        self._time = START
        self._names = [f"account-{number}" for number in range(ACCOUNTS)]
        self.open: list[tuple[str, int]] = []
        self.apply(Tick())
        self.apply(VenuePrices(SYMBOL, (MIDDLE,) * 3))
        for name in self._names:
            self.apply(CreateAccount(name, house))
            self.apply(Deposit(name, "USDT", 10**9 * MONEY_UNIT))

    def apply(self, command: Command) -> float:
        """Apply one command; the seconds it took."""
        self._time += STEP
        begin = time.perf_counter()
        events = self.engine.apply(self._time, command)
        took = time.perf_counter() - begin
        if events.error is not None:
            raise RuntimeError(f"expected an accepted command, got {events.error} for {command}")
        if isinstance(command, PlaceOrder) and events.order is not None and events.order.level is not None:
            self.open.append((command.account, events.order.id))
        return took

    def limit_order(self, nearest: int = -2) -> PlaceOrder:
        """A limit order at ``nearest`` to 50 ticks from the middle; a negative distance is beyond it."""
        random = self._random
        side = random.choice((1, -1))
        price = MIDDLE - side * random.randint(nearest, 50)
        return PlaceOrder(
            random.choice(self._names),
            SYMBOL,
            side,
            OrderType.LIMIT,
            quantity=random.randint(1_000, 100_000),
            price=price,
        )

    def command(self) -> Command:
        """The next one of the flow."""
        random = self._random
        share = random.random()
        if share < 0.3:
            orders = self.engine.accounts
            while self.open:
                index = random.randrange(len(self.open))
                name, order_id = self.open[index]
                self.open[index] = self.open[-1]
                self.open.pop()
                if order_id in orders[name].orders:  # it may have filled since
                    return CancelOrder(name, SYMBOL, order_id)
        market = self.engine.markets[SYMBOL]
        if share > 0.9 and market.book.best_bid is not None and market.book.best_ask is not None:
            return PlaceOrder(
                random.choice(self._names), SYMBOL, random.choice((1, -1)), OrderType.MARKET,
                quantity=random.randint(1_000, 50_000),
            )  # fmt: skip
        return self.limit_order()


def _timed(house: bool, count: int) -> list[float]:
    flow = Flow(house)
    for _ in range(count // 10):
        flow.apply(flow.command())
    gc.collect()
    gc.freeze()  # as the server does
    times = [flow.apply(flow.command()) for _ in range(count)]
    gc.unfreeze()
    return times


def _memory(count: int) -> tuple[float, float]:
    """Bytes of a resting order in memory, and in a snapshot."""
    flow = Flow(house=False)
    commands = [flow.limit_order(nearest=1) for _ in range(count)]
    empty = len(flow.engine.dump())
    flow.open.clear()
    gc.collect()
    tracemalloc.start()
    try:
        for command in commands:
            flow.engine.apply(START + SECOND, command)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return used / count, (len(flow.engine.dump()) - empty) / count


def run(quick: bool) -> list[Row]:
    """100,000 commands a case, quick 500."""
    count = 500 if quick else 100_000
    house = _timed(True, count)
    recorded = _timed(False, count)
    memory, stored = _memory(count // 5)
    rival = "house"
    rows = []
    for case, times in (("house accounts", house), ("clients' accounts", recorded)):
        ratio = None if times is house else sum(house) / sum(times)
        figures = percentiles(times, 1e-6)
        rows += [
            Row(NAME, case, "commands", "/s", {"": count / sum(times)}, ratio, rival if ratio else ""),
            Row(
                NAME, case, "a command", "us", figures,
                figures["p50"] / percentiles(house, 1e-6)["p50"] if ratio else None, rival if ratio else "",
            ),
        ]  # fmt: skip
    return [
        *rows,
        Row(NAME, "a resting order", "in memory", "bytes", {"": memory}),
        Row(NAME, "a resting order", "in a snapshot", "bytes", {"": stored}),
    ]
