import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.naive_candles import NaiveCandles

from tickwire.exchange.candles import Candle, Candles, CandleSeries
from tickwire.wire.intervals import DAY, HOUR, INTERVALS, MINUTE, SECOND, next_start, start_of

START = 20_000 * DAY
RETENTION = 100


def values(candles: Candles, interval: str, limit: int = 10_000) -> list[tuple[int, ...]]:
    return [candle.values() for candle in candles.between(interval, None, None, limit)]


def test_the_first_trade_opens_every_interval() -> None:
    candles = Candles(RETENTION)
    assert candles.minute is candles.next_close is candles.statistics() is candles.current("1D") is None
    candles.trade(START + 90 * SECOND, 100, 5, 500)
    assert candles.next_close == START + 2 * MINUTE
    for interval in INTERVALS:
        assert values(candles, interval) == [(start_of(interval, START + MINUTE), 100, 100, 100, 100, 5, 500)]
    assert candles.statistics() == (5, 500, 0)


def test_a_candle_opens_where_the_last_one_closed_and_repeats_it_without_a_trade() -> None:
    candles = Candles(RETENTION)
    candles.trade(START, 100, 1, 100)
    candles.trade(START + 1, 90, 1, 90)
    closed = candles.advance(START + 2 * MINUTE)
    assert [(interval, candle.values()) for interval, candle in closed] == [
        ("1", (START, 100, 100, 90, 90, 2, 190)),
        ("1", (START + MINUTE, 90, 90, 90, 90, 0, 0)),
    ]
    candles.trade(START + 2 * MINUTE, 95, 1, 95)
    closed = candles.advance(START + 3 * MINUTE)
    assert [(interval, candle.values()) for interval, candle in closed] == [
        ("1", (START + 2 * MINUTE, 90, 95, 90, 95, 1, 95)),
        ("3", (START, 100, 100, 90, 95, 3, 285)),
    ]
    assert candles.advance(START + 3 * MINUTE + 59 * SECOND) == []


def test_the_statistics_cover_the_open_minute_and_the_1439_before_it() -> None:
    candles = Candles(RETENTION)
    candles.trade(START, 100, 7, 700)
    candles.advance(START + MINUTE)
    candles.trade(START + MINUTE, 120, 1, 120)
    candles.advance(START + DAY - 1)
    assert candles.statistics() == (8, 820, 20)
    candles.advance(START + DAY)
    assert candles.statistics() == (1, 120, 20)  # the second minute opened at 100
    candles.advance(START + DAY + MINUTE)
    assert candles.statistics() == (0, 0, 0)


actions = st.lists(
    st.tuples(
        st.sampled_from([0, SECOND, 30 * SECOND, MINUTE, 5 * MINUTE, HOUR, 23 * HOUR]),
        st.integers(90, 110),
        st.integers(1, 9),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=20)
@given(actions)
def test_all_intervals_equal_a_recount_of_the_trades(steps: list[tuple[int, int, int]]) -> None:
    candles, naive = Candles(RETENTION), NaiveCandles()
    time = START
    for pause, price, quantity in steps:
        time += pause
        candles.advance(time)
        candles.trade(time, price, quantity, price * quantity)
        naive.trade(time, price, quantity, price * quantity)
        assert candles.statistics() == naive.statistics(time)
    for interval in INTERVALS:
        wanted = naive.candles(interval, time)
        found = values(candles, interval)
        assert found == wanted[-len(found) :] if found else not wanted
        assert len(found) >= min(len(wanted), RETENTION)


@pytest.mark.parametrize("stop", [3 * DAY + 7 * HOUR, 40 * DAY, 63 * DAY + 3 * HOUR + MINUTE])
def test_a_long_stop_leaves_what_minute_by_minute_would_leave(stop: int) -> None:
    whole, stepwise = Candles(RETENTION), Candles(RETENTION)
    for candles in (whole, stepwise):
        candles.trade(START + 5 * MINUTE, 100, 3, 300)
        candles.advance(START + 7 * MINUTE)
        candles.trade(START + 7 * MINUTE, 110, 1, 110)
    end = START + stop
    whole.advance(end)
    time = START
    while time < end:
        time = min(end, time + 12 * HOUR)
        stepwise.advance(time)
    assert whole.statistics() == stepwise.statistics()
    for interval in INTERVALS:
        one, other = values(whole, interval, RETENTION), values(stepwise, interval, RETENTION)
        assert one == other, interval
        starts = [start for start, *_ in values(whole, interval)]
        assert starts[1:] == [next_start(interval, start) for start in starts[:-1]], f"a gap in {interval}"


def test_candles_between_two_times() -> None:
    candles = Candles(RETENTION)
    candles.trade(START, 100, 1, 100)
    candles.advance(START + 9 * MINUTE)

    def starts(start: int | None, end: int | None, limit: int) -> list[int]:
        bounds = [None if bound is None else START + bound * MINUTE for bound in (start, end)]
        return [(candle.start - START) // MINUTE for candle in candles.between("1", bounds[0], bounds[1], limit)]

    assert starts(None, None, 100) == list(range(10))  # the open one included
    assert starts(None, None, 3) == [7, 8, 9]
    assert starts(None, None, 1) == [9]
    assert starts(2, None, 3) == [2, 3, 4]
    assert starts(2, 4, 100) == [2, 3, 4]  # both inclusive
    assert starts(None, 4, 2) == [3, 4]
    assert starts(8, None, 100) == [8, 9]
    assert starts(9, 9, 100) == [9]
    assert starts(10, None, 100) == starts(4, 3, 100) == starts(None, -1, 100) == []


def test_a_series_keeps_its_newest_candles() -> None:
    series = CandleSeries("1", 10)
    for number in range(200):
        series.append(Candle(number, 1, 2, 1, 2, number, 10**15 + number))
    assert 10 <= len(series) <= 10 + 64
    newest = series[len(series) - 1]
    assert newest.values() == (199, 1, 2, 1, 2, 199, 10**15 + 199)
    assert series.first_from(199) == len(series) - 1
    assert series.first_from(200) == len(series)
    assert series.first_from(0) == 0


def test_a_dumped_series_loads_back_whatever_was_dumped_before() -> None:
    series, often = CandleSeries("1", 10), CandleSeries("1", 10)
    for number in range(300):
        candle = Candle(number, 100 + number % 7, 200, 50, 100, number, 10**15 * number)
        series.append(candle)
        often.append(candle)
        dumped = often.dump()
        if number % 50 == 0 or number > 250:
            assert series.dump() == dumped
            copy = CandleSeries("1", 10)
            copy.load(dumped)
            assert copy.rows == series.rows
            assert copy.dump() == dumped
            series = copy  # goes on just like the one it was taken of
    series.clear()
    assert len(series) == 0
    assert series.dump() == [b""]


def test_a_months_turnover_may_outgrow_64_bits() -> None:
    candles = Candles(RETENTION)
    for minute in range(20):
        candles.advance(START + minute * MINUTE)
        candles.trade(START + minute * MINUTE, 100, 1, 2**62)
    candles.advance(START + 2 * HOUR)
    assert values(candles, "60")[0][-1] == 20 * 2**62
    copy = Candles(RETENTION)
    copy.load(candles.dump())
    assert all(values(copy, interval) == values(candles, interval) for interval in INTERVALS)
    assert copy.statistics() == candles.statistics()
    assert copy.dump() == candles.dump()


def test_a_backfilled_past_continues_with_live_trades() -> None:
    live = Candles(RETENTION)
    live.trade(START, 100, 2, 200)
    live.advance(START + 10 * MINUTE)
    live.trade(START + 10 * MINUTE, 105, 3, 315)
    filled = Candles(RETENTION)
    now = START + 10 * MINUTE + 30 * SECOND
    for interval in INTERVALS:
        filled.backfill(interval, values(live, interval), now)  # type: ignore[arg-type]
    for candles in (live, filled):
        candles.trade(now, 103, 1, 103)
        candles.advance(START + HOUR)
    for interval in INTERVALS:
        assert values(filled, interval) == values(live, interval), interval
    assert filled.statistics() == live.statistics()


def test_a_past_that_ends_before_now_stands_at_its_last_close() -> None:
    candles = Candles(RETENTION)
    candles.backfill("1", [(START, 1, 3, 1, 2, 10, 20)], START + 5 * MINUTE)
    assert values(candles, "1") == [(START, 1, 3, 1, 2, 10, 20), (START + 5 * MINUTE, 2, 2, 2, 2, 0, 0)]
    assert candles.statistics() == (10, 20, 1)
