"""The choices that the contract leaves open, as the engine takes them."""

from typing import Literal

import msgspec

from tickwire.exchange.instruments import MONEY_UNIT

__all__ = ["DEFAULT_FEE_LEVELS", "EngineSettings", "FeeLevel"]


class FeeLevel(msgspec.Struct, frozen=True):
    """One fee level, reached by volume of 30 days or by balance (money). Rates in 10**-8."""

    required_volume: int
    required_balance: int
    maker_rate: int
    taker_rate: int


def _level(volume: int, balance: int, maker: int, taker: int) -> FeeLevel:
    """A level from USDT and hundredths of a basis point."""
    return FeeLevel(volume * MONEY_UNIT, balance * MONEY_UNIT, maker * 100, taker * 100)


# Level 0 is published; it is ``maker_fee_rate`` and ``taker_fee_rate`` of the settings. That there are 12 levels is
# published too, their numbers are not: these are of the usual kind.
DEFAULT_FEE_LEVELS = (
    _level(1_000_000, 50_000_000, 180, 550),
    _level(5_000_000, 100_000_000, 160, 520),
    _level(10_000_000, 200_000_000, 140, 500),
    _level(25_000_000, 300_000_000, 120, 470),
    _level(50_000_000, 400_000_000, 100, 450),
    _level(100_000_000, 500_000_000, 80, 420),
    _level(250_000_000, 600_000_000, 60, 400),
    _level(500_000_000, 700_000_000, 40, 370),
    _level(1_000_000_000, 800_000_000, 20, 350),
    _level(2_500_000_000, 900_000_000, 10, 320),
    _level(5_000_000_000, 1_000_000_000, 0, 300),
)


class EngineSettings(msgspec.Struct, frozen=True):
    """Choices the contract leaves open, with its defaults. Rates in 10**-8, money in 10**-8."""

    collateral: str = "USDT"
    maker_fee_rate: int = 20_000  # 0.0002
    taker_fee_rate: int = 60_000  # 0.0006
    fee_levels: tuple[FeeLevel, ...] = DEFAULT_FEE_LEVELS  # from level 1 on, rising
    default_leverage: int = 10
    max_open_orders: int = 1_000  # an account
    candle_retention: int = 2_000  # closed candles an interval
    insurance_fund: int = 1_000_000 * MONEY_UNIT
    position_amount: Literal["base", "quote"] = "base"
    available_unrealized: Literal["full", "min"] = "full"
    margin_base: Literal["entry", "mark"] = "entry"
    # How long a jump stops the index, ns; 0, as journals of before this setting have it: until the prices are back.
    index_stop: int = 0
