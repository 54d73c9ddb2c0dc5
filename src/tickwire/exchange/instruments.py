"""Instruments: what can be traded, its integer units, and the TOML file that lists them."""

import re
import tomllib
from typing import Any

import msgspec

from tickwire.exchange.instrument_file import InstrumentFile, Tier
from tickwire.wire.decimals import DecimalError, format_decimal, format_fixed, parse_decimal
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import SYMBOL_PATTERN

__all__ = [
    "MONEY_PLACES",
    "MONEY_UNIT",
    "RATE_PLACES",
    "RATE_UNIT",
    "Instrument",
    "InstrumentError",
    "load_instruments",
    "parse_money",
]

# Money of every asset is counted in 10**-8: one tick times one step of every default instrument is a whole number of
# these, so a notional is exact, and int64 still holds 92 billion in the journal's encoding.
MONEY_PLACES = 8
MONEY_UNIT: int = 10**MONEY_PLACES
RATE_PLACES = 8
RATE_UNIT: int = 10**RATE_PLACES


_SYMBOL = re.compile(SYMBOL_PATTERN)


class InstrumentError(ValueError):
    """A fault in the instrument file; the message names the instrument and the field."""


class Instrument:
    """One instrument with its units resolved. Immutable by convention.

    ``price_value`` is one tick in ``10 ** -price_places``; ``multiplier`` is the money (10**-8 quote) of one step at
    one tick, so ``ticks * steps * multiplier`` is an exact notional.
    """

    __slots__ = (
        "base", "base_interest_rate", "funding_interval", "funding_interval_hours", "funding_rate_cap",
        "impact_notional", "init_margin_rate", "maint_margin_rate", "market", "max_leverage", "max_notional",
        "max_open_interest", "max_position", "max_slippage", "min_notional", "multiplier", "perpetual",
        "price_places", "price_value", "quantity_places", "quantity_value", "quote", "step_money", "symbol", "tiers",
        "top_maint_margin_rate", "trading",
    )  # fmt: skip

    def __init__(self, source: InstrumentFile) -> None:
        self.symbol = source.symbol
        self.perpetual = source.kind == "perpetual"
        self.base = source.base
        self.quote = source.quote
        self.trading = source.trading
        self.market = source.market

        self.price_places, self.price_value = _unit(source, "tick_size", source.tick_size)
        self.quantity_places, self.quantity_value = _unit(source, "step", source.step)
        spare = MONEY_PLACES - self.price_places - self.quantity_places
        if spare < 0:
            raise InstrumentError(
                f"{source.symbol}: expected tick_size and step with at most {MONEY_PLACES} decimals together"
            )
        self.multiplier: int = self.price_value * self.quantity_value * 10**spare
        # One step of the base asset in money of that asset (spot balances).
        self.step_money = self.quantity_value * 10 ** (MONEY_PLACES - self.quantity_places)

        def money(field: str, text: str | None) -> int | None:
            return None if text is None else _positive(source, field, text, MONEY_PLACES)

        def rate(field: str, text: str | None) -> int:
            return 0 if text is None else _positive(source, field, text, RATE_PLACES)

        self.min_notional: int = money("min_notional", source.min_notional) or 0
        self.max_notional: int = money("max_notional", source.max_notional) or 0
        self.max_position = money("max_position", source.max_position)
        open_interest = source.max_open_interest
        self.max_open_interest = (
            None
            if open_interest is None
            else _positive(source, "max_open_interest", open_interest, self.quantity_places) // self.quantity_value
        )
        if source.market is not None:
            try:
                self.parse_price("market.start_price", source.market.start_price)
            except ApiError as error:
                raise InstrumentError(f"{source.symbol}: {error.message}") from None
        self.max_leverage = source.max_leverage
        self.init_margin_rate = rate("init_margin_rate", source.init_margin_rate)
        self.maint_margin_rate = rate("maint_margin_rate", source.maint_margin_rate)
        self.base_interest_rate = rate("base_interest_rate", source.base_interest_rate)
        self.max_slippage = rate("max_slippage", source.max_slippage)
        self.impact_notional: int = money("impact_notional", source.impact_notional) or 0
        self.funding_interval_hours = source.funding_interval_hours
        hours = source.funding_interval_hours
        if hours < 1 or 24 % hours:
            # Funding times are counted from midnight: every day must have the same ones.
            raise InstrumentError(f"{source.symbol}: funding_interval_hours: expected a divisor of 24, got {hours}")
        self.funding_interval = hours * 3_600_000_000_000
        self.tiers = _tiers(source, self.maint_margin_rate)
        self.top_maint_margin_rate = self.tiers[-1].rate  # no tick of a price adds more than this share
        # Published: the funding rate is capped at +-75 % of the maintenance margin rate.
        self.funding_rate_cap = self.maint_margin_rate * 3 // 4
        if self.perpetual and not (self.init_margin_rate and self.maint_margin_rate and self.max_leverage >= 1):
            raise InstrumentError(
                f"{source.symbol}: a perpetual needs init_margin_rate, maint_margin_rate and max_leverage"
            )
        if self.perpetual and self.max_leverage > RATE_UNIT // self.init_margin_rate:
            raise InstrumentError(
                f"{source.symbol}: max_leverage: expected at most {RATE_UNIT // self.init_margin_rate}, 1 over"
                f" init_margin_rate, got {self.max_leverage}"
            )
        if self.perpetual and self.maint_margin_rate >= self.init_margin_rate:
            # A position would be liquidated as soon as it is opened.
            raise InstrumentError(
                f"{source.symbol}: maint_margin_rate: expected less than init_margin_rate {source.init_margin_rate},"
                f" got {source.maint_margin_rate}"
            )

    def __repr__(self) -> str:
        return f"Instrument({self.symbol})"

    # Texts of the wire and their integers. Prices show every decimal of the tick; quantities their shortest form.

    def price_text(self, ticks: int) -> str:
        """A price with all decimals of the tick size, such as ``"74937.0"``."""
        return format_fixed(ticks * self.price_value, self.price_places)

    def quantity_text(self, steps: int) -> str:
        """A quantity in its shortest form."""
        return format_decimal(steps * self.quantity_value, self.quantity_places)

    def parse_price(self, field: str, text: str) -> int:
        """A positive price in ticks. Raises ``ApiError`` InvalidParameter that names the field."""
        return _parse_units(field, text, self.price_places, self.price_value, "tick size")

    def parse_quantity(self, field: str, text: str) -> int:
        """A positive quantity in steps. Raises ``ApiError`` InvalidParameter that names the field."""
        return _parse_units(field, text, self.quantity_places, self.quantity_value, "quantity step")

    def tier(self, notional: int) -> Tier:
        """The tier of a position's notional (money, without a sign)."""
        tiers = self.tiers
        index = len(tiers) - 1
        while tiers[index].from_notional > notional:
            index -= 1
        return tiers[index]

    def notional(self, ticks: int, steps: int) -> int:
        """The exact quote money of a quantity at a price."""
        return ticks * steps * self.multiplier


def _tiers(source: InstrumentFile, rate: int) -> tuple[Tier, ...]:
    """The first tier is the instrument's own rate; each deduction makes the margin continuous at the tier's start."""
    tiers = [Tier(0, rate, 0)]
    for entry in source.tier:
        start = _positive(source, "tier.from_notional", entry.from_notional, MONEY_PLACES)
        tier_rate = _positive(source, "tier.maint_margin_rate", entry.maint_margin_rate, RATE_PLACES)
        last = tiers[-1]
        if start <= last.from_notional or tier_rate <= last.rate or tier_rate >= RATE_UNIT:
            raise InstrumentError(f"{source.symbol}: tier: expected rising from_notional and maint_margin_rate below 1")
        # Rounded down, so that the margin is never too small by it.
        tiers.append(Tier(start, tier_rate, last.deduction + start * (tier_rate - last.rate) // RATE_UNIT))
    return tuple(tiers)


def _parse_units(field: str, text: str, places: int, unit: int, name: str) -> int:
    value = parse_money(field, text, places, f"a multiple of the {name} {format_decimal(unit, places)}")
    if value % unit:
        raise ApiError(
            "InvalidParameter", f"{field}: expected a multiple of the {name} {format_decimal(unit, places)}, got {text}"
        )
    return value // unit


def parse_money(field: str, text: str, places: int = MONEY_PLACES, wanted: str = "") -> int:
    """A positive decimal as an integer. Raises ``ApiError`` InvalidParameter that names the field."""
    try:
        value = parse_decimal(text, places)
    except DecimalError as error:
        hint = f" ({wanted})" if wanted else ""
        raise ApiError("InvalidParameter", f"{field}: {error}{hint}") from None
    if value <= 0:
        raise ApiError("InvalidParameter", f"{field}: expected more than zero, got {text}")
    if value > MAX_UNITS:
        raise ApiError("InvalidParameter", f"{field}: expected at most {format_decimal(MAX_UNITS, places)}, got {text}")
    return value


# No single amount, price or quantity of a client is larger: products of two stay far inside the engine's range, and
# everything that is journalled fits into 64 bits.
MAX_UNITS = 4 * 10**18


def _unit(source: InstrumentFile, field: str, text: str) -> tuple[int, int]:
    places = len(text.partition(".")[2].rstrip("0"))
    return places, _positive(source, field, text, places)


def _positive(source: InstrumentFile, field: str, text: str, places: int) -> int:
    try:
        value = parse_decimal(text, places)
    except DecimalError as error:
        raise InstrumentError(f"{source.symbol}: {field}: {error}") from None
    if value <= 0:
        raise InstrumentError(f"{source.symbol}: {field}: expected more than zero, got {text}")
    return value


def load_instruments(*texts: str) -> dict[str, Instrument]:
    """Instruments of one or more TOML texts, in their order; a later one replaces an earlier one of its symbol.

    Raises ``InstrumentError`` that names the instrument and the field.
    """
    found: dict[str, Instrument] = {}
    for text in texts:
        try:
            document: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InstrumentError(f"instrument file: {error}") from None
        for number, table in enumerate(document.get("instrument", []), 1):
            try:
                source = msgspec.convert(table, InstrumentFile)
            except msgspec.ValidationError as error:
                name = table.get("symbol", f"number {number}") if isinstance(table, dict) else f"number {number}"
                raise InstrumentError(f"instrument {name}: {error}") from None
            if _SYMBOL.fullmatch(source.symbol) is None:
                raise InstrumentError(f"instrument {source.symbol!r}: expected a symbol such as BTCUSDT.PERP")
            found[source.symbol] = Instrument(source)
    if not found:
        raise InstrumentError("instrument file: expected at least one [[instrument]] table")
    return found
