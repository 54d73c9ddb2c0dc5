"""Decimals and times between Python and the wire's texts. No float ever: 0.1 + 0.2 is not 0.3 there."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TypeAlias, overload

__all__ = ["Number", "Time", "decimal", "decimal_text", "moment", "time_text"]

Number: TypeAlias = Decimal | int | str
"""What a quantity, a price or an amount may be given as."""

Time: TypeAlias = int | str | datetime
"""A point in time: ns since the epoch, or a ``datetime`` with a time zone."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def decimal(text: str) -> Decimal: ...
@overload
def decimal(text: None) -> None: ...
@overload
def decimal(text: str | None) -> Decimal | None: ...
def decimal(text: str | None) -> Decimal | None:
    """The exact value of a row's decimal text; ``None`` stays ``None``.

    >>> decimal("74937.10") * 2
    Decimal('149874.20')

    Raises ``ValueError`` for a text that is no finite decimal.
    """
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ValueError(f'expected a decimal such as "12.5", got {text!r}')
    return value


def moment(text: str | None) -> datetime | None:
    """A row's timestamp text (ns since the epoch) as a ``datetime`` in UTC, cut to microseconds.

    >>> moment("1765975842095607088").isoformat()
    '2025-12-17T12:50:42.095607+00:00'

    Raises ``ValueError`` for a text that is no time.
    """
    if text is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(text) // 1000)
    except (ValueError, OverflowError):
        raise ValueError(f"expected nanoseconds since the epoch, got {text!r}") from None


def decimal_text(name: str, value: Number) -> str:
    """An argument as the wire wants it: no exponent.

    >>> decimal_text("price", Decimal("1E+3"))
    '1000'

    A text goes as it is given; the server says what is wrong with it. Raises ``TypeError`` for a float or anything
    else, ``ValueError`` for a ``Decimal`` that is not finite.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{name}: expected a finite number, got {value}")
        return format(value, "f")
    if type(value) is int:
        return str(value)
    hint = f'; a float is not exact, write "{value}" or Decimal("{value}")' if isinstance(value, float) else ""
    raise TypeError(f"{name}: expected a Decimal, an int or a str, got {type(value).__name__}{hint}")


def time_text(name: str, value: Time | None) -> str | None:
    """An argument as ns since the epoch. Raises ``TypeError``, and ``ValueError`` for a time without a zone."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name}: expected a datetime with a time zone, got {value.isoformat()} without one")
        return str((value - _EPOCH) // timedelta(microseconds=1) * 1000)
    if type(value) is int:
        return str(value)
    raise TypeError(f"{name}: expected ns since the epoch or a datetime, got {type(value).__name__}")
