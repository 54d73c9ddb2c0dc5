"""Candles of the 14 intervals, and the statistics of the last 24 hours.

A trade touches the open minute only. When a minute closes it is folded into the open candles of the 13 larger
intervals, so these are at any time what was folded so far, merged with the open minute. Candles without a trade
repeat the last close with zero volume; a series begins with the first trade or with the backfilled past.
"""

import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from tickwire.wire.intervals import DAY, INTERVALS, MINUTE, next_start, start_of

__all__ = ["Candle", "CandleSeries", "Candles"]

MINUTES_A_DAY = DAY // MINUTE

# A row as it is stored: start, open, high, low, close, volume, turnover // SPLIT, turnover % SPLIT. Turnover is split
# because a month's turnover in 10**-8 can outgrow 64 bits.
_WIDTH = 8
_SPLIT = 10**12
_ROW_BYTES = 8 * _WIDTH
# Rows are trimmed and, for snapshots, packed in blocks of so many, so that the cost of moving the array is paid once in
# a while, and a candle is packed once and not with every snapshot.
_BLOCK = 64


class Candle:
    """One candle: prices in ticks, volume in steps, turnover in money."""

    __slots__ = ("close", "high", "low", "open", "start", "turnover", "volume")

    def __init__(self, start: int, open: int, high: int, low: int, close: int, volume: int, turnover: int) -> None:
        self.start = start
        self.open = open
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume
        self.turnover = turnover

    @classmethod
    def flat(cls, start: int, price: int) -> "Candle":
        """A candle without a trade."""
        return cls(start, price, price, price, price, 0, 0)

    def values(self) -> tuple[int, int, int, int, int, int, int]:
        """All fields in the wire's order."""
        return (self.start, self.open, self.high, self.low, self.close, self.volume, self.turnover)

    def merge(self, later: "Candle") -> None:
        """Add a later part of the same interval."""
        if later.high > self.high:
            self.high = later.high
        if later.low < self.low:
            self.low = later.low
        self.close = later.close
        self.volume += later.volume
        self.turnover += later.turnover


class CandleSeries:
    """Closed candles of one interval, oldest first, ``retention`` of them and less than a block more."""

    __slots__ = ("_packed", "interval", "retention", "rows")

    def __init__(self, interval: str, retention: int) -> None:
        self.interval = interval
        self.retention = retention
        self.rows = array("q")
        self._packed: list[bytes] = []  # the first whole blocks of the rows, as far as they have been dumped

    def __len__(self) -> int:
        return len(self.rows) // _WIDTH

    def __getitem__(self, index: int) -> Candle:
        """The candle at a non-negative index."""
        start, open, high, low, close, volume, major, minor = self.rows[index * _WIDTH : (index + 1) * _WIDTH]
        return Candle(start, open, high, low, close, volume, major * _SPLIT + minor)

    def append(self, candle: Candle) -> None:
        """Add the next closed candle; the oldest ones go when there are too many."""
        start, open, high, low, close, volume, turnover = candle.values()
        self.rows.extend((start, open, high, low, close, volume, turnover // _SPLIT, turnover % _SPLIT))
        if len(self) >= self.retention + _BLOCK:
            del self.rows[: _BLOCK * _WIDTH]
            del self._packed[:1]

    def clear(self) -> None:
        """Forget all candles."""
        del self.rows[:]
        self._packed.clear()

    def first_from(self, start: int) -> int:
        """The index of the first candle that starts at or after ``start``."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.rows[middle * _WIDTH] < start:
                low = middle + 1
            else:
                high = middle
        return low

    def dump(self) -> list[bytes]:
        """The rows for a snapshot: whole blocks packed, the rest plain."""
        size = _BLOCK * _WIDTH
        for end in range((len(self._packed) + 1) * size, len(self.rows) + 1, size):
            self._packed.append(_pack(self.rows[end - size : end].tobytes()))
        return [*self._packed, self.rows[len(self._packed) * size :].tobytes()]

    def load(self, blocks: list[bytes]) -> None:
        """Take over what ``dump`` gave."""
        *self._packed, rest = blocks
        self.rows = array("q", b"".join(map(_unpack, self._packed)) + rest)


def _pack(rows: bytes) -> bytes:
    """A block compressed to a third: first bytes of all rows, then second bytes, and so on, which suits deflate."""
    return zlib.compress(b"".join([rows[place::_ROW_BYTES] for place in range(_ROW_BYTES)]), 1)


def _unpack(packed: bytes) -> bytes:
    columns = zlib.decompress(packed)
    return b"".join([columns[row::_BLOCK] for row in range(_BLOCK)])


class Candles:
    """All intervals of one market."""

    __slots__ = ("_opening", "minute", "open", "series", "turnover_day", "volume_day")

    def __init__(self, retention: int) -> None:
        # At least one minute more than a day, for the 24-hour statistics.
        self.series = {i: CandleSeries(i, max(retention, MINUTES_A_DAY + 1)) for i in INTERVALS}
        self.minute: Candle | None = None  # the open minute; None before the first trade
        self.open: dict[str, Candle] = {}  # larger intervals: what is folded so far, if anything
        # Sums over the closed minutes that count for the last 24 hours (the open minute comes on top).
        self.volume_day = 0
        self.turnover_day = 0

    @property
    def next_close(self) -> int | None:
        """When the open minute ends."""
        return None if self.minute is None else self.minute.start + MINUTE

    def trade(self, time: int, price: int, quantity: int, turnover: int) -> None:
        """Count one trade. The caller has closed what ended before ``time``."""
        minute = self.minute
        if minute is None:
            self.minute = Candle(start_of("1", time), price, price, price, price, quantity, turnover)
            return
        if not minute.volume and not self.series["1"].rows and not self.open:
            minute.open = minute.high = minute.low = price
        if price > minute.high:
            minute.high = price
        if price < minute.low:
            minute.low = price
        minute.close = price
        minute.volume += quantity
        minute.turnover += turnover

    def current(self, interval: str) -> Candle | None:
        """The open candle of an interval (a copy), or ``None`` before the first trade."""
        minute = self.minute
        if minute is None:
            return None
        folded = self.open.get(interval)
        if folded is None:
            candle = Candle(*minute.values())
            candle.start = start_of(interval, minute.start)
            return candle
        candle = Candle(*folded.values())
        candle.merge(minute)
        return candle

    def advance(self, time: int) -> list[tuple[str, Candle]]:
        """Close every candle that ends at or before ``time``, oldest first; without a trade one repeats the close."""
        minute = self.minute
        retention = self.series["1"].retention
        if minute is not None and (time - minute.start) // MINUTE > 2 * retention:
            self._skip(start_of("1", time) - retention * MINUTE)
        closed: list[tuple[str, Candle]] = []
        minute = self.minute
        while minute is not None and minute.start + MINUTE <= time:
            end = minute.start + MINUTE
            self._count_day(minute)
            self.series["1"].append(minute)
            closed.append(("1", minute))
            for interval in INTERVALS[1:]:
                folded = self.open.get(interval)
                if folded is None:
                    folded = Candle(*minute.values())
                    folded.start = start_of(interval, minute.start)
                    self.open[interval] = folded
                else:
                    folded.merge(minute)
                if next_start(interval, folded.start) <= end:
                    self.series[interval].append(folded)
                    closed.append((interval, folded))
                    del self.open[interval]
            minute = self.minute = Candle.flat(end, minute.close)
        return closed

    def _skip(self, until: int) -> None:
        """Pass over a long stop up to the minute ``until``: the minutes before it would not be kept anyway.

        The larger intervals are complete all the same, since a flat minute adds nothing but its close.
        """
        minute = self.minute
        assert minute is not None
        for interval in INTERVALS[1:]:
            candle = self.open.pop(interval, None)
            if candle is None:
                candle = Candle(*minute.values())
                candle.start = start_of(interval, minute.start)
            else:
                candle.merge(minute)
            while (following := next_start(interval, candle.start)) <= until:
                self.series[interval].append(candle)
                candle = Candle.flat(following, minute.close)
            if candle.start < until:
                self.open[interval] = candle
        # What is left would be a gap in the minutes, which are counted by place, and has no part in the last day.
        self.series["1"].clear()
        self.volume_day = self.turnover_day = 0
        self.minute = Candle.flat(until, minute.close)

    def _count_day(self, minute: Candle) -> None:
        self.volume_day += minute.volume
        self.turnover_day += minute.turnover
        # The window is the open minute and the 1,439 before it.
        leaving = len(self.series["1"]) - (MINUTES_A_DAY - 1)
        if leaving >= 0:
            old = self.series["1"][leaving]
            self.volume_day -= old.volume
            self.turnover_day -= old.turnover

    def statistics(self) -> tuple[int, int, int] | None:
        """Volume (steps), turnover (money) and price change (ticks) of the last 24 hours."""
        minute = self.minute
        if minute is None:
            return None
        minutes = self.series["1"]
        first = max(0, len(minutes) - (MINUTES_A_DAY - 1))
        opened = minutes[first].open if len(minutes) else minute.open
        return self.volume_day + minute.volume, self.turnover_day + minute.turnover, minute.close - opened

    def backfill(self, interval: str, rows: Sequence[tuple[int, int, int, int, int, int, int]], time: int) -> None:
        """Set the past of a series; the newest row may be of the candle that is open at ``time``.

        Minutes come first. An open larger candle counts all up to ``time``, the open minute included; what is kept
        for it is the part without that minute.
        """
        series = self.series[interval]
        for row in rows:
            candle = Candle(*row)
            if candle.start < start_of(interval, time):
                series.append(candle)
            elif interval == "1":
                self.minute = candle
            elif self.minute is None or candle.start < self.minute.start:
                if self.minute is not None:
                    candle.volume -= self.minute.volume
                    candle.turnover -= self.minute.turnover
                self.open[interval] = candle
        if interval == "1":
            if self.minute is None and len(series):
                self.minute = Candle.flat(start_of("1", time), series[len(series) - 1].close)
            for index in range(max(0, len(series) - (MINUTES_A_DAY - 1)), len(series)):
                self.volume_day += series[index].volume
                self.turnover_day += series[index].turnover

    def between(self, interval: str, start: int | None, end: int | None, limit: int) -> Iterator[Candle]:
        """Candles that start in [start, end], oldest first, the open one included.

        With ``start`` the first ``limit`` of them, without it the last.
        """
        series, current = self.series[interval], self.current(interval)
        first = 0 if start is None else series.first_from(start)
        last = len(series) if end is None else series.first_from(end + 1)
        with_current = current is not None and (start or 0) <= current.start and (end is None or current.start <= end)
        available = max(0, last - first)
        total = available + with_current
        skipped = max(0, total - limit) if start is None else 0
        taken = min(total - skipped, limit)
        for index in range(first + skipped, first + min(available, skipped + taken)):
            yield series[index]
        if with_current and current is not None and skipped + taken > available:
            yield current

    def dump(self) -> list[object]:
        """The state as plain values for a snapshot."""
        return [
            [self.series[i].dump() for i in INTERVALS],
            [(i, _plain(candle)) for i, candle in sorted(self.open.items())],
            None if self.minute is None else _plain(self.minute),
            [str(self.volume_day), str(self.turnover_day)],
        ]

    def load(self, state: Any) -> None:
        """Take over what ``dump`` gave."""
        series, opened, minute, (volume, turnover) = state
        for interval, blocks in zip(INTERVALS, series, strict=True):
            self.series[interval].load(blocks)
        self.open = {interval: _candle(values) for interval, values in opened}
        self.minute = None if minute is None else _candle(minute)
        self.volume_day, self.turnover_day = int(volume), int(turnover)


def _plain(candle: Candle) -> list[object]:
    *head, turnover = candle.values()
    return [*head, str(turnover)]


def _candle(values: list[Any]) -> Candle:
    start, open, high, low, close, volume, turnover = values
    return Candle(start, open, high, low, close, volume, int(turnover))
