"""100,000 commands of every kind, in runs of 10,000: what must hold is counted again after each one.

The state machine of ``test_engine`` draws short histories that can be shrunk; these are long ones, in which positions
grow old, funding is paid many times, and margins are used up by a market that wanders.
"""

from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.exchange.world import BTC, DEFAULT_INSTRUMENTS, ETH, SPOT, START, money

from tickwire.exchange.commands import (
    AdjustMargin,
    AmendOrder,
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
from tickwire.exchange.engine import Engine
from tickwire.exchange.instruments import load_instruments
from tickwire.exchange.invariants import broken_invariants
from tickwire.exchange.settings import EngineSettings
from tickwire.wire.intervals import HOUR, SECOND

COMMANDS = 10_000
RUNS = 10
NAMES = ("anna", "boris", "carla", "dora", "house")
INSTRUMENTS = {symbol: load_instruments(DEFAULT_INSTRUMENTS)[symbol] for symbol in (BTC, ETH, SPOT)}


class Trader:
    """Sends whatever comes to mind, around a price that wanders."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.ended: set[str] = set()
        self.engine = Engine(INSTRUMENTS, EngineSettings(insurance_fund=money("20000")))
        self.time = START
        self.prices = {BTC: 750_000, ETH: 250_000, SPOT: 750_000}
        for name in NAMES:
            self.send(CreateAccount(name, house=name == "house"))
            self.send(Deposit(name, "USDT", money("1000000" if name == "house" else "20000")))
            self.send(Deposit(name, "BTC", money("1")))

    def send(self, command: Command) -> None:
        events = self.engine.apply(self.time, command)
        for event in events.executions:
            if event.order is not None and event.order.order_cancel_reason in ("LIQUIDATION", "DELEVERAGING"):
                self.ended.add(event.order.order_cancel_reason)
        broken = list(broken_invariants(self.engine))
        assert not broken, f"after command {events.sequence}, {command}: {broken}"

    def step(self) -> None:
        """One command, and now and then a lot of time."""
        self.time += self.random.choice((1, 1_000_000, SECOND, 20 * SECOND))
        if self.random.random() < 0.002:
            self.time += self.random.choice((HOUR, 9 * HOUR, 49 * HOUR))
        self.send(self._command())

    def _command(self) -> Command:
        random = self.random
        name, symbol = random.choice(NAMES), random.choice((BTC, BTC, ETH, SPOT))
        orders = list(self.engine.accounts[name].orders)
        match random.choices(range(10), (40, 15, 12, 10, 6, 4, 4, 4, 4, 1))[0]:
            case 0:
                return self._order(name, symbol)
            case 1:
                return CancelOrder(name, symbol, random.choice(orders) if orders else 1)
            case 2:
                return self._venues(symbol if symbol != SPOT else BTC)
            case 3:
                return Tick()
            case 4:
                return SetLeverage(name, symbol, random.choice((1, 3, 10, 50, 100)), random.random() < 0.5)
            case 5:
                return AdjustMargin(name, symbol, random.randint(-500, 500) * money("1"))
            case 6:
                return Deposit(name, random.choice(("USDT", "BTC")), random.randint(-300, 300) * money("0.01"))
            case 7:
                position = self.engine.accounts[name].positions.get(symbol)
                known = orders or (list(position.opened_by) if position is not None else [])
                price = self.prices[symbol]
                return AmendOrder(
                    name,
                    symbol,
                    random.choice(known) if known else 1,
                    random.choice((None, price + random.randint(-5_000, 5_000))),
                    random.choice((None, price + random.randint(-5_000, 5_000))),
                )
            case 8:
                return CancelAll(name, random.choice((None, symbol)))
            case _:
                return SetTradeMode(name, random.random() < 0.3)

    def _order(self, name: str, symbol: str) -> PlaceOrder:
        random = self.random
        side, kind = random.choice((1, -1)), random.choice((1, 1, 1, 2, 3))
        price = self.prices[symbol] - side * random.randint(-300, 1_000)
        by_amount = random.random() < 0.2
        return PlaceOrder(
            name,
            symbol,
            side,
            kind,
            quantity=None if by_amount else random.randint(1, 200_000),
            amount=random.randint(1, 20_000) * money("1") if by_amount else None,
            price=price if kind == 1 else None,
            trigger_price=price if kind == 3 else None,
            time_in_force=random.choice((1, 1, 2, 3)) if kind == 1 else 1,
            reduce_only=random.random() < 0.2,
            max_slippage_price=price + side * random.randint(-500, 500) if random.random() < 0.2 else None,
        )

    def _venues(self, symbol: str) -> VenuePrices:
        random = self.random
        spread = 60_000 if random.random() < 0.05 else 1_500
        price = min(max(self.prices[symbol] + random.randint(-spread, spread), 100_000), 1_500_000)
        self.prices[symbol] = price
        if symbol == BTC:
            self.prices[SPOT] = price
        return VenuePrices(symbol, tuple(price + random.randint(-50, 50) for _ in range(5)))


# A seed does not get simpler by being smaller, so there is nothing to shrink.
@given(seed=st.integers(0, 2**32))
@settings(max_examples=1, deadline=None, database=None, phases=[Phase.generate])
def test_nothing_is_made_or_lost(seed: int) -> None:
    ended: set[str] = set()
    for run in range(RUNS):
        trader = Trader(seed + run)
        for _ in range(COMMANDS):
            trader.step()
        assert trader.engine.next_exec_id > 1_000, "nothing much has happened"
        ended |= trader.ended
    assert "LIQUIDATION" in ended
