"""What files of other venues tell, in one form whatever the venue, and what is wrong with a row."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, Protocol

from tickwire.wire.rows import Kline, Level

__all__ = [
    "BadFile",
    "BadRow",
    "Book",
    "BookChange",
    "Candle",
    "Event",
    "Facts",
    "Row",
    "Source",
    "Trade",
    "decimal_text",
    "number",
]

_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class BadRow(ValueError):
    """A row that can't be used; the message says what was expected and what was there."""


class BadFile(Exception):
    """A file that can't be used, or not any further; the message names it, and the line."""


class Trade(NamedTuple):
    """Somebody traded. Times are ns since the epoch: ``received`` when it was heard of, ``time`` when it happened."""

    received: int
    time: int
    price: str
    quantity: str


class Facts(NamedTuple):
    """Fields of the ticker, by their names on the wire."""

    received: int
    time: int
    fields: dict[str, str]


class Book(NamedTuple):
    """The top of the book, whole, best first."""

    received: int
    time: int
    bids: list[Level]
    asks: list[Level]


class BookChange(NamedTuple):
    """Levels with their new sizes, zero for none; with ``snapshot`` nothing else is left of what was before."""

    received: int
    time: int
    snapshot: bool
    bids: list[Level]
    asks: list[Level]


class Candle(NamedTuple):
    """A closed candle."""

    received: int
    time: int
    interval: str
    row: Kline


Event = Trade | Facts | Book | BookChange | Candle


class Row(NamedTuple):
    """A row of a file by the names of its columns; ``line`` counts from 1."""

    line: int
    values: list[str]


class Source(Protocol):
    """A kind of file: which topics it fills, and how its rows become events."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Templates of topic names with ``{symbol}`` in them; one with ``{interval}`` stands for all that are made."""

    def events(self, rows: Iterator[Row], refuse: Callable[[Row, BadRow], None]) -> Iterator[Event]:
        """The events of the rows, in their order; a row that can't be used is handed to ``refuse`` and passed over."""


def decimal_text(name: str, text: str, *, zero: bool = False) -> str:
    """A number of a file as a decimal of the contract, in its shortest form. Raises ``BadRow``.

    ``zero`` takes nothing but zero as well, as the size of a level that is gone.
    """
    if _PLAIN.fullmatch(text) is None:
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise BadRow(f"{name}: expected a number, got {text[:40]!r}") from None
        if not value.is_finite() or value < 0 or abs(value.adjusted()) > 30:
            raise BadRow(f"{name}: expected a number that is not negative, got {text[:40]!r}")
        text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if len(text) > 40:
        raise BadRow(f"{name}: expected at most 40 digits, got {len(text)}")
    if not zero and not text.strip("0."):
        raise BadRow(f"{name}: expected more than zero, got {text[:40]!r}")
    return text


def number(name: str, text: str) -> int:
    """A whole number of a file. Raises ``BadRow``."""
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise BadRow(f"{name}: expected digits, got {text[:40]!r}")
    return int(text)
