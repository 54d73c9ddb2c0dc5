"""Durations, sizes and times as people write them on a command line."""

import re
from datetime import UTC, datetime

__all__ = ["parse_duration", "parse_size", "parse_time"]

_SECOND = 1_000_000_000
_DURATIONS = {
    "ms": 1_000_000,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3_600 * _SECOND,
    "d": 86_400 * _SECOND,
}
_SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_NUMBER = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?([a-zA-Z]*)")
_NANOSECONDS = re.compile(r"[0-9]{19}")
# 19 digits and 64 bits end there.
_LATEST = 2**63 - 1


def parse_duration(text: str) -> int:
    """``90s``, ``1.5h`` in ns. Raises ``ValueError``."""
    return _scaled(text, _DURATIONS, "a duration such as 90s, 15m or 1h")


def parse_size(text: str) -> int:
    """``200MB`` in bytes. Raises ``ValueError``."""
    return _scaled(text, _SIZES, "a size such as 200MB or 1GB")


def parse_time(text: str, begin: int) -> int:
    """A time in ns since the epoch: 19 digits, ISO 8601 (UTC unless it says otherwise), or ``+10m`` after ``begin``.

    Raises ``ValueError``.
    """
    if text.startswith("+"):
        return begin + parse_duration(text[1:])
    if _NANOSECONDS.fullmatch(text):
        value = int(text)
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"expected a time such as 2026-11-24T12:30:00, +10m or 19 digits of nanoseconds, got {text!r}"
            ) from None
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        elapsed = moment - datetime(1970, 1, 1, tzinfo=UTC)
        value = (elapsed.days * 86_400 + elapsed.seconds) * _SECOND + elapsed.microseconds * 1_000
    if not 0 <= value <= _LATEST:
        raise ValueError(f"expected a time from 1970 to 2262, got {text!r}")
    return value


def _scaled(text: str, units: dict[str, int], expected: str) -> int:
    match = _NUMBER.fullmatch(text)
    unit = None if match is None else units.get(match[3])
    if match is None or unit is None:
        raise ValueError(f"expected {expected}, got {text!r}")
    fraction = match[2] or ""
    value: int = int(match[1] + fraction) * unit // 10 ** len(fraction)
    if value <= 0:
        raise ValueError(f"expected {expected}, got {text!r}")
    return value
