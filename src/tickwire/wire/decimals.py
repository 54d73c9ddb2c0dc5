"""Decimal texts and the scaled integers behind them.

On the wire a decimal is a JSON string such as ``"74937.1"``: never a number, never an exponent. Inside it is an
integer count of a unit of ``10 ** -places``. No float is ever in between.
"""

import re

__all__ = ["DecimalError", "format_decimal", "format_fixed", "parse_decimal"]

# ``+1``, ``.5``, ``1.``, ``1e3``, ``NaN``, blanks and non-ASCII digits are all refused: none is a contract decimal.
_DECIMAL = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")

# The longest text taken. The largest amount the engine can hold has 19 digits; 40 leaves room for leading zeros and
# useless trailing ones, and a 400-digit number is refused before it costs anything.
MAX_LENGTH = 40


class DecimalError(ValueError):
    """A text that is not a decimal of the wanted precision; the message says what was expected."""


def parse_decimal(text: str, places: int) -> int:
    """Read a decimal text as an integer count of ``10 ** -places``, exactly.

    Raises ``DecimalError`` for anything else than an optional minus, digits, and an optional fraction, for a text
    of more than 40 characters, for negative zero and for more significant fraction digits than ``places``.
    """
    if len(text) > MAX_LENGTH:
        raise DecimalError(f"expected at most {MAX_LENGTH} characters, got {len(text)}")
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise DecimalError(f'expected a decimal such as "12.5", got {text!r}')
    sign, whole, fraction = match.groups()
    fraction = (fraction or "").rstrip("0")
    if len(fraction) > places:
        raise DecimalError(f"expected at most {places} decimals, got {text!r}")
    value = int(whole + fraction.ljust(places, "0"))
    if not sign:
        return value
    if value == 0:
        raise DecimalError("expected a number without a sign on zero, got negative zero")
    return -value


def format_fixed(value: int, places: int) -> str:
    """Write ``value * 10 ** -places`` with exactly ``places`` decimals: ``format_fixed(749370, 1) == "74937.0"``."""
    if places == 0:
        return str(value)
    if value < 0:
        return "-" + format_fixed(-value, places)
    digits = str(value)
    if len(digits) <= places:
        digits = digits.rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"


def format_decimal(value: int, places: int) -> str:
    """Write ``value * 10 ** -places`` in its shortest form: no trailing zeros, zero is ``"0"``."""
    if value == 0:
        return "0"
    if places == 0:
        return str(value)
    text = format_fixed(value, places)
    return text.rstrip("0").rstrip(".")
