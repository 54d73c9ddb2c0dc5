"""What moves the exchange besides its clients: the clock, and the simulated market. Each is one timer on the loop."""

import asyncio
from collections.abc import Callable

from tickwire.exchange.commands import Tick
from tickwire.exchange.instruments import Instrument
from tickwire.market.history import backfill
from tickwire.market.simulation import MarketSimulation
from tickwire.service.sequencer import Sequencer
from tickwire.wire.intervals import SECOND

__all__ = ["ClockDriver", "MarketDriver", "fill_history"]


class _Timer:
    """Calls ``run(now)`` at the times it asks for (ns on the exchange's clock), until it is stopped."""

    def __init__(self, sequencer: Sequencer, loop: asyncio.AbstractEventLoop, run: Callable[[int], int]) -> None:
        self._sequencer = sequencer
        self._loop = loop
        self._run = run
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, due: int) -> None:
        """Wake at ``due``."""
        delay = max(0, due - self._sequencer.now()) / SECOND
        self._handle = self._loop.call_later(delay, self._wake)

    def _wake(self) -> None:
        if self._sequencer.running:
            self.arm(self._run(self._sequencer.now()))

    def stop(self) -> None:
        """Wake no more."""
        if self._handle is not None:
            self._handle.cancel()


class ClockDriver:
    """Lets the exchange know that a second has begun."""

    def __init__(self, sequencer: Sequencer, loop: asyncio.AbstractEventLoop) -> None:
        self._sequencer = sequencer
        self._timer = _Timer(sequencer, loop, self._second)
        self._timer.arm(self._second(sequencer.now()))

    def _second(self, now: int) -> int:
        # Where another command came first in this second, time has been seen to already.
        if now >= self._sequencer.engine.next_second:
            self._sequencer.apply(Tick())
        return now - now % SECOND + SECOND

    def stop(self) -> None:
        """Stop the clock."""
        self._timer.stop()


class MarketDriver:
    """Runs the simulated market: one timer, set for its next event."""

    def __init__(
        self, instruments: dict[str, Instrument], seed: int, sequencer: Sequencer, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._simulation = MarketSimulation(instruments, seed)
        self._timer = _Timer(sequencer, loop, self._simulation.step)
        self._timer.arm(self._simulation.start(sequencer.engine, sequencer.now(), sequencer.apply))

    def stop(self) -> None:
        """Let the participants rest; their orders stay in the book."""
        self._timer.stop()


def fill_history(instruments: dict[str, Instrument], seed: int, sequencer: Sequencer) -> int:
    """Give every market that has never traded its past candles; how many it filled."""
    empty = {
        symbol: instrument
        for symbol, instrument in instruments.items()
        if instrument.market is not None and sequencer.engine.markets[symbol].candles.minute is None
    }
    if empty:
        for command in backfill(instruments, seed, sequencer.now()):
            if command.symbol in empty:
                sequencer.apply(command)
    return len(empty)
