"""Query strings: from the raw bytes to named texts, and the texts that are times."""

import re
from urllib.parse import unquote_to_bytes

from tickwire.wire.errors import ApiError

__all__ = ["parse_period", "parse_query"]

_TIME = re.compile(r"[0-9]{19}")
# What the journal can hold.
_LATEST = 2**63 - 1


def parse_query(query: bytes, names: frozenset[str], integers: frozenset[str]) -> dict[str, str]:
    """The parameters of ``names``; others are ignored, whatever they hold.

    Raises ``ApiError`` InvalidParameter for a repeated one, for one that is not UTF-8, and for one of ``integers``
    that is not made of digits (the decoder behind would take ``1e2``).
    """
    parameters: dict[str, str] = {}
    for part in query.split(b"&"):
        raw_name, _, raw_value = part.partition(b"=")
        name = _decoded(raw_name, "replace")
        if name not in names:
            continue
        if name in parameters:
            raise ApiError("InvalidParameter", f"{name}: expected at most once, got it again")
        try:
            value = _decoded(raw_value, "strict")
        except UnicodeDecodeError:
            raise ApiError("InvalidParameter", f"{name}: expected UTF-8, got {raw_value[:40]!r}") from None
        if name in integers and not (value.isascii() and value.isdigit()):
            raise ApiError("InvalidParameter", f"{name}: expected digits, got {value[:40]!r}")
        parameters[name] = value
    return parameters


def _decoded(raw: bytes, errors: str) -> str:
    if b"%" in raw or b"+" in raw:
        raw = unquote_to_bytes(raw.replace(b"+", b" "))
    return raw.decode("utf-8", errors)


def parse_period(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """``startTime`` and ``endTime``, ns since the epoch. Raises ``ApiError`` InvalidParameter that names the field."""
    first, last = _time("startTime", start), _time("endTime", end)
    if first is not None and last is not None and last < first:
        raise ApiError("InvalidParameter", f"endTime: expected startTime {first} or later, got {last}")
    return first, last


def _time(field: str, text: str | None) -> int | None:
    if text is None:
        return None
    # Seconds and milliseconds are what people send by mistake: they would silently mean 1970.
    if _TIME.fullmatch(text) is None:
        raise ApiError(
            "InvalidParameter", f"{field}: expected nanoseconds since the epoch (19 digits), got {text[:40]!r}"
        )
    value = int(text)
    if value > _LATEST:
        raise ApiError("InvalidParameter", f"{field}: expected at most {_LATEST}, got {text}")
    return value
