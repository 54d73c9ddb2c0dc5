"""What follows from an instrument's market profile: its asset, its start, and how much is traded."""

import math
from collections.abc import Mapping

from tickwire.exchange.instrument_file import MarketProfile
from tickwire.exchange.instruments import MONEY_UNIT, Instrument
from tickwire.market.process import Asset

__all__ = [
    "activity",
    "assets_of",
    "driver_of",
    "mean_trade",
    "profile_of",
    "simulated",
    "start_price",
    "turnover_rate",
]

# A taker's mean order, relative to what a tight maker shows near the best price: most orders stay within the best
# level, the large ones of a fat-tailed distribution go through a few.
TRADE_SHARE = 0.08
# What all others trade on top of the takers, measured over a simulated hour.
OTHERS = 1.2

# A spot participant's base asset, in units of the profile's depth a side.
ENDOWMENT_DEPTHS = 20


def profile_of(instrument: Instrument) -> MarketProfile:
    """The market profile of a simulated instrument."""
    profile = instrument.market
    assert profile is not None, f"{instrument.symbol} has no market profile"
    return profile


def simulated(instruments: Mapping[str, Instrument]) -> dict[str, Instrument]:
    """The instruments with a market profile, those that others follow first."""
    chosen = {symbol: i for symbol, i in instruments.items() if i.market is not None}
    return dict(sorted(chosen.items(), key=lambda item: profile_of(item[1]).spot_of in chosen))


def driver_of(instrument: Instrument, instruments: Mapping[str, Instrument]) -> Instrument:
    """The instrument whose asset moves this one: the perpetual that a spot pair follows, or itself."""
    profile = profile_of(instrument)
    leader = instruments.get(profile.spot_of)
    return instrument if leader is None or leader.market is None else leader


def assets_of(instruments: Mapping[str, Instrument]) -> dict[str, Asset]:
    """The assets behind the simulated instruments, by name; one is shared by all instruments of its base."""
    assets: dict[str, Asset] = {}
    for instrument in simulated(instruments).values():
        driver = driver_of(instrument, instruments)
        profile = profile_of(driver)
        assets.setdefault(driver.base, Asset(profile.annual_volatility, profile.beta))
    return assets


def start_price(instrument: Instrument) -> int:
    """Where the market of an instrument begins, in ticks. Raises ``ApiError`` when that is no price of it."""
    return instrument.parse_price("start_price", profile_of(instrument).start_price)


def anchor_of(driver: Instrument, instrument: Instrument) -> float:
    """The start price of ``driver`` in ticks of ``instrument``."""
    places = instrument.price_places - driver.price_places
    return start_price(driver) * driver.price_value / instrument.price_value * math.pow(10, places)


def endowment(instrument: Instrument) -> int:
    """What each participant of a spot pair has of the base asset to begin with, in steps; nothing for a perpetual."""
    if instrument.perpetual:
        return 0
    notional = int(ENDOWMENT_DEPTHS * profile_of(instrument).depth_notional * MONEY_UNIT)
    return notional // (start_price(instrument) * instrument.multiplier)


def mean_trade(profile: MarketProfile) -> float:
    """The mean value of a taker's order, in the quote currency."""
    return profile.touch_notional * TRADE_SHARE


def turnover_rate(profile: MarketProfile) -> float:
    """What is traded in a second on average, in the quote currency."""
    return mean_trade(profile) * profile.trades_per_second * OTHERS


def activity(ratio: float) -> float:
    """How much more than usual is traded at a volatility of ``ratio`` times the usual: busy when prices move."""
    return 0.4 + 0.6 * min(ratio, 6.0)
