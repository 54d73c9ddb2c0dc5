"""CSV files of tardis.dev: trades, incremental_book_L2, book_snapshot_5 and _25, derivative_ticker.

Their times are in microseconds: ``timestamp`` of the exchange, ``local_timestamp`` of receipt. Rows are in the order of
the latter. https://docs.tardis.dev/downloadable-csv-files describes them.
"""

from collections.abc import Callable, Iterator
from itertools import groupby

from tickwire.record.import_events import (
    BadFile,
    BadRow,
    Book,
    BookChange,
    Event,
    Facts,
    Row,
    Source,
    Trade,
    decimal_text,
    number,
)
from tickwire.wire.rows import Level

__all__ = ["tardis_source"]

_MICROSECOND = 1_000
_BOOK = ("timestamp", "local_timestamp", "is_snapshot", "side", "price", "amount")
_TRADE = ("timestamp", "local_timestamp", "side", "price", "amount")
_TICKER = {
    "open_interest": "openInterest",
    "last_price": "lastPrice",
    "index_price": "indexPrice",
    "mark_price": "markPrice",
}

Refuse = Callable[[Row, BadRow], None]


def tardis_source(name: str, columns: list[str] | None) -> Source:
    """What a file is, by its header. Raises ``BadFile``."""
    if columns is None or "local_timestamp" not in columns:
        raise BadFile(
            f"{name}: line 1: expected the header of a tardis.dev file, got {','.join(columns or ['none'])[:80]}"
        )
    if set(_BOOK) <= set(columns):
        return _Changes(columns)
    if "bids[0].price" in columns and "asks[0].price" in columns:
        return _Snapshots(columns)
    if set(_TRADE) <= set(columns):
        return _Trades(columns)
    if "mark_price" in columns and "funding_rate" in columns:
        return _Ticker(columns)
    raise BadFile(
        f"{name}: line 1: expected trades, incremental_book_L2, book_snapshot_* or derivative_ticker, got columns "
        + ",".join(columns)[:120]
    )


class _Tardis:
    """What all of them have in common."""

    def __init__(self, columns: list[str]) -> None:
        self._place = {column: place for place, column in enumerate(columns)}
        self._symbol = self._place.get("symbol")
        self._received = self._place["local_timestamp"]
        self._time = self._place["timestamp"]
        self._known: str | None = None

    def times(self, row: Row) -> tuple[int, int]:
        """Times of receipt and of the exchange, in ns. Raises ``BadRow``, also for a second symbol."""
        values = row.values
        if self._symbol is not None:
            symbol = values[self._symbol]
            if self._known is None:
                self._known = symbol
            elif symbol != self._known:
                raise BadRow(f"symbol: expected {self._known} as before, got {symbol[:40]!r}: a file for each, please")
        return (
            number("local_timestamp", values[self._received]) * _MICROSECOND,
            number("timestamp", values[self._time]) * _MICROSECOND,
        )


class _Trades(_Tardis):
    topics = ("ticker.{symbol}", "kline.{interval}.{symbol}")

    def events(self, rows: Iterator[Row], refuse: Refuse) -> Iterator[Event]:
        price, amount = self._place["price"], self._place["amount"]
        for row in rows:
            try:
                received, time = self.times(row)
                yield Trade(
                    received, time, decimal_text("price", row.values[price]), decimal_text("amount", row.values[amount])
                )
            except BadRow as error:
                refuse(row, error)


class _Changes(_Tardis):
    topics = ("ticker.{symbol}", "orderbook.delta.{symbol}")

    def events(self, rows: Iterator[Row], refuse: Refuse) -> Iterator[Event]:
        """All rows of one message, which have their time of receipt in common, are one change."""
        snapshot_before = False
        for (received, snapshot), group in groupby(self._levels(rows, refuse), key=lambda level: level[:2]):
            sides: dict[str, dict[str, str]] = {"bid": {}, "ask": {}}
            time = 0
            for _, _, time, side, (price, size) in group:  # noqa: B007  # the time of the last one is used
                sides[side][price] = size  # and of a price its last size
            # A snapshot in several messages begins with the first of them.
            bids, asks = (list(levels.items()) for levels in sides.values())
            yield BookChange(received, time, snapshot and not snapshot_before, bids, asks)
            snapshot_before = snapshot

    def _levels(self, rows: Iterator[Row], refuse: Refuse) -> Iterator[tuple[int, bool, int, str, Level]]:
        snapshot, side, price, amount = (self._place[name] for name in _BOOK[2:])
        for row in rows:
            values = row.values
            try:
                received, time = self.times(row)
                if values[snapshot] not in ("true", "false"):
                    raise BadRow(f"is_snapshot: expected true or false, got {values[snapshot][:40]!r}")
                if values[side] not in ("bid", "ask"):
                    raise BadRow(f"side: expected bid or ask, got {values[side][:40]!r}")
                level = decimal_text("price", values[price]), decimal_text("amount", values[amount], zero=True)
                yield received, values[snapshot] == "true", time, values[side], level
            except BadRow as error:
                refuse(row, error)


class _Snapshots(_Tardis):
    topics = ("ticker.{symbol}", "orderbook.{symbol}")

    def __init__(self, columns: list[str]) -> None:
        super().__init__(columns)
        self._sides = tuple(
            [
                (self._place[f"{side}[{level}].price"], self._place[f"{side}[{level}].amount"])
                for level in range(len(columns))
                if f"{side}[{level}].price" in self._place and f"{side}[{level}].amount" in self._place
            ]
            for side in ("bids", "asks")
        )

    def events(self, rows: Iterator[Row], refuse: Refuse) -> Iterator[Event]:
        for row in rows:
            try:
                received, time = self.times(row)
                # Levels that a thin book does not have are empty.
                bids, asks = (
                    [
                        (decimal_text("price", row.values[price]), decimal_text("amount", row.values[amount]))
                        for price, amount in side
                        if row.values[price]
                    ]
                    for side in self._sides
                )
                yield Book(received, time, bids, asks)
            except BadRow as error:
                refuse(row, error)


class _Ticker(_Tardis):
    topics = ("ticker.{symbol}",)

    def events(self, rows: Iterator[Row], refuse: Refuse) -> Iterator[Event]:
        rate, due = self._place["funding_rate"], self._place.get("funding_timestamp")
        fields = [(self._place[column], name) for column, name in _TICKER.items() if column in self._place]
        for row in rows:
            values = row.values
            try:
                received, time = self.times(row)
                found = {name: decimal_text(name, values[place], zero=True) for place, name in fields if values[place]}
                if values[rate]:
                    sign = "-" if values[rate].startswith("-") else ""
                    found["fundingRate"] = sign + decimal_text(
                        "funding_rate", values[rate].removeprefix("-"), zero=True
                    )
                    found["fundingRate"] = "0" if found["fundingRate"] == "-0" else found["fundingRate"]
                if due is not None and values[due]:
                    found["nextFundingTime"] = f"{number('funding_timestamp', values[due]) * _MICROSECOND:019d}"
                yield Facts(received, time, found)
            except BadRow as error:
                refuse(row, error)
