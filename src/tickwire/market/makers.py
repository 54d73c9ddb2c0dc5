"""Market makers: what keeps the book full.

The price moves by dozens of ticks a second, the spread is a tick or two, and every order placed or cancelled costs a
command. So both makers keep each order for as long as it fits anywhere, and never replace one at its own price:

* the tight maker has a few slots near the best price whose widths grow outwards. An order that the moving price carries
  from one slot into the next fills that one now; only empty slots get a new order, only a second order in a slot goes.
* the deep maker has one order at every point of a fixed price grid, from near the best price to beyond the slippage
  bound. A moving price costs it the grid points it crosses, at the near and at the far end, and nothing in between.

Both only ever rest: an order of somebody else that stands in the way is for the arbitrageur.
"""

from bisect import bisect_right
from random import Random

from tickwire.exchange.accounts import Account
from tickwire.market.view import MarketView, Participant

__all__ = ["DEEP_LEVELS", "DeepMaker", "TightMaker", "half_spread"]

# Where the tight maker's slots begin, in ticks from the best price. Few, since a move of m ticks costs as many
# cancels and places a side as there are orders within m ticks of the best price.
SLOTS = (0, 1, 2, 4, 7, 12, 19, 29, 42, 60)
# The share of the profile's touch notional in each slot.
SLOT_SHARES = (0.50, 0.35, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 1.00)

# Grid points the deep maker keeps a side, and how many more it leaves at the far end when the price comes back.
DEEP_LEVELS = 54
FAR_SLACK = 8
# How far the grid reaches, in slippage bounds: a market order stops within one.
DEEP_REACH = 1.75
# Offsets within the grid, so that it does not look like one. A prime, so that the pattern does not meet round numbers.
JITTERS = 61


def half_spread(ratio: float) -> float:
    """Half the quoted spread in ticks: it widens with volatility.

    More than half a tick, so that a bid stays below fair value and an ask above it after rounding to whole ticks.
    """
    return min(5.0, 0.52 + 0.25 * ratio)


class TightMaker(Participant):
    """Keeps the best price and the first levels behind it."""

    def __init__(self, view: MarketView, account: Account, random: Random, endowment: int = 0) -> None:
        super().__init__(view, account, random, endowment)
        self._orders: dict[int, dict[int, int]] = {1: {}, -1: {}}  # side: price: order id

    def best_prices(self) -> tuple[int, int]:
        """The bid and the ask to quote: one tick apart at least, and never taking from the book."""
        view = self.view
        half = half_spread(view.ratio)
        bid = round(view.center - half)
        ask = max(bid + 1, round(view.center + half))
        book = view.market.book
        best_bid, best_ask = book.best_bid, book.best_ask
        if best_ask is not None:
            bid = min(bid, best_ask - 1)
        if best_bid is not None:
            ask = max(ask, best_bid + 1)
        return bid, ask

    def withdraw(self) -> None:
        """Forget what was filled, and cancel what fair value has reached."""
        center, open_orders = self.view.center, self.account.orders
        for side, orders in self._orders.items():
            for price, order_id in list(orders.items()):
                if order_id not in open_orders:
                    del orders[price]
                elif (center - price) * side <= 0:
                    del orders[price]
                    self.cancel(order_id)

    def quote(self) -> None:
        """Give every slot an order, and no slot two."""
        bid, ask = self.best_prices()
        self._fill(1, bid)
        self._fill(-1, ask)

    def _fill(self, side: int, best: int) -> None:
        orders = self._orders[side]
        filled = [False] * len(SLOT_SHARES)
        for price in sorted(orders, reverse=side > 0):
            # One tick better than wanted is as good as the wanted price, while it is not beyond fair value.
            slot = bisect_right(SLOTS, max(0, (best - price) * side)) - 1
            if (best - price) * side < -1 or slot >= len(filled) or filled[slot]:
                self.cancel(orders.pop(price))
            else:
                filled[slot] = True
        for slot, share in enumerate(SLOT_SHARES):
            if filled[slot]:
                continue
            distance = self.random.randrange(SLOTS[slot], SLOTS[slot + 1])
            price = best - side * distance
            if price < 1:
                break
            size = self.view.profile.touch_notional * share * self.random.lognormvariate(-0.1, 0.45)
            order_id = self.rest(side, self.view.steps(size), price)
            if order_id is None:
                break  # refused: the next round tries again
            orders[price] = order_id


class DeepMaker(Participant):
    """Keeps more than fifty levels a side on a grid of prices that stays where it is."""

    def __init__(self, view: MarketView, account: Account, random: Random, endowment: int = 0) -> None:
        super().__init__(view, account, random, endowment)
        self._orders: dict[int, dict[int, int]] = {1: {}, -1: {}}  # side: grid point: order id
        self._nearest: dict[int, int | None] = {1: None, -1: None}
        self._lay_grid()

    def _lay_grid(self) -> None:
        reach = self.view.fair * self.view.slippage * DEEP_REACH
        self._reference = self.view.fair
        self._spacing = max(1, int(reach / DEEP_LEVELS))
        self._jitters = [self.random.randrange(max(1, self._spacing * 2 // 3)) for _ in range(JITTERS)]

    def _price(self, point: int) -> int:
        return point * self._spacing + self._jitters[point % JITTERS]

    def withdraw(self) -> None:
        """Forget what was filled, and cancel what fair value has reached."""
        open_orders = self.account.orders
        if not 2 / 3 < self.view.fair / self._reference < 3 / 2:
            # The grid no longer suits the price.
            for order_id in list(open_orders):
                self.cancel(order_id)
            self._lay_grid()
        expected = len(self._orders[1]) + len(self._orders[-1])
        if expected != len(open_orders):
            for side, orders in self._orders.items():
                for point in [point for point, order_id in orders.items() if order_id not in open_orders]:
                    del orders[point]
                self._nearest[side] = None
        center = self.view.center
        for side, orders in self._orders.items():
            for point in [point for point in orders if (center - self._price(point)) * side < 1]:
                self.cancel(orders.pop(point))

    def quote(self) -> None:
        """Have an order at each grid point of the range, and none far beyond it."""
        book, center = self.view.market.book, self.view.center
        gap = max(2.0, self._spacing / 2)
        best_bid, best_ask = book.best_bid, book.best_ask
        bid = int(center - gap) if best_ask is None else min(int(center - gap), best_ask - 1)
        ask = int(center + gap) + 1 if best_bid is None else max(int(center + gap) + 1, best_bid + 1)
        self._fill(1, bid)
        self._fill(-1, ask)

    def _fill(self, side: int, limit: int) -> None:
        """``limit`` is the best price that a grid point may have."""
        nearest = limit // self._spacing
        if (limit - self._price(nearest)) * side < 0:
            nearest -= side
        if nearest == self._nearest[side]:
            return
        self._nearest[side] = nearest
        orders = self._orders[side]
        farthest = DEEP_LEVELS - 1 + FAR_SLACK
        for point in [point for point in orders if (nearest - point) * side > farthest]:
            self.cancel(orders.pop(point))
        for point in range(nearest, nearest - side * DEEP_LEVELS, -side):
            if point in orders:
                continue
            price = self._price(point)
            if price < 1:
                break
            order_id = self.rest(side, self.view.steps(self._size(price)), price)
            if order_id is None:
                self._nearest[side] = None  # refused: the next round tries again
                break
            orders[point] = order_id

    def _size(self, price: int) -> float:
        """Nearly even, since the price carries orders from one end of the range to the other."""
        bound = self.view.fair * self.view.slippage
        distance = abs(price - self.view.center) / bound
        share = self._spacing / bound * (0.8 + 0.4 * distance)
        return self.view.profile.depth_notional * share * self.random.lognormvariate(-0.08, 0.4)
