"""The TOML file that lists instruments, as it is written: texts that ``instruments`` makes units of."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["InstrumentFile", "MarketProfile", "Tier", "TierFile"]


class MarketProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the simulated market treats an instrument; the core does not look at it."""

    start_price: str  # where the market begins on an empty data directory
    annual_volatility: Annotated[float, Meta(gt=0, le=10)] = 0.6
    beta: Annotated[float, Meta(ge=0)] = 1.0  # weight of the common factor that correlates the symbols
    trades_per_second: Annotated[float, Meta(gt=0, le=100)] = 1.0  # takers' orders
    touch_notional: Annotated[float, Meta(gt=0)] = 15_000.0  # quote value a tight maker shows near the best price
    depth_notional: Annotated[float, Meta(gt=0)] = 2_500_000.0  # quote value a side within the slippage bound
    spot_of: str = ""  # a perpetual whose price this spot pair follows


class TierFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ``[[instrument.tier]]``: the maintenance rate of the part of a notional above ``from_notional``."""

    from_notional: str
    maint_margin_rate: str


class Tier(msgspec.Struct, frozen=True):
    """A bracket of position notionals (money): maintenance margin = notional * rate - deduction."""

    from_notional: int
    rate: int
    deduction: int


class InstrumentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ``[[instrument]]`` table as written."""

    symbol: str
    kind: Literal["perpetual", "spot"]
    base: str
    quote: str
    tick_size: str
    step: str
    min_notional: str = "1"
    max_notional: str = "20000000"
    max_position: str | None = None
    max_open_interest: str | None = None
    max_leverage: int = 1
    init_margin_rate: str | None = None
    maint_margin_rate: str | None = None
    base_interest_rate: str = "0.0001"
    funding_interval_hours: int = 8
    max_slippage: str = "0.0025"
    impact_notional: str = "10000"
    trading: bool = True
    market: MarketProfile | None = None
    tier: list[TierFile] = []
