"""Those who trade: takers, momentum traders, noise traders, and the arbitrageur.

All of them hold bounded positions: the nearer one is to its bound, the likelier it trades back. So what the market
makers hold is bounded too, as long as no user takes the other side.
"""

import math
from random import Random

from tickwire.exchange.accounts import Account
from tickwire.exchange.commands import OrderType, PlaceOrder
from tickwire.exchange.instruments import MONEY_UNIT
from tickwire.market.profiles import activity, mean_trade
from tickwire.market.view import MarketView, Participant
from tickwire.wire.intervals import SECOND

__all__ = ["Arbitrageur", "MomentumTrader", "NoiseTrader", "Taker"]

# Sizes of orders are log-normal with this deviation: one in a thousand is twenty times the mean.
SIZE_DEVIATION = 1.3


def order_size(random: Random, mean: float) -> float:
    """A random order size with a fat tail."""
    return random.lognormvariate(math.log(mean) - SIZE_DEVIATION * SIZE_DEVIATION / 2, SIZE_DEVIATION)


class Taker(Participant):
    """The flow of market orders, as many a second as the profile says, more when prices move.

    Some know fair value and take what is mispriced; the others' sides come in runs, lean towards fair value and
    against the position.
    """

    # In units of the touch notional: what a taker holds at most, near enough.
    BOUND = 8.0
    INFORMED = 0.35
    PERSISTENCE = 0.12
    # A book this far from fair value has takers of one side only, nearly.
    LEAN_DISTANCE = 0.000_5

    def __init__(self, view: MarketView, account: Account, random: Random, endowment: int = 0) -> None:
        super().__init__(view, account, random, endowment)
        self._last_side = 1

    def act(self) -> float:
        view, random = self.view, self.random
        side = self._side()
        size = min(order_size(random, mean_trade(view.profile)), 3 * view.profile.touch_notional)
        self.take(side, view.steps(size))
        self._last_side = side
        return random.expovariate(view.profile.trades_per_second * activity(view.ratio))

    def _side(self) -> int:
        view, random = self.view, self.random
        load = self.exposure() / (self.BOUND * view.profile.touch_notional)
        if abs(load) > 1.0:
            return -1 if load > 0 else 1
        if random.random() < self.INFORMED:
            book = view.market.book
            if book.best_ask is not None and book.best_ask < view.fair - 1:
                return 1
            if book.best_bid is not None and book.best_bid > view.fair + 1:
                return -1
        lean = (view.fair - view.mid) / (view.fair * self.LEAN_DISTANCE)
        chance = 0.5 + self.PERSISTENCE * self._last_side + 0.3 * max(-1.0, min(1.0, lean)) - 0.3 * load
        return 1 if random.random() < chance else -1


class MomentumTrader(Participant):
    """Buys what has risen and sells what has fallen in the last half minute, and closes when the move is over."""

    SECONDS = 30.0
    BOUND = 1.5  # in units of the touch notional
    ENTER, LEAVE = 1.0, 0.3  # distances from the average, in their usual standard deviation
    PAUSE = 3.0

    def __init__(self, view: MarketView, account: Account, random: Random, endowment: int = 0) -> None:
        super().__init__(view, account, random, endowment)
        self._average = math.log(view.fair)
        self._time = view.time
        # Of a random walk from its own exponential average over these seconds.
        self._deviation = view.tick_speed / view.fair * math.sqrt(self.SECONDS / 2)

    def act(self) -> float:
        view = self.view
        price = math.log(view.mid)
        seconds = (view.time - self._time) / SECOND
        self._time = view.time
        self._average += (price - self._average) * -math.expm1(-seconds / self.SECONDS)
        signal = (price - self._average) / self._deviation
        held = self.position()
        if abs(held) < view.steps(0.0):
            held = 0  # less than an order may have
        touch = view.profile.touch_notional
        side = 1 if signal > 0 else -1
        if held * side < 0 or (held and abs(signal) < self.LEAVE):
            # In parts that the best levels can take.
            self.take(-1 if held > 0 else 1, min(abs(held), view.steps(touch / 2)), reduce=True)
        elif abs(signal) > self.ENTER and self.exposure() * side < self.BOUND * touch:
            self.take(side, view.steps(order_size(self.random, mean_trade(view.profile))))
        return self.random.expovariate(1 / self.PAUSE)


class NoiseTrader(Participant):
    """Leaves limit orders near the market and takes them back, and now and then buys or sells for a round amount."""

    BOUND = 2.0  # in units of the touch notional
    OPEN_ORDERS = 12
    LIFETIME = 25.0
    PASSIVE = 0.7
    PAUSE = 1.5
    AMOUNTS = (50, 100, 100, 200, 250, 500, 500, 1_000, 1_000, 2_000)

    def __init__(self, view: MarketView, account: Account, random: Random, endowment: int = 0) -> None:
        super().__init__(view, account, random, endowment)
        self._expiries: dict[int, int] = {}  # order id: when it is taken back

    def act(self) -> float:
        open_orders = self.account.orders
        for order_id, expiry in list(self._expiries.items()):
            if expiry <= self.view.time or order_id not in open_orders:
                self.cancel(order_id)
                del self._expiries[order_id]
        load = self.exposure() / (self.BOUND * self.view.profile.touch_notional)
        side = 1 if self.random.random() < 0.5 - 0.5 * load else -1
        if self.random.random() >= self.PASSIVE:
            self._take_amount(side)
        elif len(self._expiries) < self.OPEN_ORDERS:
            self._leave_order(side)
        return self.random.expovariate(1 / self.PAUSE)

    def _leave_order(self, side: int) -> None:
        view, random = self.view, self.random
        book = view.market.book
        best = book.best_bid if side > 0 else book.best_ask
        if best is None:
            return
        # Mostly close to the best price, at times a tick better than it.
        distance = int(random.expovariate(8 / (view.fair * view.slippage))) - (random.random() < 0.1)
        price = max(1, best - side * distance)
        order_id = self.rest(side, view.steps(order_size(random, mean_trade(view.profile))), price)
        if order_id is not None:
            self._expiries[order_id] = view.time + int(random.expovariate(1 / self.LIFETIME) * SECOND)

    def _take_amount(self, side: int) -> None:
        least = 2 * self.view.instrument.min_notional
        amount = max(least, self.random.choice(self.AMOUNTS) * MONEY_UNIT)
        self.place(PlaceOrder(self.account.name, self.symbol, side, OrderType.MARKET, amount=amount))


class Arbitrageur(Participant):
    """Takes what others offer better than fair value, which brings a book back that a user has pushed away.

    What it has gathered it trades away in small orders.
    """

    BOUND = 2.5  # in units of the depth notional
    BITE = 4.0  # in units of the touch notional: the most it takes at once
    UNWIND = 0.15

    def clear(self) -> None:
        """Take what is in the makers' way, between their withdrawing and their quoting."""
        view = self.view
        book = view.market.book
        # A tick is left to the others: below it there is nothing to earn.
        for side, offers, best in ((1, book.asks, book.best_ask), (-1, book.bids, book.best_bid)):
            worst = math.floor(view.center) if side > 0 else math.ceil(view.center)
            if best is None or (worst - best) * side < 0:
                continue
            mispriced = sum([quantity for price, quantity in offers.top(20) if (worst - price) * side >= 0])
            room = self.BOUND * view.profile.depth_notional - self.exposure() * side
            bite = min(room, self.BITE * view.profile.touch_notional)
            if bite > 0:
                self.take(side, max(view.steps(0.0), min(mispriced, view.steps(bite))), worst)
        load = self.exposure() / view.profile.depth_notional
        if self.random.random() < self.UNWIND * min(1.0, abs(load) * 10):
            self.take(-1 if load > 0 else 1, view.steps(order_size(self.random, mean_trade(view.profile))))
