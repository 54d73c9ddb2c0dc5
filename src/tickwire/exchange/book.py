"""The order book of one symbol: price levels in order, and orders by age in each level.

A side keeps its prices in one sorted list with the best price last, so what happens near the top of the book, which is
nearly everything, moves few entries. A level is a linked list of its orders: taking the oldest, adding a new one and
removing any one cost the same however many there are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tickwire.exchange.identifiers import order_uuid
from tickwire.wire.rows import ConditionalOrderType, OrderStatus

if TYPE_CHECKING:
    from tickwire.exchange.accounts import Account
    from tickwire.exchange.conditionals import Bracket, Trigger
    from tickwire.exchange.markets import Market

__all__ = ["BookSide", "Level", "Order", "OrderBook"]


class Order:
    """An order from its acceptance to its end. Integers of its instrument; ``side`` is +1 for BUY, -1 for SELL."""

    __slots__ = (
        "_uuid",
        "account",
        "amount",
        "bracket",
        "cancel_reason",
        "conditional",
        "fee",
        "filled_cost",
        "filled_quantity",
        "id",
        "level",
        "leverage",
        "market",
        "max_slippage_price",
        "newer",
        "older",
        "price",
        "quantity",
        "reduce_only",
        "reject_reason",
        "remaining",
        "reserve",
        "side",
        "status",
        "stop_loss_price",
        "symbol",
        "take_profit_price",
        "time",
        "time_in_force",
        "transact_time",
        "trigger",
        "trigger_price",
        "type",
    )  # fmt: skip

    def __init__(
        self,
        id: int,
        time: int,
        account: Account,
        market: Market,
        side: int,
        type: int,
        quantity: int,
        price: int | None,
        time_in_force: int,
    ) -> None:
        self.id = id
        self.time = time
        self.account = account
        self.market = market
        self.symbol = market.instrument.symbol
        self.side = side
        self.type = type
        self.quantity = quantity  # steps; 0 while an order by amount waits for its trigger
        self.remaining = quantity
        self.price = price
        self.time_in_force = time_in_force
        self.amount: int | None = None  # quote money the client asked for
        self.trigger_price: int | None = None
        self.max_slippage_price: int | None = None
        self.reduce_only = False
        self.take_profit_price: int | None = None
        self.stop_loss_price: int | None = None
        self.conditional: ConditionalOrderType = "INVALID"  # what triggered it
        self.status: OrderStatus = "NEW"
        self.transact_time = time
        self.filled_quantity = 0
        self.filled_cost = 0  # money
        self.fee = 0  # money
        self.reserve = 0  # money held while it is open
        self.leverage = 0  # of the symbol when it was placed; 0 for spot
        self.cancel_reason: str | None = None
        self.reject_reason: str | None = None
        self.trigger: Trigger | None = None  # of a stop order that waits
        self.bracket: Bracket | None = None  # its take-profit and stop-loss, once it has filled
        # Its place in the book.
        self.level: Level | None = None
        self.older: Order | None = None
        self.newer: Order | None = None
        self._uuid: str | None = None

    @property
    def uuid(self) -> str:
        """The order's id on the wire, made when it is first shown."""
        text = self._uuid
        if text is None:
            text = self._uuid = order_uuid(self.id, self.time)
        return text


class Level:
    """All orders of one side at one price, oldest first."""

    __slots__ = ("newest", "oldest", "price", "quantity")

    def __init__(self, price: int) -> None:
        self.price = price
        self.quantity = 0
        self.oldest: Order | None = None
        self.newest: Order | None = None

    def __iter__(self) -> Iterator[Order]:
        order = self.oldest
        while order is not None:
            yield order
            order = order.newer


class BookSide:
    """One side of a book. ``sign`` is +1 for bids, -1 for asks: the best level has the largest ``sign * price``."""

    __slots__ = ("_keys", "changed", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, Level] = {}
        self._keys: list[int] = []  # sign * price, ascending: the best is last
        # Prices whose quantity changed in the current command, in the order of first change (a dict for that order).
        self.changed: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Level]:
        """Levels, best first."""
        sign, levels = self.sign, self.levels
        for key in reversed(self._keys):
            yield levels[sign * key]

    @property
    def best(self) -> int | None:
        """The best price, or ``None`` on an empty side."""
        keys = self._keys
        return self.sign * keys[-1] if keys else None

    def best_level(self) -> Level | None:
        """The level at the best price."""
        keys = self._keys
        return self.levels[self.sign * keys[-1]] if keys else None

    def quantity_at(self, price: int) -> int:
        """Steps resting at a price."""
        level = self.levels.get(price)
        return level.quantity if level is not None else 0

    def top(self, count: int) -> list[tuple[int, int]]:
        """The best ``count`` levels as (price, quantity)."""
        sign, levels = self.sign, self.levels
        result = []
        for key in self._keys[: -count - 1 : -1]:
            price = sign * key
            result.append((price, levels[price].quantity))
        return result

    def add(self, order: Order) -> None:
        """Put an order behind all others of its price."""
        price = order.price
        assert price is not None
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = Level(price)
            insort(self._keys, self.sign * price)
        newest = level.newest
        order.level = level
        order.older = newest
        if newest is None:
            level.oldest = order
        else:
            newest.newer = order
        level.newest = order
        level.quantity += order.remaining
        self.changed[price] = None

    def fill(self, order: Order, quantity: int) -> None:
        """Take ``quantity`` off a resting order (its ``remaining`` included); a finished one leaves the book."""
        level = order.level
        assert level is not None
        if quantity == order.remaining:
            self.remove(order)
            order.remaining = 0
            return
        order.remaining -= quantity
        level.quantity -= quantity
        self.changed[level.price] = None

    def remove(self, order: Order) -> None:
        """Take an order out of the book."""
        level = order.level
        assert level is not None
        older, newer = order.older, order.newer
        if older is None:
            level.oldest = newer
        else:
            older.newer = newer
        if newer is None:
            level.newest = older
        else:
            newer.older = older
        order.level = order.older = order.newer = None
        level.quantity -= order.remaining
        self.changed[level.price] = None
        if level.oldest is None:
            del self.levels[level.price]
            keys, key = self._keys, self.sign * level.price
            if keys[-1] == key:
                keys.pop()
            else:
                del keys[bisect_left(keys, key)]


class OrderBook:
    """Both sides of one symbol. ``sequence`` counts the commands that changed it."""

    __slots__ = ("asks", "bids", "sequence")

    def __init__(self) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        self.sequence = 0

    def side(self, side: int) -> BookSide:
        """The side on which an order of ``side`` rests."""
        return self.bids if side > 0 else self.asks

    @property
    def best_bid(self) -> int | None:
        """Ticks, or ``None`` without bids."""
        return self.bids.best

    @property
    def best_ask(self) -> int | None:
        """Ticks, or ``None`` without asks."""
        return self.asks.best

    @property
    def double_mid(self) -> int | None:
        """Twice the mid price in ticks (so that it is an integer), or ``None`` while a side is empty."""
        bid, ask = self.bids.best, self.asks.best
        return None if bid is None or ask is None else bid + ask
