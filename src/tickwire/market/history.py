"""The past: candles from before the first start, made by the same price process as the live market.

The path is walked from the start price backwards in segments: minutes for the last days, longer ones before, so that
twenty years of days cost as little as five days of minutes. Every candle of every interval is the exact union of whole
segments, so the intervals agree with each other wherever they overlap. The length changes at a midnight UTC before
which no interval needs the shorter segments.
"""

from __future__ import annotations  # array can be subscripted in annotations only

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from random import Random

import msgspec

from tickwire.exchange.commands import BackfillCandles
from tickwire.exchange.instruments import MONEY_UNIT, Instrument
from tickwire.market.process import MAX_FACTOR, YEAR_SECONDS, MeanReverting, PriceProcess
from tickwire.market.profiles import (
    activity,
    anchor_of,
    assets_of,
    driver_of,
    profile_of,
    simulated,
    start_price,
    turnover_rate,
)
from tickwire.wire.intervals import DAY, HOUR, INTERVALS, MINUTE, SECOND, start_of

__all__ = ["BASIS_DEVIATION", "BASIS_SECONDS", "EARLIEST", "backfill"]

# The first month whose timestamps all have the contract's 19 digits (they do since 2001-09-09): 2001-10-01.
EARLIEST = 1_001_894_400 * SECOND

# A day of minutes, for the statistics of the last 24 hours, is more than the usual count.
MINUTES_A_DAY = DAY // MINUTE

# Segment lengths, and the longest interval that needs them: every longer interval is a union of the next length.
_TIERS = ((MINUTE, 5 * MINUTE), (15 * MINUTE, 30 * MINUTE), (HOUR, 4 * HOUR), (6 * HOUR, 12 * HOUR), (DAY, None))

# The basis of a spot pair or a perpetual to its asset: a few hundredths of a percent, another one after an hour.
BASIS_DEVIATION = 0.000_15
BASIS_SECONDS = 1_200.0

# Trading grows: half as much two years earlier.
VOLUME_DOUBLING_SECONDS = 2 * YEAR_SECONDS
# Log-normal noise of a segment's volume around what its volatility suggests.
VOLUME_NOISE = 0.30
# Turnover is journalled in 64 bits: at this much a second, the busiest month still fits.
MAX_TURNOVER_RATE = 12_000.0


class _Track:
    """One asset's path: per segment the displacement at its start, its extremes, and its volatility over the usual."""

    __slots__ = ("highs", "lows", "opens", "ratios")

    def __init__(self, size: int) -> None:
        self.opens, self.highs, self.lows, self.ratios = (array("d", bytes(8 * size)) for _ in range(4))


class _Series(msgspec.Struct):
    """The segments of one instrument in its integers."""

    opens: list[int]
    highs: list[int]
    lows: list[int]
    closes: list[int]
    volumes: list[int]
    turnovers: list[int]


def backfill(
    instruments: Mapping[str, Instrument], seed: int, now: int, count: int = 1_000
) -> Iterator[BackfillCandles]:
    """Candles of all simulated instruments and all intervals, those of one symbol together, minutes first.

    Each has ``count`` closed candles (of minutes a day's worth at least; fewer where time before October 2001 would be
    needed, which is in months) and as its last row the candle that is open at ``now``, up to ``now``. The last close is
    the instrument's start price.
    """
    starts = _segments(now, count)
    lengths = [(end - start) / SECOND for start, end in zip(starts, [*starts[1:], now], strict=True)]
    tracks = _walk(PriceProcess(assets_of(instruments), Random(f"{seed}/history")), lengths)
    unions = [(interval, _unions(interval, starts, now, count)) for interval in INTERVALS]
    for instrument in simulated(instruments).values():
        driver = driver_of(instrument, instruments)
        random = Random(f"{seed}/history/{instrument.symbol}")
        basis = _basis(instrument, driver, random, lengths)
        series = _series(instrument, random, tracks[driver.base], basis, lengths)
        for interval, slices in unions:
            yield BackfillCandles(instrument.symbol, interval, tuple([_row(series, *union) for union in slices]))


def _segments(now: int, count: int) -> list[int]:
    """The starts of all segments, oldest first; the last one holds ``now``."""
    today = start_of("1D", now)
    edges = [now + 1]
    for _, longest in _TIERS:
        edges.append(EARLIEST if longest is None else max(EARLIEST, today - -(-count * longest // DAY) * DAY))
    # The day of minutes that the statistics need lies within the first tier whatever the count.
    edges[1] = min(edges[1], max(EARLIEST, today - DAY))
    starts: list[int] = []
    for (length, _), newer, older in reversed(list(zip(_TIERS, edges[:-1], edges[1:], strict=True))):
        starts.extend(range(older, newer, length))
    return starts


def _walk(process: PriceProcess, lengths: list[float]) -> dict[str, _Track]:
    """Go back in time through all segments; every asset begins at a displacement of zero."""
    tracks = {asset: _Track(len(lengths)) for asset in process.displacements}
    ends = dict(process.displacements)
    exponential, sqrt = process.random.expovariate, math.sqrt
    for index in range(len(lengths) - 1, -1, -1):
        process.advance(lengths[index])
        for asset, track in tracks.items():
            end, start = ends[asset], process.displacements[asset]
            # The extremes of a Brownian bridge between the two ends.
            move, spread = (start - end) ** 2, 2 * process.deviations[asset] ** 2
            track.opens[index] = ends[asset] = start
            track.highs[index] = (start + end + sqrt(move + spread * exponential(1.0))) / 2
            track.lows[index] = (start + end - sqrt(move + spread * exponential(1.0))) / 2
            track.ratios[index] = process.ratios[asset]
    return tracks


def _basis(instrument: Instrument, driver: Instrument, random: Random, lengths: list[float]) -> array[float]:
    """The log basis of an instrument to its driver at the segments' starts and, last, now; zero for a driver itself."""
    size = len(lengths)
    basis = array("d", bytes(8 * (size + 1)))
    if driver is not instrument:
        start = math.log(start_price(instrument) / anchor_of(driver, instrument))
        process = MeanReverting(random, BASIS_DEVIATION, BASIS_SECONDS, start)
        basis[size] = process.value
        for index in range(size - 1, -1, -1):
            basis[index] = process.advance(lengths[index])
    return basis


def _series(
    instrument: Instrument, random: Random, track: _Track, basis: array[float], lengths: list[float]
) -> _Series:
    """The track of an instrument's asset in the instrument's integers, with volumes."""
    last = start_price(instrument)
    lowest, highest = max(1, -(-last // MAX_FACTOR)), last * MAX_FACTOR
    profile = profile_of(instrument)
    steps_per_second = min(turnover_rate(profile), MAX_TURNOVER_RATE) * MONEY_UNIT / instrument.multiplier
    size = len(lengths)
    series = _Series(*([0] * size for _ in range(6)))
    exp, gauss = math.exp, random.gauss
    scale = last / exp(basis[size])  # the driver's start price in ticks of this instrument
    close, age = last, 0.0
    for index in range(size - 1, -1, -1):
        shift = (basis[index] + basis[index + 1]) / 2
        open = min(highest, max(lowest, round(scale * exp(track.opens[index] + basis[index]))))
        high = min(highest, max(open, close, round(scale * exp(track.highs[index] + shift))))
        low = max(lowest, min(open, close, round(scale * exp(track.lows[index] + shift))))
        typical = (open + high + low + close) // 4
        busy = activity(track.ratios[index]) * 2.0 ** (-age / VOLUME_DOUBLING_SECONDS)
        noise = exp(VOLUME_NOISE * gauss(0.0, 1.0) - VOLUME_NOISE * VOLUME_NOISE / 2)
        volume = round(steps_per_second * lengths[index] * busy * noise / typical)
        if not volume and high != low:
            volume = 1  # a price does not move without a trade
        series.opens[index], series.highs[index], series.lows[index], series.closes[index] = open, high, low, close
        series.volumes[index], series.turnovers[index] = volume, volume * typical * instrument.multiplier
        close = open
        age += lengths[index]
    return series


def _unions(interval: str, starts: list[int], now: int, count: int) -> list[tuple[int, int, int]]:
    """Candles of an interval as (start, first segment, segment after the last)."""
    opened = start_of(interval, now)
    wanted = max(count, MINUTES_A_DAY) if interval == "1" else count
    candles = [opened]
    while len(candles) <= wanted:
        before = start_of(interval, candles[-1] - 1)
        if before < EARLIEST:
            break
        candles.append(before)
    candles.reverse()
    edges = [bisect_left(starts, start) for start in candles]
    edges.append(len(starts))
    return list(zip(candles, edges, edges[1:], strict=False))


def _row(series: _Series, start: int, first: int, after: int) -> tuple[int, int, int, int, int, int, int]:
    return (
        start,
        series.opens[first],
        max(series.highs[first:after]),
        min(series.lows[first:after]),
        series.closes[after - 1],
        sum(series.volumes[first:after]),
        sum(series.turnovers[first:after]),
    )
