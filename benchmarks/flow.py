"""A mixed flow in one perpetual, seeded: what a busy market sends.

60 % limit orders within 50 ticks of the middle (some of which trade), 30 % cancellations, 10 % market orders, from 20
accounts. ``draw`` makes it in advance, so that drawing is not measured with what is.
"""

import importlib.resources
from random import Random

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

__all__ = ["MIDDLE", "SETTINGS", "START", "SYMBOL", "Flow", "Timed", "default_instruments", "draw"]

SYMBOL = "BTCUSDT.PERP"
START = 1_765_975_842 * SECOND
MIDDLE = 749_370  # ticks
ACCOUNTS = 20
STEP = 1_000_000  # ns between two commands
SETTINGS = EngineSettings(max_open_orders=10**9)

Timed = tuple[int, Command]  # ns, what then comes


def default_instruments() -> dict[str, Instrument]:
    """What a server opens by default."""
    return load_instruments(importlib.resources.files("tickwire.exchange").joinpath("instruments.toml").read_text())


class Flow:
    """An engine and the commands that come to it."""

    def __init__(self, house: bool, seed: int = 1) -> None:
        instruments = {SYMBOL: default_instruments()[SYMBOL]}
        self.engine = Engine(instruments, SETTINGS)
        self._random = Random(seed)
        self._time = START
        self._names = [f"account-{number}" for number in range(ACCOUNTS)]
        self.open: list[tuple[str, int]] = []
        self.drawn: list[Timed] = []
        self.apply(Tick())
        self.apply(VenuePrices(SYMBOL, (MIDDLE,) * 3))
        for name in self._names:
            self.apply(CreateAccount(name, house))
            self.apply(Deposit(name, "USDT", 10**9 * MONEY_UNIT))

    def apply(self, command: Command) -> None:
        """Apply one command."""
        self._time += STEP
        self.drawn.append((self._time, command))
        events = self.engine.apply(self._time, command)
        if events.error is not None:
            raise RuntimeError(f"expected an accepted command, got {events.error} for {command}")
        if isinstance(command, PlaceOrder) and events.order is not None and events.order.level is not None:
            self.open.append((command.account, events.order.id))

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


def draw(house: bool, count: int) -> tuple[list[Timed], list[Timed]]:
    """What opens the market and its accounts, and ``count`` commands after it."""
    flow = Flow(house)
    opening = len(flow.drawn)
    for _ in range(count):
        flow.apply(flow.command())
    return flow.drawn[:opening], flow.drawn[opening:]
