"""The simulated market on the real engine, in simulated time."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tickwire.exchange
from tickwire.exchange.book import Order
from tickwire.exchange.commands import Command, CreateAccount, Deposit, PlaceOrder, SetLeverage
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.instruments import MONEY_UNIT, Instrument, load_instruments
from tickwire.market.simulation import MarketSimulation
from tickwire.wire.intervals import SECOND

NOW = 1_765_975_842_095_607_088
BTC, ETH = "BTCUSDT.PERP", "ETHUSDT.PERP"


def default_instruments() -> dict[str, Instrument]:
    return load_instruments((Path(tickwire.exchange.__file__).parent / "instruments.toml").read_text())


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def correlation(left: list[float], right: list[float]) -> float:
    x, y = mean(left), mean(right)
    both = sum((a - x) * (b - y) for a, b in zip(left, right, strict=True))
    return both / math.sqrt(sum((a - x) ** 2 for a in left) * sum((b - y) ** 2 for b in right))


def kurtosis(values: list[float]) -> float:
    """3 for a normal distribution, more with fat tails."""
    center = mean(values)
    variance = mean([(v - center) ** 2 for v in values])
    return mean([(v - center) ** 4 for v in values]) / variance**2


def clustering(values: list[float], lags: range = range(1, 6)) -> float:
    """The mean autocorrelation of absolute values over some lags: near 0 without clustering.

    The largest are clipped, so that one jump does not decide.
    """
    usual = mean([abs(v) for v in values])
    sizes = [min(abs(v), 4 * usual) for v in values]
    return mean([correlation(sizes[:-lag], sizes[lag:]) for lag in lags])


class Harness:
    """Drives a simulation as the service does: one call of ``step`` whenever it said that it is due."""

    def __init__(self, seed: int = 1, instruments: dict[str, Instrument] | None = None) -> None:
        self.instruments = instruments or default_instruments()
        self.engine = Engine(self.instruments)
        self.simulation = MarketSimulation(self.instruments, seed)
        self.now = self.due = NOW
        self.commands: list[tuple[int, Command]] = []

    def door(self, command: Command) -> Events:
        self.commands.append((self.now, command))
        return self.engine.apply(self.now, command)

    def start(self) -> "Harness":
        self.due = self.simulation.start(self.engine, self.now, self.door)
        return self

    def run(self, seconds: float, observe: Callable[[], None] = lambda: None) -> "Harness":
        end = self.now + int(seconds * SECOND)
        while self.due <= end:
            self.now = self.due
            self.due = self.simulation.step(self.now)
            observe()
        self.now = end
        return self

    def open_user(self, funds: int = 100_000_000) -> None:
        """A user with USDT and, on BTC, all the leverage there is."""
        self.door(CreateAccount("user"))
        self.door(Deposit("user", "USDT", funds * MONEY_UNIT))
        self.door(SetLeverage("user", BTC, 100, isolated=False))

    def order(self, side: int, type: int, symbol: str = BTC, **fields: Any) -> Order:
        events = self.door(PlaceOrder("user", symbol, side, type, **fields))
        assert events.error is None, events.error
        assert events.order is not None
        return events.order

    def mid(self, symbol: str = BTC) -> float:
        double = self.engine.markets[symbol].book.double_mid
        assert double is not None
        return double / 2

    def spread(self, symbol: str = BTC) -> int:
        book = self.engine.markets[symbol].book
        assert book.best_ask is not None
        assert book.best_bid is not None
        return book.best_ask - book.best_bid

    def levels(self, symbol: str = BTC) -> int:
        book = self.engine.markets[symbol].book
        return min(len(book.bids), len(book.asks))
