import math
from itertools import pairwise

import pytest
from tests.market.harness import BTC, ETH, NOW, clustering, correlation, default_instruments, kurtosis

from tickwire.exchange.commands import BackfillCandles
from tickwire.exchange.engine import Engine
from tickwire.exchange.instruments import Instrument
from tickwire.market.history import EARLIEST, backfill
from tickwire.market.process import MAX_FACTOR
from tickwire.market.profiles import start_price
from tickwire.wire.intervals import DAY, INTERVALS, MINUTE, SECOND, next_start, start_of

Rows = tuple[tuple[int, int, int, int, int, int, int], ...]

INSTRUMENTS = default_instruments()
# Each with all its finer intervals that divide it.
UNIONS = [
    ("1", "3"), ("1", "5"), ("1", "15"), ("5", "15"), ("5", "30"), ("15", "30"), ("15", "60"), ("30", "60"),
    ("60", "120"), ("60", "180"), ("60", "240"), ("120", "240"), ("180", "360"), ("120", "360"), ("240", "720"),
    ("360", "720"), ("360", "1D"), ("720", "1D"), ("1D", "1W"), ("1D", "1M"),
]  # fmt: skip
# A Monday that is the first of a month at midnight, a second before and after it, and the leap day.
MOMENTS = [1_780_272_000 * SECOND, 1_780_272_000 * SECOND - 1, 1_780_272_000 * SECOND + 1, 1_709_210_096_123_456_789]


PAIR = {symbol: INSTRUMENTS[symbol] for symbol in (BTC, "BTCUSDT")}


def series(instruments: dict[str, Instrument], now: int) -> dict[tuple[str, str], Rows]:
    return {(c.symbol, c.interval): c.rows for c in backfill(instruments, 1, now)}


@pytest.fixture(scope="module")
def past() -> dict[tuple[str, str], Rows]:
    return series(INSTRUMENTS, NOW)


def check_shape(past: dict[tuple[str, str], Rows], instruments: dict[str, Instrument], now: int) -> None:
    assert set(past) == {(symbol, interval) for symbol in instruments for interval in INTERVALS}
    for (symbol, interval), rows in past.items():
        assert rows[-1][0] == start_of(interval, now)
        assert all(next_start(interval, a[0]) == b[0] for a, b in pairwise(rows))
        assert all(a[4] == b[1] for a, b in pairwise(rows)), "an open is the close before it"
        assert rows[-1][4] == start_price(INSTRUMENTS[symbol])
        closed = len(rows) - 1
        if interval == "1M":
            assert rows[0][0] == EARLIEST
            assert closed > 200
        else:
            assert closed == (DAY // MINUTE if interval == "1" else 1_000)


def test_every_interval_is_there_up_to_now(past: dict[tuple[str, str], Rows]) -> None:
    check_shape(past, INSTRUMENTS, NOW)


@pytest.mark.parametrize("now", MOMENTS)
def test_every_interval_is_there_at_the_turn_of_days_weeks_and_months(now: int) -> None:
    check_shape(series(PAIR, now), PAIR, now)


def test_candles_are_sound(past: dict[tuple[str, str], Rows]) -> None:
    for (symbol, _), rows in past.items():
        instrument = INSTRUMENTS[symbol]
        start = start_price(instrument)
        for time, open, high, low, close, volume, turnover in rows:
            assert len(str(time)) == 19
            assert 1 <= low <= min(open, close) <= max(open, close) <= high
            assert start / MAX_FACTOR <= low
            assert high <= start * MAX_FACTOR
            assert low * volume * instrument.multiplier <= turnover <= high * volume * instrument.multiplier
            assert turnover < 2**63, "what is journalled has 64 bits"
            assert volume > 0 or high == low


@pytest.mark.parametrize(("fine", "coarse"), UNIONS)
def test_a_candle_is_the_union_of_the_finer_ones(past: dict[tuple[str, str], Rows], fine: str, coarse: str) -> None:
    compared = 0
    for symbol in INSTRUMENTS:
        finer = past[symbol, fine]
        first = finer[0][0]
        for start, *candle in past[symbol, coarse]:
            if start < first:
                continue
            end = next_start(coarse, start)
            parts = [row for row in finer if start <= row[0] < end]
            assert candle == [
                parts[0][1],
                max(row[2] for row in parts),
                min(row[3] for row in parts),
                parts[-1][4],
                sum(row[5] for row in parts),
                sum(row[6] for row in parts),
            ]
            compared += 1
    assert compared >= 9 * len(INSTRUMENTS)


def moves(rows: Rows) -> list[float]:
    return [math.log(row[4] / row[1]) for row in rows]


def test_past_returns_have_fat_tails_clustered_volatility_and_correlation(past: dict[tuple[str, str], Rows]) -> None:
    for interval in ("1", "60"):
        btc, eth = moves(past[BTC, interval][:-1]), moves(past[ETH, interval][:-1])
        for values in (btc, eth):
            assert kurtosis(values) > 3.5
            assert clustering(values, range(1, 11)) > 0.05
        assert correlation(btc, eth) > 0.4


def test_spot_follows_its_perpetual(past: dict[tuple[str, str], Rows]) -> None:
    for interval in INTERVALS:
        for perpetual, spot in zip(past[BTC, interval], past["BTCUSDT", interval], strict=True):
            for own, leader in zip(spot[1:5], perpetual[1:5], strict=True):
                assert own == pytest.approx(leader, rel=0.002)


def test_is_repeatable() -> None:
    def first(seed: int) -> BackfillCandles:
        return next(backfill(PAIR, seed, NOW))

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_a_count_may_be_chosen() -> None:
    for candles in backfill({BTC: INSTRUMENTS[BTC]}, 1, NOW, count=10):
        assert len(candles.rows) == 1 + (DAY // MINUTE if candles.interval == "1" else 10)


def test_fills_charts_and_statistics_of_the_engine() -> None:
    engine = Engine(INSTRUMENTS)
    for command in backfill(INSTRUMENTS, 1, NOW):
        assert engine.apply(NOW, command).error is None
    for symbol, instrument in INSTRUMENTS.items():
        market = engine.markets[symbol]
        assert market.last_price == start_price(instrument)
        for interval in INTERVALS:
            count = 200 if interval == "1M" else 1_000
            candles = list(market.candles.between(interval, None, None, count))
            assert len(candles) == count
            assert candles[-1].start == start_of(interval, NOW)
        statistics = market.candles.statistics()
        assert statistics is not None
        volume, turnover, change = statistics
        day_ago = next(market.candles.between("60", NOW - 25 * 60 * MINUTE, None, 25))
        assert change == pytest.approx(start_price(instrument) - day_ago.open, abs=day_ago.open // 50)
        # About what the live market trades in a day.
        assert instrument.market is not None
        expected = instrument.market.trades_per_second * instrument.market.touch_notional * 0.08 * 1.2 * 86_400
        assert 0.5 < turnover / 10**8 / expected < 2.0
        assert volume > 0
