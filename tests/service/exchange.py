"""An exchange on a data directory without sockets: rules, engine, journal, market and sequencer are the real ones."""

import asyncio
import random
from pathlib import Path
from typing import Any

from tickwire.exchange.commands import CancelOrder, Command, OrderType, PlaceOrder, SetLeverage, Tick, TimeInForce
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.projection import Projector
from tickwire.journal.store import Store
from tickwire.keys.keyring import KeyRing
from tickwire.market.simulation import MarketSimulation
from tickwire.service.rules import Rules
from tickwire.service.sequencer import Sequencer
from tickwire.service.server import _recover
from tickwire.service.settings import Settings
from tickwire.wire.intervals import SECOND

START = 1_765_975_842 * SECOND
PERPETUAL, SPOT = "BTCUSDT.PERP", "BTCUSDT"
STEP = SECOND // 10


class Exchange:
    """Open until ``close`` or ``kill``. Time passes when told to."""

    def __init__(self, directory: Path, time: int = START, **settings: Any) -> None:
        self.settings = Settings(**({"symbols": f"{PERPETUAL},{SPOT}", "snapshot_every": 1000} | settings))
        self.time = time
        self.said: list[str] = []
        self.failures: list[Exception] = []
        self.keys = KeyRing.open(directory)
        self.store = Store.open(directory, retention=self.settings.retention())
        try:
            engine = _recover(self.store, Rules.of(self.settings), self.said.append)
        except Exception:
            self.store.close()
            raise
        self.sequencer = Sequencer(
            engine,
            Projector(engine),
            self.store,
            self.keys,
            loop=asyncio.get_running_loop(),
            initial_deposit=self.settings.initial_deposit(),
            snapshot_every=self.settings.snapshot_every,
            failed=self.failures.append,
            clock=lambda: self.time,
        )
        self.random = random.Random(self.engine.sequence)
        self._market: MarketSimulation | None = None

    @property
    def engine(self) -> Engine:
        return self.sequencer.engine

    def apply(self, command: Command) -> Events:
        return self.sequencer.apply(command)

    async def run(self, seconds: float, *accounts: str) -> None:
        """Let the market live, and the accounts trade with it."""
        for account in accounts:
            await self.sequencer.open_account(account)
        if self._market is None:
            instruments = {symbol: market.instrument for symbol, market in self.engine.markets.items()}
            self._market = MarketSimulation(instruments, 1)
            self._market.start(self.engine, self.sequencer.now(), self.sequencer.apply)
        end = self.time + int(seconds * SECOND)
        while self.time < end:
            self.time += STEP
            if self.sequencer.now() >= self.engine.next_second:
                self.apply(Tick())
            self._market.step(self.sequencer.now())
            for account in accounts:
                self.trade(account)
            await self.sequencer.settled()

    def trade(self, account: str) -> None:
        """One order or cancel of any kind."""
        orders = self.engine.accounts[account].orders
        draw = self.random.random()
        symbol = self.random.choice((PERPETUAL, SPOT))
        market = self.engine.markets[symbol]
        side = self.random.choice((1, -1))
        if orders and draw < 0.2:
            order = self.random.choice(list(orders.values()))
            self.apply(CancelOrder(account, order.symbol, order.id))
        elif draw < 0.25:
            self.apply(SetLeverage(account, PERPETUAL, self.random.randint(5, 20), isolated=False))
        elif draw < 0.6:
            self.apply(PlaceOrder(account, symbol, side, OrderType.MARKET, quantity=self.random.randint(500, 5000)))
        elif market.last_price is not None:
            price = market.last_price * self.random.randint(980, 1020) // 1000
            force = self.random.choice((TimeInForce.GTC, TimeInForce.IOC))
            self.apply(
                PlaceOrder(account, symbol, side, OrderType.LIMIT, quantity=2000, price=price, time_in_force=force)
            )

    def kill(self) -> None:
        """End without a last snapshot, as far as the directory is concerned."""
        self.sequencer.flush()
        self.store.close()
        self.keys.close()

    async def close(self) -> None:
        """Stop as the server does."""
        await self.sequencer.close()
        self.kill()


def traded(directory: Path, seconds: float = 20, **settings: Any) -> Exchange:
    """A directory on which two accounts have traded, and which was left as by a kill; what it was like then."""

    async def run() -> Exchange:
        exchange = Exchange(directory, **settings)
        await exchange.run(seconds, "alice", "bob")
        exchange.kill()
        return exchange

    return asyncio.run(run())
