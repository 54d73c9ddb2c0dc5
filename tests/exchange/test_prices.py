import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.exchange.world import BTC, DEFAULT_INSTRUMENTS

from tickwire.exchange.instruments import load_instruments
from tickwire.exchange.prices import PriceState, index_price, median
from tickwire.wire.intervals import DAY, HOUR, SECOND

INSTRUMENT = load_instruments(DEFAULT_INSTRUMENTS)[BTC]
START = 20_000 * DAY
prices = st.integers(1, 10**7)


def state(*venues: int, time: int = START) -> PriceState:
    price_state = PriceState(INSTRUMENT)
    price_state.schedule_funding(time)
    if venues:
        price_state.set_venues(time, venues)
    return price_state


def test_the_median() -> None:
    assert median([3]) == 3
    assert median([1, 4]) == 2
    assert median([9, 1, 5]) == 5
    assert median([1, 2, 4, 100]) == 3


def test_the_index_is_the_mean_of_prices_capped_to_3_percent_of_their_median() -> None:
    assert index_price([1_000, 1_010, 990]) == 1_000
    assert index_price([1_000, 2_000, 1_000]) == 1_010  # 2,000 counts as 1,030
    assert index_price([1_000, 1, 1_000]) == 990
    assert index_price([1_000, 1_001]) == 1_001  # 1,000.5 to the nearest tick, halves up


@given(st.lists(prices, min_size=1, max_size=9))
def test_no_venue_moves_the_index_more_than_3_percent_off_the_median(venues: list[int]) -> None:
    center = median(venues)
    index = index_price(venues)
    assert center * 97 // 100 <= index <= -(-center * 103 // 100)
    assert min(venues) <= index <= max(venues) or len(venues) > 1


def test_a_venue_silent_for_500_ms_is_left_out() -> None:
    price_state = state(1_000, 1_030)
    assert price_state.index == 1_015
    price_state.set_venues(START + SECOND // 2, (1_000, None))
    assert price_state.index == 1_015  # just not silent yet
    assert price_state.set_venues(START + SECOND // 2 + 1, (1_000, None))
    assert price_state.index == 1_000
    assert not price_state.set_venues(START + 9 * SECOND, (None, None)), "no venue left: the index stays"
    assert price_state.index == 1_000


def test_a_venue_may_join_later() -> None:
    price_state = state(1_000)
    assert price_state.set_venues(START, (None, None, 1_010))
    assert price_state.index == 1_005


def test_a_jump_of_more_than_25_percent_stops_the_index_until_it_is_back() -> None:
    price_state = state(1_000)
    assert not price_state.set_venues(START + 1, (1_251,))
    assert (price_state.index, price_state.index_stopped) == (1_000, True)
    assert not price_state.set_venues(START + 2, (749,))
    assert price_state.set_venues(START + 3, (1_250,))
    assert (price_state.index, price_state.index_stopped) == (1_250, False)


def test_the_stop_ends_when_the_last_index_is_old() -> None:
    price_state = PriceState(INSTRUMENT)
    price_state.set_venues(START, (1_000,), 60 * SECOND)
    # While it is stopped nothing is renewed, however often the venues speak.
    for second in (1, 30, 59):
        assert not price_state.set_venues(START + second * SECOND, (2_000,), 60 * SECOND)
    assert (price_state.index, price_state.index_stopped) == (1_000, True)
    assert price_state.set_venues(START + 60 * SECOND, (2_000,), 60 * SECOND)
    assert (price_state.index, price_state.index_stopped) == (2_000, False)
    # The new one counts from there.
    assert not price_state.set_venues(START + 119 * SECOND, (1_000,), 60 * SECOND)
    assert price_state.index == 2_000


@pytest.mark.parametrize("stop_for", [0, 60 * SECOND])
def test_a_saved_state_knows_how_old_its_index_is(stop_for: int) -> None:
    price_state = PriceState(INSTRUMENT)
    price_state.set_venues(START, (1_000,), stop_for)
    other = PriceState(INSTRUMENT)
    other.load(price_state.dump())
    assert other.dump() == price_state.dump()
    assert not other.set_venues(START + 59 * SECOND, (2_000,), stop_for)
    # As after a night in which the server was down and the venues were not.
    assert other.set_venues(START + DAY, (2_000,), stop_for) == bool(stop_for)


def test_without_an_index_there_is_no_mark() -> None:
    price_state = state()
    assert not price_state.update_mark(START, 1_000)
    assert price_state.mark is None


def test_the_mark_is_the_median_of_fair_price_basis_and_last_trade() -> None:
    price_state = state(1_000)
    assert price_state.update_mark(START, None)
    assert price_state.mark == 1_000
    price_state.sample_basis(2 * 1_004)  # mid 1,004
    for last, mark in ((1_002, 1_002), (1_009, 1_004), (990, 1_000)):
        price_state.update_mark(START, last)
        assert price_state.mark == mark


def test_the_fair_price_runs_out_towards_funding() -> None:
    price_state = state(100_000)
    price_state.last_funding_rate = 200_000  # 0.2 %
    price_state.sample_basis(2 * 90_000)  # out of the way below
    for hours, mark in ((0, 100_200), (4, 100_100), (8, 100_000), (9, 100_000)):
        price_state.update_mark(START + hours * HOUR, 110_000)  # out of the way above
        assert price_state.mark == mark


def test_the_basis_is_the_mean_of_the_last_30_seconds() -> None:
    price_state = state(1_000)
    price_state.sample_basis(None)
    assert not price_state.basis
    for _ in range(40):
        price_state.sample_basis(2 * 1_030)
    assert (len(price_state.basis), price_state.basis_sum) == (30, 30 * 60)
    for _ in range(10):
        price_state.sample_basis(2 * 1_000 + 1)  # a mid of half a tick
    price_state.update_mark(START, 1_100)
    assert price_state.mark == 1_020  # (20 * 30 + 10 * 0.5) / 30 = 20.17


def test_the_premium_average_weights_the_later_samples_more() -> None:
    price_state = state(100_000)
    # 0.1 % above the index for one minute, then 0.4 % : (1 * 0.1 + 2 * 0.4) / 3 = 0.3 %
    for bid in (100_100, 100_400):
        price_state.sample_premium((bid * 5, 5), (100_500 * 5, 5))
    assert price_state.funding_rate == 250_000  # 0.3 % - 0.05 % (the clamp)
    assert price_state.close_funding(START + 8 * HOUR) == 250_000
    assert price_state.last_funding_rate == 250_000
    assert price_state.next_funding == START + 16 * HOUR
    price_state.sample_premium(None, None)
    assert price_state.funding_rate == 10_000, "the new interval begins anew"


def test_a_discount_is_paid_by_the_shorts() -> None:
    price_state = state(100_000)
    price_state.sample_premium((99_600, 1), (99_800, 1))
    assert price_state.funding_rate == -150_000  # -0.2 % + 0.05 %


def test_without_premium_the_interest_is_paid() -> None:
    price_state = state(100_000)
    assert price_state.funding_rate == 10_000  # 0.01 % for 8 hours
    price_state.sample_premium((99_990, 1), (100_010, 1))
    assert price_state.funding_rate == 10_000


@pytest.mark.parametrize(("bid", "ask", "cap"), [(110_000, 110_100, 375_000), (90_000, 90_100, -375_000)])
def test_example_6_the_rate_is_capped(bid: int, ask: int, cap: int) -> None:
    price_state = state(100_000)
    price_state.sample_premium((bid, 1), (ask, 1))
    assert price_state.funding_rate == cap


def test_a_shorter_interval_pays_its_part_of_8_hours() -> None:
    text = DEFAULT_INSTRUMENTS.replace('kind = "perpetual"', 'kind = "perpetual"\nfunding_interval_hours = 4')
    price_state = PriceState(load_instruments(text)[BTC])
    assert price_state.funding_rate == 5_000
    price_state.schedule_funding(START + HOUR)
    assert price_state.next_funding == START + 4 * HOUR


@given(
    st.lists(st.tuples(st.integers(0, 5_000), prices, st.none() | prices), max_size=20),
    st.lists(st.tuples(prices, prices), max_size=5),
)
def test_a_copy_goes_on_alike(samples: list[tuple[int, int, int | None]], impacts: list[tuple[int, int]]) -> None:
    price_state, copy = state(50_000), state()
    for milliseconds, price, mid in samples:
        price_state.set_venues(START + milliseconds * 10**6, (price, None, 50_000))
        price_state.sample_basis(mid)
    for bid, ask in impacts:
        price_state.sample_premium((bid, 1), (ask, 1))
    copy.load(price_state.dump())
    for one in (price_state, copy):
        one.set_venues(START + 6 * SECOND, (51_000,))
        one.sample_basis(100_123)
        one.sample_premium((51_000, 1), (52_000, 1))
        one.update_mark(START + 7 * SECOND, 50_500)
    assert copy.dump() == price_state.dump()
    assert copy.basis_sum == price_state.basis_sum == sum(copy.basis)
