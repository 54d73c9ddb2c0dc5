"""From events of other venues to frames of the contract: ticker, candles and book of one symbol."""

import heapq
from collections.abc import Iterator, Sequence
from decimal import Decimal

from tickwire.record.import_events import Book, BookChange, Candle, Event, Facts, Trade, decimal_text
from tickwire.wire.envelope import data_frame
from tickwire.wire.intervals import start_of
from tickwire.wire.rows import Kline, Level

__all__ = ["MarketBuilder"]

_NO_SIZE = "0"


class MarketBuilder:
    """Makes the frames of one symbol; ``intervals`` are those of the candles made from trades."""

    def __init__(self, symbol: str, intervals: Sequence[str]) -> None:
        self._symbol = symbol
        self._ticker: dict[str, str] = {}
        self._candles: dict[str, _Candle | None] = dict.fromkeys(intervals)
        self._closed: dict[str, bool] = {}  # intervals of candles that came whole, once there was one
        self._sides = (_Side(falling=True), _Side(falling=False))
        self._seq = 0

    def frames(self, event: Event) -> Iterator[tuple[str, bytes]]:
        """What an event leads to, as topic and frame."""
        match event:
            case Trade():
                yield from self._trade(event)
                yield from self._facts(event.time, {"lastPrice": event.price})
            case Facts():
                yield from self._facts(event.time, event.fields)
            case Book():
                row = {"symbol": self._symbol, "bids": event.bids, "asks": event.asks}
                yield self._frame(f"orderbook.{self._symbol}", event.time, True, row)
                yield from self._facts(event.time, _best(event.bids, event.asks))
            case BookChange():
                yield from self._change(event)
            case Candle():
                topic = f"kline.{event.interval}.{self._symbol}"
                yield self._frame(topic, event.time, not self._closed.get(event.interval), event.row)
                self._closed[event.interval] = True
                yield from self._facts(event.time, {"lastPrice": event.row[4]})

    def _frame(self, topic: str, time: int, snapshot: bool, row: object) -> tuple[str, bytes]:
        return topic, data_frame(topic, time, "SNAPSHOT" if snapshot else "UPDATE", (row,))

    def _facts(self, time: int, fields: dict[str, str]) -> Iterator[tuple[str, bytes]]:
        changed = {name: text for name, text in fields.items() if self._ticker.get(name) != text}
        if not changed:
            return
        first = not self._ticker
        self._ticker.update(changed)
        if "bidPrice" in changed or "askPrice" in changed:
            # These two always travel together.
            changed |= {name: self._ticker[name] for name in ("bidPrice", "askPrice") if name in self._ticker}
        yield self._frame(f"ticker.{self._symbol}", time, first, {"symbol": self._symbol} | changed)

    def _trade(self, trade: Trade) -> Iterator[tuple[str, bytes]]:
        price, quantity = (Decimal(trade.price), trade.price), Decimal(trade.quantity)
        turnover = price[0] * quantity
        for interval, candle in self._candles.items():
            topic = f"kline.{interval}.{self._symbol}"
            start = start_of(interval, trade.time)
            first = candle is None
            if candle is None or start > candle.start:
                if candle is not None:
                    yield self._frame(topic, trade.time, False, candle.row())  # once more at its close
                candle = self._candles[interval] = _Candle(start, price if candle is None else candle.close)
            candle.add(price, quantity, turnover)
            yield self._frame(topic, trade.time, first, candle.row())

    def _change(self, change: BookChange) -> Iterator[tuple[str, bytes]]:
        first = not self._seq
        snapshot = change.snapshot or first
        before = self._seq
        self._seq += 1
        for side, levels in zip(self._sides, (change.bids, change.asks), strict=True):
            if snapshot:
                side.clear()
            side.update(levels)
        bids, asks = ([level for level in levels if not snapshot or level[1] != _NO_SIZE] for levels in change[3:])
        row = {
            "symbol": self._symbol,
            "seq": self._seq,
            "prevSeq": self._seq if snapshot else before,
            "bids": sorted(bids, key=lambda level: Decimal(level[0]), reverse=True) if snapshot else bids,
            "asks": sorted(asks, key=lambda level: Decimal(level[0])) if snapshot else asks,
        }
        yield self._frame(f"orderbook.delta.{self._symbol}", change.time, snapshot, row)
        best = {name: side.best for name, side in zip(("bidPrice", "askPrice"), self._sides, strict=True) if side.best}
        yield from self._facts(change.time, best)


def _best(bids: list[Level], asks: list[Level]) -> dict[str, str]:
    return {name: levels[0][0] for name, levels in (("bidPrice", bids), ("askPrice", asks)) if levels}


class _Candle:
    """A candle that trades are added to. It opens where the one before has closed. Prices go with their texts."""

    def __init__(self, start: int, opened: tuple[Decimal, str]) -> None:
        self.start = start
        self._open = self._high = self._low = self.close = opened
        self._volume = self._turnover = Decimal(0)

    def add(self, price: tuple[Decimal, str], quantity: Decimal, turnover: Decimal) -> None:
        if price[0] > self._high[0]:
            self._high = price
        elif price[0] < self._low[0]:
            self._low = price
        self.close = price
        self._volume += quantity
        self._turnover += turnover

    def row(self) -> Kline:
        sums = decimal_text("volume", f"{self._volume:f}"), decimal_text("turnover", f"{self._turnover:f}")
        return f"{self.start:019d}", self._open[1], self._high[1], self._low[1], self.close[1], *sums


class _Side:
    """One side of a book, for its best price: a heap in which prices that are gone stay until they come up."""

    def __init__(self, *, falling: bool) -> None:
        self._sign = -1 if falling else 1
        self._sizes: dict[str, str] = {}
        self._heap: list[tuple[Decimal, str]] = []

    def clear(self) -> None:
        self._sizes.clear()
        self._heap.clear()

    def update(self, levels: list[Level]) -> None:
        for price, size in levels:
            if size == _NO_SIZE:
                self._sizes.pop(price, None)
                continue
            if price not in self._sizes:
                heapq.heappush(self._heap, (self._sign * Decimal(price), price))
            self._sizes[price] = size
        # What has come and gone below the best price is thrown out now and then.
        if len(self._heap) > 64 + 4 * len(self._sizes):
            self._heap = [(self._sign * Decimal(price), price) for price in self._sizes]
            heapq.heapify(self._heap)

    @property
    def best(self) -> str | None:
        heap, sizes = self._heap, self._sizes
        while heap and heap[0][1] not in sizes:
            heapq.heappop(heap)
        return heap[0][1] if heap else None
