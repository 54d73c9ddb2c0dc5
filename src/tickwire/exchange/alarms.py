"""When to look whether a margin still holds: so that a mark costs what is near liquidation, not what is open.

Every open position has an *alarm price* on the side that hurts it. While no mark has reached an alarm, every margin is
certain to hold, so nobody is looked at. At an alarm the account is measured exactly; if its margin still holds, the
position gets a new alarm, nearer to where it would not. So alarms decide when to look, never what happens: they are no
part of the state, and are made anew after a load.

The slack of a margin (its equity above the maintenance margin) is divided evenly over its positions, one for an
isolated margin, all cross ones for the cross margin: as long as each has lost less than its part, the sum holds. What
makes an account worse otherwise than by the mark (a fill, a fee, funding, a withdrawal, a reserve) has it measured at
once.
"""

from heapq import heapify, heappop, heappush

from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.instruments import RATE_UNIT

__all__ = ["AlarmQueue"]

# A queue is swept when it has doubled since the last time, so a replaced alarm costs about one move of an entry.
SWEEP_AT = 256
# An alarm is set this much nearer than it need be, and left alone while it is near enough: small losses then cost
# nothing, and a position on its way to liquidation is looked at a few times more.
SPARE = 8


class AlarmQueue:
    """The alarms of one market, nearest first."""

    __slots__ = ("_falling", "_limit", "_rising")

    def __init__(self) -> None:
        # (key, name, the alarm's number, account, position): longs are hurt by a fall, shorts by a rise.
        self._falling: list[tuple[int, str, int, Account, Position]] = []
        self._rising: list[tuple[int, str, int, Account, Position]] = []
        self._limit = SWEEP_AT

    def __len__(self) -> int:
        return len(self._falling) + len(self._rising)

    def watch(self, account: Account, position: Position, price: int, slack: int) -> None:
        """Look at a position before it has lost ``slack`` (money) from ``price`` (ticks, the mark) on.

        A tick costs |q| times the multiplier, and the maintenance margin of a short grows with the mark too.
        """
        quantity = position.quantity
        rate = position.market.instrument.top_maint_margin_rate if quantity < 0 else 0
        distance = slack * RATE_UNIT // (abs(quantity) * position.market.multiplier * (RATE_UNIT + rate))
        # Rounding of the maintenance margin may bring the end one tick nearer than the division says.
        latest = price - distance + 1 if quantity > 0 else price + distance - 1
        known = position.alarm_price
        if known is not None and (latest <= known <= price if quantity > 0 else price <= known <= latest):
            return
        spare = distance // SPARE
        alarm_price = position.alarm_price = latest + spare if quantity > 0 else latest - spare
        position.alarm += 1
        if len(self) >= self._limit:
            self._sweep()
        if quantity > 0:
            heappush(self._falling, (-alarm_price, account.name, position.alarm, account, position))
        else:
            heappush(self._rising, (alarm_price, account.name, position.alarm, account, position))

    def due(self, price: int) -> list[tuple[Account, Position]]:
        """Take out the positions whose alarm the price has reached."""
        found: list[tuple[Account, Position]] = []
        for heap, reached in ((self._falling, -price), (self._rising, price)):
            while heap and heap[0][0] <= reached:
                _, _, alarm, account, position = heappop(heap)
                if position.alarm == alarm:
                    position.alarm_price = None
                    if position.quantity:
                        found.append((account, position))
        return found

    def _sweep(self) -> None:
        for heap in (self._falling, self._rising):
            heap[:] = [entry for entry in heap if entry[2] == entry[4].alarm and entry[4].quantity]
            heapify(heap)
        self._limit = max(SWEEP_AT, 2 * len(self))
