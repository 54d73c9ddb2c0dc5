"""The 14 candle intervals and their boundaries, in UTC nanoseconds.

Minute and hour intervals start at multiples of their length since the epoch, which for all of them means since
midnight UTC. A week starts on Monday, a month on its first day.
"""

import datetime

__all__ = ["DAY", "HOUR", "INTERVALS", "MINUTE", "SECOND", "next_start", "start_of"]

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_FIXED: dict[str, int] = {
    "1": MINUTE,
    "3": 3 * MINUTE,
    "5": 5 * MINUTE,
    "15": 15 * MINUTE,
    "30": 30 * MINUTE,
    "60": HOUR,
    "120": 2 * HOUR,
    "180": 3 * HOUR,
    "240": 4 * HOUR,
    "360": 6 * HOUR,
    "720": 12 * HOUR,
    "1D": DAY,
}
INTERVALS: tuple[str, ...] = (*_FIXED, "1W", "1M")

# 1970-01-01 was a Thursday: the first Monday is three days before it.
_WEEK_OFFSET = 3 * DAY
_EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()


def _month_start(year: int, month: int) -> int:
    return (datetime.date(year, month, 1).toordinal() - _EPOCH_ORDINAL) * DAY


def start_of(interval: str, time: int) -> int:
    """The start of the candle of ``interval`` that holds ``time`` (both in ns since the epoch)."""
    length = _FIXED.get(interval)
    if length is not None:
        return time - time % length
    if interval == "1W":
        return time - (time + _WEEK_OFFSET) % (7 * DAY)
    date = datetime.date.fromordinal(time // DAY + _EPOCH_ORDINAL)
    return _month_start(date.year, date.month)


def next_start(interval: str, start: int) -> int:
    """The start of the candle after the one that starts at ``start``."""
    length = _FIXED.get(interval)
    if length is not None:
        return start + length
    if interval == "1W":
        return start + 7 * DAY
    date = datetime.date.fromordinal(start // DAY + _EPOCH_ORDINAL)
    return _month_start(date.year + date.month // 12, date.month % 12 + 1)
