"""CSV files of Binance's public data: trades, aggTrades, klines, bookTicker, bookDepth.

Their times are in milliseconds, in newer files of the spot market in microseconds. Older files have no header: what
they are is then read from their names, such as ``BTCUSDT-aggTrades-2024-01-01.zip``.
https://github.com/binance/binance-public-data describes them.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby

from tickwire.record.import_events import (
    BadFile,
    BadRow,
    Book,
    Candle,
    Event,
    Facts,
    Row,
    Source,
    Trade,
    decimal_text,
    number,
)
from tickwire.wire.intervals import DAY, HOUR, MINUTE

__all__ = ["binance_source"]

Refuse = Callable[[Row, BadRow], None]

# The columns of files without a header; what stands behind them is of no use here.
_HEADERLESS = {
    "trades": ("id", "price", "qty", "quote_qty", "time"),
    "aggTrades": ("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time"),
    "klines": ("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume"),
}
_NAME = re.compile(r"-(trades|aggTrades|bookTicker|bookDepth|[0-9]+(?:m|h|d|w|mo))-")
_INTERVALS = {
    MINUTE: "1", 3 * MINUTE: "3", 5 * MINUTE: "5", 15 * MINUTE: "15", 30 * MINUTE: "30", HOUR: "60",
    2 * HOUR: "120", 3 * HOUR: "180", 4 * HOUR: "240", 6 * HOUR: "360", 12 * HOUR: "720", DAY: "1D", 7 * DAY: "1W",
}  # fmt: skip
# The average price of a band of bookDepth, which is a quotient.
_DEPTH_PLACES = Decimal("0.0001")


def binance_source(name: str, columns: list[str] | None) -> Source:
    """What a file is, by its header or its name. Raises ``BadFile``."""
    if columns is None:
        match = _NAME.search(name.replace("\\", "/").rpartition("/")[2])
        kind = "" if match is None else match[1]
        names = _HEADERLESS.get(kind, _HEADERLESS["klines"] if kind[:1].isdigit() else None)
        if names is None:
            raise BadFile(
                f"{name}: line 1: expected a header, or a name such as BTCUSDT-aggTrades-2024-01-01.zip, got neither"
            )
        columns = list(names)
    there = set(columns)
    if {"price", "qty", "time"} <= there:
        return _Trades(columns, "qty", "time")
    if {"price", "quantity", "transact_time"} <= there:
        return _Trades(columns, "quantity", "transact_time")
    if set(_HEADERLESS["klines"]) <= there:
        return _Klines(columns)
    if {"best_bid_price", "best_ask_price"} <= there and there & {"event_time", "transaction_time"}:
        return _Quotes(columns)
    if {"timestamp", "percentage", "depth", "notional"} <= there:
        return _Depth(columns)
    raise BadFile(
        f"{name}: line 1: expected trades, aggTrades, klines, bookTicker or bookDepth, got columns "
        + ",".join(columns)[:120]
    )


def _nanoseconds(name: str, text: str) -> int:
    value = number(name, text)
    for digits, unit in ((13, 10**6), (16, 10**3), (19, 1)):
        if len(text) == digits:
            return value * unit
    raise BadRow(f"{name}: expected milliseconds, microseconds or nanoseconds since the epoch, got {text}")


class _Trades:
    topics = ("ticker.{symbol}", "kline.{interval}.{symbol}")

    def __init__(self, columns: list[str], quantity: str, time: str) -> None:
        self._price, self._quantity, self._time = map(columns.index, ("price", quantity, time))
        self._names = (quantity, time)

    def events(self, rows: Iterator[Row], refuse: Refuse) -> Iterator[Event]:
        quantity, moment = self._names
        for row in rows:
            values = row.values
            try:
                time = _nanoseconds(moment, values[self._time])
                price = decimal_text("price", values[self._price])
                yield Trade(time, time, price, decimal_text(quantity, values[self._quantity]))
            except BadRow as error:
                refuse(row, error)


class _Klines:
    topics = ("ticker.{symbol}", "kline.{interval}.{symbol}")

    def __init__(self, columns: list[str]) -> None:
        self._places = [columns.index(name) for name in _HEADERLESS["klines"]]

    def events(self, rows: Iterator[Row], refuse: Refuse) -> Iterator[Event]:
        for row in rows:
            opened, *prices, volume, closed, turnover = (row.values[place] for place in self._places)
            try:
                start, end = _nanoseconds("open_time", opened), _nanoseconds("close_time", closed)
                # The close time is the last unit before the next candle.
                length = end - start + (10**6 if len(closed) == 13 else 10**3)
                interval = "1M" if 28 * DAY <= length <= 31 * DAY else _INTERVALS.get(length)
                if interval is None:
                    raise BadRow(f"close_time: expected an interval that the API has, got {length // 10**9} s")
                texts = [decimal_text("price", price) for price in prices]
                amounts = [decimal_text("volume", text, zero=True) for text in (volume, turnover)]
                candle = (f"{start:019d}", texts[0], texts[1], texts[2], texts[3], amounts[0], amounts[1])
                yield Candle(end, end, interval, candle)
            except BadRow as error:
                refuse(row, error)


class _Quotes:
    topics = ("ticker.{symbol}",)

    def __init__(self, columns: list[str]) -> None:
        self._bid, self._ask = columns.index("best_bid_price"), columns.index("best_ask_price")
        self._name = "event_time" if "event_time" in columns else "transaction_time"
        self._time = columns.index(self._name)

    def events(self, rows: Iterator[Row], refuse: Refuse) -> Iterator[Event]:
        for row in rows:
            values = row.values
            try:
                time = _nanoseconds(self._name, values[self._time])
                bid = decimal_text("best_bid_price", values[self._bid])
                ask = decimal_text("best_ask_price", values[self._ask])
                yield Facts(time, time, {"bidPrice": bid, "askPrice": ask})
            except BadRow as error:
                refuse(row, error)


class _Depth:
    """What lies within some percent of the middle, added up: a book of as many levels as there are bands.

    The price of a level is the average within its band.
    """

    topics = ("ticker.{symbol}", "orderbook.{symbol}")

    def __init__(self, columns: list[str]) -> None:
        self._places = [columns.index(name) for name in ("timestamp", "percentage", "depth", "notional")]

    def events(self, rows: Iterator[Row], refuse: Refuse) -> Iterator[Event]:
        for time, group in groupby(self._bands(rows, refuse), key=lambda band: band[0]):
            sides: dict[bool, list[tuple[Decimal, Decimal, Decimal]]] = {False: [], True: []}
            for _, percent, depth, notional in group:
                sides[percent > 0].append((abs(percent), depth, notional))
            yield Book(time, time, self._levels(sides[False]), self._levels(sides[True]))

    def _bands(self, rows: Iterator[Row], refuse: Refuse) -> Iterator[tuple[int, Decimal, Decimal, Decimal]]:
        for row in rows:
            moment, percentage, depth, notional = (row.values[place] for place in self._places)
            try:
                sign = -1 if percentage.startswith("-") else 1
                percent = sign * Decimal(decimal_text("percentage", percentage.removeprefix("-")))
                sums = [Decimal(decimal_text(name, text)) for name, text in (("depth", depth), ("notional", notional))]
                yield _moment(moment), percent, sums[0], sums[1]
            except BadRow as error:
                refuse(row, error)

    @staticmethod
    def _levels(bands: list[tuple[Decimal, Decimal, Decimal]]) -> list[tuple[str, str]]:
        levels = []
        depth_before = notional_before = Decimal(0)
        for _, depth, notional in sorted(bands):
            quantity, value = depth - depth_before, notional - notional_before
            if quantity > 0 and value > 0:
                price = (value / quantity).quantize(_DEPTH_PLACES)
                if price:
                    levels.append((decimal_text("price", f"{price:f}"), decimal_text("depth", f"{quantity:f}")))
            depth_before, notional_before = depth, notional
        return levels


def _moment(text: str) -> int:
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise BadRow(f"timestamp: expected a time such as 2024-01-01 00:00:08, got {text[:40]!r}") from None
    return int(moment.timestamp()) * 10**9
