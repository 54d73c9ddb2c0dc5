"""What is known of each topic: how SNAPSHOT and UPDATE rows become the state that a reader is shown.

One class a kind of topic, all without I/O. ``snapshot`` takes the whole state, ``update`` what changed in it; both
return what readers are to get, each with a key: of two with the same key only the newer one matters. They raise
``Inconsistent`` (or ``DecimalError``) when the rows cannot follow from the state; it must then be made anew from a
SNAPSHOT.
"""

import operator
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from msgspec import UNSET

from tickwire.client.book import LocalBook
from tickwire.client.frames import BookRow, TickerRow
from tickwire.client.replies import Candle
from tickwire.wire import rows

__all__ = [
    "ENDED",
    "BookState",
    "Inconsistent",
    "Items",
    "KeyedState",
    "KlineState",
    "TickerState",
    "TopicState",
    "closed_position",
    "fill_ticker",
]

R = TypeVar("R")
S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")
Items = list[tuple[Hashable, T]]

ENDED = frozenset({"FILLED", "CANCELED", "REJECTED"})
"""Statuses of an order that is no longer in the market."""


class Inconsistent(Exception):
    """Rows that do not follow from what is known; the message says why."""


class TopicState(Protocol[R, T]):
    """What the feed of a topic needs."""

    row: Any
    """The type of the rows on the wire."""
    stands_alone: bool
    """Whether each UPDATE shows all there is to show, so that no SNAPSHOT has to come first."""

    def snapshot(self, whole: list[R], ts: str) -> Items[T]:
        """Take the whole state."""

    def update(self, changed: list[R], ts: str) -> Items[T]:
        """Take what changed."""

    def current(self) -> Items[T]:
        """The state as it is known, for a reader that comes later."""


def fill_ticker(row: Any, last: Any) -> None:
    """Give a partial ticker what was left out of it. Written out: it runs for every frame of a ticker."""
    if row.volume24h is UNSET:
        row.volume24h = last.volume24h
    if row.turnover24h is UNSET:
        row.turnover24h = last.turnover24h
    if row.price_change24h is UNSET:
        row.price_change24h = last.price_change24h
    if row.open_interest is UNSET:
        row.open_interest = last.open_interest
    if row.bid_price is UNSET:
        row.bid_price = last.bid_price
    if row.ask_price is UNSET:
        row.ask_price = last.ask_price
    if row.last_price is UNSET:
        row.last_price = last.last_price
    if row.mark_price is UNSET:
        row.mark_price = last.mark_price
    if row.index_price is UNSET:
        row.index_price = last.index_price
    if row.funding_rate is UNSET:
        row.funding_rate = last.funding_rate
    if row.next_funding_time is UNSET:
        row.next_funding_time = last.next_funding_time
    if row.funding_interval_hours is UNSET:
        row.funding_interval_hours = last.funding_interval_hours
    if row.funding_rate_cap is UNSET:
        row.funding_rate_cap = last.funding_rate_cap


_NOTHING = rows.Ticker("", None, None, None, None, None, None, None, None, None, None, None, None, None)


class TickerState:
    """One ticker. Partial rows are filled from what came before, so that readers see whole ones."""

    row: Any = TickerRow
    stands_alone: bool = False

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._last: rows.Ticker = _NOTHING

    def snapshot(self, whole: list[rows.Ticker], ts: str) -> Items[rows.Ticker]:
        """Forget what is left out of the new ticker."""
        self._last = _NOTHING
        return self.update(whole, ts)

    def update(self, changed: list[rows.Ticker], ts: str) -> Items[rows.Ticker]:  # noqa: ARG002
        """Each row as a whole ticker."""
        symbol = self._symbol
        items: Items[Any] = []
        for row in changed:
            if row.symbol != symbol:
                raise Inconsistent(f"expected rows of {symbol}, got one of {row.symbol[:40]}")
            fill_ticker(row, self._last)
            self._last = row
            items.append((symbol, row))
        return items

    def current(self) -> Items[rows.Ticker]:
        """The ticker, once there was one."""
        return [(self._symbol, self._last)] if self._last is not _NOTHING else []


class KlineState:
    """The candles of one interval. Every row is a whole candle; a candle's key is its start."""

    row: Any = Candle
    stands_alone: bool = True

    def __init__(self) -> None:
        self._last: Candle | None = None

    def snapshot(self, whole: list[Candle], ts: str) -> Items[Candle]:
        """As ``update``: past candles are not forgotten."""
        return self.update(whole, ts)

    def update(self, changed: list[Candle], ts: str) -> Items[Candle]:  # noqa: ARG002
        """The candles."""
        if changed:
            self._last = changed[-1]
        return [(candle.start_time, candle) for candle in changed]

    def current(self) -> Items[Candle]:
        """The open candle."""
        return [(self._last.start_time, self._last)] if self._last is not None else []


class BookState:
    """One book, by pictures and changes. What readers get is the live book; they take their own picture of it."""

    row: Any = BookRow
    stands_alone: bool = False

    def __init__(self, symbol: str) -> None:
        self.book = LocalBook(symbol)
        self._items: Items[LocalBook] = [(symbol, self.book)]
        self.repeated = 0  # changes that had been applied already

    def snapshot(self, whole: list[BookRow], ts: str) -> Items[LocalBook]:
        """A whole picture."""
        if len(whole) != 1:
            raise Inconsistent(f"expected one row with the whole book, got {len(whole)}")
        row = whole[0]
        book = self.book
        self._belongs(row)
        book.replace(row.bids, row.asks)
        book.seq = row.seq
        return self._checked(ts)

    def update(self, changed: list[BookRow], ts: str) -> Items[LocalBook]:
        """Changes, which must follow one another where they are numbered."""
        book = self.book
        for row in changed:
            if row.symbol != book.symbol:
                self._belongs(row)
            seq, last = row.seq, book.seq
            if seq is not None and last is not None and row.prev_seq != last:
                if seq <= last:
                    self.repeated += 1
                    continue
                if row.prev_seq is not None:
                    raise Inconsistent(f"expected the change after {last}, got the one after {row.prev_seq}")
            book.change(row.bids, row.asks)
            book.seq = seq
        return self._checked(ts)

    def current(self) -> Items[LocalBook]:
        """The book."""
        return self._items

    def _belongs(self, row: BookRow) -> None:
        if row.symbol != self.book.symbol:
            raise Inconsistent(f"expected rows of {self.book.symbol}, got one of {row.symbol[:40]}")

    def _checked(self, ts: str) -> Items[LocalBook]:
        if self.book.crossed:
            top = self.book.top(1)
            raise Inconsistent(f"expected the bid below the ask, got {top.bids[0][0]} and {top.asks[0][0]}")
        self.book.ts = ts
        return self._items


class KeyedState(Generic[S]):
    """Whole rows, one for each key: balances by asset, positions by symbol, orders by id, or just one row.

    ``keep`` says whether a row is still part of the state after its change (an order that has ended is not).
    ``gone`` makes the row that tells readers of one that is missing in a new SNAPSHOT; without it nobody is told.
    """

    stands_alone: bool = False

    def __init__(
        self,
        row: type[S],
        key: str = "",
        *,
        keep: Callable[[S], bool] = lambda row: True,  # noqa: ARG005
        gone: Callable[[S], S] | None = None,
    ) -> None:
        self.row = row
        self.rows: dict[Hashable, S] = {}
        self.missing: dict[Hashable, S] = {}  # what the newest SNAPSHOT had no longer
        self._key: Callable[[S], Hashable] = operator.attrgetter(key) if key else lambda row: ""  # noqa: ARG005
        self._keep = keep
        self._gone = gone

    def snapshot(self, whole: list[S], ts: str) -> Items[S]:
        """The whole state. What is missing in it is told first."""
        before, self.rows = self.rows, {}
        items = self.update(whole, ts)
        self.missing = {key: row for key, row in before.items() if key not in self.rows}
        if self._gone is None:
            return items
        return [(key, self._gone(row)) for key, row in self.missing.items()] + items

    def update(self, changed: list[S], ts: str) -> Items[S]:  # noqa: ARG002
        """Rows that changed, whole."""
        items: Items[S] = []
        for row in changed:
            key = self._key(row)
            if self._keep(row):
                self.rows[key] = row
            else:
                self.rows.pop(key, None)
            items.append((key, row))
        return items

    def current(self) -> Items[S]:
        """All rows."""
        return list(self.rows.items())


def closed_position(row: rows.Position) -> rows.Position:
    """The row that the exchange sends for a position that is closed, made from its last one."""
    nothing: Iterable[str] = (
        "position_side",
        "mark_price",
        "unrealized_pnl",
        "initial_margin",
        "maint_margin",
        "entry_price",
        "break_even_price",
        "liquidation_price",
        "total_fee",
    )
    return msgspec.structs.replace(row, position_qty="0", position_amount="0", **dict.fromkeys(nothing))
