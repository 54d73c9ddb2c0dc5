"""A local order book: levels by price, from whole pictures and from changes.

Prices are compared as exact integers of the finest unit seen so far, never as floats, and shown as the texts that came.
Each side is a sorted list of those integers and a dict from them to levels: nearly all changes touch a level that is
there, which costs one dict access; a new or a vanished one moves a part of a list.

``tests/client/test_book.py`` compares it with a plain one.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from tickwire.wire import rows
from tickwire.wire.decimals import DecimalError, parse_decimal
from tickwire.wire.rows import Level

__all__ = ["LocalBook", "OrderBook"]

# Texts of prices whose integers are remembered. A book walks through few prices, so this is hardly ever filled.
_REMEMBERED = 50_000
# More decimals than any price has: a text beyond it is no price.
_MAX_PLACES = 30


class OrderBook(rows.Orderbook, kw_only=True):
    """The top of a book at one moment: ``bids`` and ``asks`` as ``(price, quantity)`` texts, best first.

    ``ts`` is the server's time of the newest change (ns since the epoch, a text); ``seq`` counts the changes where the
    topic numbers them, and is ``None`` otherwise.
    """

    ts: str
    seq: int | None

    @property
    def best_bid(self) -> Level | None:
        """The highest bid, or ``None`` while nobody bids."""
        return self.bids[0] if self.bids else None

    @property
    def best_ask(self) -> Level | None:
        """The lowest ask, or ``None`` while nobody asks."""
        return self.asks[0] if self.asks else None


class _Side:
    """One side; ``prices`` rises, ``levels`` has the texts of each."""

    __slots__ = ("levels", "prices")

    def __init__(self) -> None:
        self.prices: list[int] = []
        self.levels: dict[int, Level] = {}


class LocalBook:
    """The book of one symbol. After an exception it is to be replaced from a whole picture before it is used again."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.ts = ""
        self.seq: int | None = None
        self._bids = _Side()
        self._asks = _Side()
        self._places = 0
        self._known: dict[str, int] = {}

    def replace(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Take a whole picture. Raises ``DecimalError`` for a price or quantity that is none."""
        for side, levels in ((self._bids, bids), (self._asks, asks)):
            side.prices.clear()
            side.levels.clear()
            self._apply(side, levels)

    def change(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Set levels to their new quantities; zero takes a level away. Raises ``DecimalError`` as ``replace``."""
        if bids:
            self._apply(self._bids, bids)
        if asks:
            self._apply(self._asks, asks)

    @property
    def crossed(self) -> bool:
        """Whether somebody bids as much as somebody asks, which no book of an exchange does."""
        bids, asks = self._bids.prices, self._asks.prices
        return bool(bids and asks) and bids[-1] >= asks[0]

    def top(self, depth: int) -> OrderBook:
        """The best ``depth`` levels a side, as they are now."""
        bids, asks = self._bids, self._asks
        return OrderBook(
            symbol=self.symbol,
            bids=[bids.levels[price] for price in reversed(bids.prices[-depth:])],
            asks=[asks.levels[price] for price in asks.prices[:depth]],
            ts=self.ts,
            seq=self.seq,
        )

    def _apply(self, side: _Side, changes: Iterable[Level]) -> None:
        known, known_levels = self._known, side.levels
        for level in changes:
            price, quantity = level
            key = known.get(price)
            if key is None:
                key = self._key(price)
            if not quantity.replace(".", "", 1).isdecimal():
                raise DecimalError(f"expected a quantity such as 12.5, got {quantity[:40]!r}")
            if quantity[0] in "0." and not quantity.strip("0."):
                if known_levels.pop(key, None) is not None:
                    prices = side.prices
                    del prices[bisect_left(prices, key)]
                continue
            if key not in known_levels:
                insort(side.prices, key)
            known_levels[key] = level

    def _key(self, price: str) -> int:
        """The price as an integer. A price with more decimals than any before it gives all others new integers."""
        while True:
            try:
                key = parse_decimal(price, self._places)
            except DecimalError:
                places = len(price.partition(".")[2].rstrip("0"))
                if not self._places < places <= _MAX_PLACES:
                    raise
                self._refine(places)
            else:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[price] = key
                return key

    def _refine(self, places: int) -> None:
        factor = 10 ** (places - self._places)
        self._places = places
        self._known.clear()
        for side in (self._bids, self._asks):
            # In place: the caller is in the middle of a change and holds on to the side.
            side.prices[:] = [price * factor for price in side.prices]
            levels = {price * factor: level for price, level in side.levels.items()}
            side.levels.clear()
            side.levels.update(levels)
