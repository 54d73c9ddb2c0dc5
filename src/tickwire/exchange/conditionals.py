"""What waits for a price: stop orders, take-profits and stop-losses.

All fire on the mid price of the contract. A queue keeps what fires on a rise and what fires on a fall in two heaps,
so a book change costs one comparison a heap while nothing fires.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickwire.exchange.accounts import Account
    from tickwire.exchange.book import Order
    from tickwire.exchange.markets import Market

__all__ = ["Bracket", "Trigger", "TriggerQueue"]

# A queue is swept when it has doubled since the last time, so a cancelled trigger costs about one move of an entry.
SWEEP_AT = 256


class Bracket:
    """A take-profit and stop-loss that guard what an order filled, or a whole position.

    ``side`` is that of the closing order; ``quantity`` in steps, ``None`` for all of the position.
    """

    __slots__ = ("account", "market", "order", "position_wide", "quantity", "side", "stop_loss", "take_profit")

    def __init__(self, account: Account, market: Market, side: int, order: Order | None) -> None:
        self.account = account
        self.market = market
        self.side = side
        self.order = order  # the order it guards; None once it guards the position
        self.position_wide = order is None
        self.quantity = 0
        self.take_profit: Trigger | None = None
        self.stop_loss: Trigger | None = None

    def cancel(self) -> None:
        """Both prices cease to wait."""
        for trigger in (self.take_profit, self.stop_loss):
            if trigger is not None:
                trigger.active = False
        self.take_profit = self.stop_loss = None


class Trigger:
    """One price that waits: for a stop order (``order``) or for a bracket (``bracket``)."""

    __slots__ = ("active", "bracket", "id", "order", "price", "rising", "take_profit")

    def __init__(self, id: int, price: int, rising: bool) -> None:
        self.id = id
        self.price = price
        self.rising = rising
        self.active = True
        self.order: Order | None = None
        self.bracket: Bracket | None = None
        self.take_profit = False


class TriggerQueue:
    """The triggers of one market, nearest first; of equal prices the oldest first."""

    __slots__ = ("_falling", "_limit", "_rising")

    def __init__(self) -> None:
        self._rising: list[tuple[int, int, Trigger]] = []
        self._falling: list[tuple[int, int, Trigger]] = []
        self._limit = SWEEP_AT

    def __bool__(self) -> bool:
        """Whether anything may wait: without, no price needs to be looked at."""
        return bool(self._rising or self._falling)

    def __iter__(self) -> Iterator[Trigger]:
        """The triggers that wait, in no particular order."""
        for heap in (self._rising, self._falling):
            for _, _, trigger in heap:
                if trigger.active:
                    yield trigger

    def add(self, trigger: Trigger) -> None:
        """Let a trigger wait."""
        if len(self._rising) + len(self._falling) >= self._limit:
            self._sweep()
        if trigger.rising:
            heappush(self._rising, (trigger.price, trigger.id, trigger))
        else:
            heappush(self._falling, (-trigger.price, trigger.id, trigger))

    def _sweep(self) -> None:
        """Drop what no longer waits: far from the price it would never come to the top and be dropped there."""
        for heap in (self._rising, self._falling):
            heap[:] = [entry for entry in heap if entry[2].active]
            heapify(heap)
        self._limit = max(SWEEP_AT, 2 * (len(self._rising) + len(self._falling)))

    def pop_due(self, double_mid: int) -> Trigger | None:
        """Take out one trigger that the mid price has reached, or ``None``."""
        for heap, reached in ((self._rising, double_mid), (self._falling, -double_mid)):
            while heap and (heap[0][0] * 2 <= reached or not heap[0][2].active):
                trigger = heappop(heap)[2]
                if trigger.active:
                    return trigger
        return None
