"""The formulas against the worked examples of margin.md (numbers in the tests' names), and what must always hold."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.exchange.world import amount_text, money

from tickwire.exchange import margin
from tickwire.exchange.instruments import RATE_PLACES, RATE_UNIT
from tickwire.wire.decimals import parse_decimal

# One tick of 1 USDT and one step of 0.001 base: a notional of tick times step is 10**5 units of money.
MULTIPLIER = 10**5


def steps(text: str) -> int:
    return parse_decimal(text, 3)


def rate(text: str) -> int:
    return parse_decimal(text, RATE_PLACES)


def cost_of(quantity: str, price: int) -> int:
    return steps(quantity) * price * MULTIPLIER


def test_example_1_margins_of_an_open_position() -> None:
    cost = cost_of("0.1", 30_000)
    assert amount_text(cost) == "3000"
    assert amount_text(margin.initial_margin(cost, 10)) == "300"
    assert amount_text(margin.maintenance_margin(cost, rate("0.01"))) == "30"


@pytest.mark.parametrize(
    ("mark", "unrealized", "remaining"),
    [(36_000, "600", "900"), (28_000, "-200", "100"), (26_000, "-400", "-100")],
    ids=["example 2", "example 3", "example 4"],
)
def test_examples_2_to_4_unrealised_profit(mark: int, unrealized: str, remaining: str) -> None:
    cost = cost_of("0.1", 30_000)
    pnl = margin.unrealized_pnl(steps("0.1"), cost, mark, MULTIPLIER)
    assert amount_text(pnl) == unrealized
    assert amount_text(margin.initial_margin(cost, 10) + pnl) == remaining


def test_example_4_liquidation_threshold() -> None:
    cost = cost_of("0.1", 30_000)
    assert margin.isolated_liquidation_price(steps("0.1"), cost, money("300"), money("30"), MULTIPLIER) == 27_300


def test_example_7_isolated_liquidation_price() -> None:
    cost = cost_of("1", 20_000)
    initial, maintenance = margin.initial_margin(cost, 50), margin.maintenance_margin(cost, rate("0.005"))
    assert (amount_text(initial), amount_text(maintenance)) == ("400", "100")
    assert margin.isolated_liquidation_price(steps("1"), cost, initial, maintenance, MULTIPLIER) == 19_700


def test_example_8_bankruptcy_price() -> None:
    cost = cost_of("1", 10_000)
    assert margin.bankruptcy_price(steps("1"), cost, margin.initial_margin(cost, 50), MULTIPLIER) == 9_800
    short = -cost
    assert margin.bankruptcy_price(-steps("1"), short, margin.initial_margin(short, 50), MULTIPLIER) == 10_200


def test_example_10_profit_of_long_and_short() -> None:
    assert amount_text(margin.unrealized_pnl(steps("0.2"), cost_of("0.2", 7_000), 7_500, MULTIPLIER)) == "100"
    assert amount_text(margin.unrealized_pnl(-steps("0.4"), -cost_of("0.4", 6_000), 5_000, MULTIPLIER)) == "400"


@pytest.mark.parametrize(
    ("price", "leverage", "fee_rate", "reserve"),
    [(50_000, 10, "0.00055", "5052.25"), (10_000, 50, "0.00075", "214.85")],
    ids=["example 11", "example 12"],
)
def test_examples_11_and_12_order_reserve(price: int, leverage: int, fee_rate: str, reserve: str) -> None:
    assert amount_text(margin.order_reserve(cost_of("1", price), 1, leverage, rate(fee_rate))) == reserve


def test_the_reserve_of_a_short_closes_at_a_higher_bankruptcy_price() -> None:
    # 200 + 7.5 at open + 0.075 % of 10,200 at the bankruptcy price
    assert amount_text(margin.order_reserve(cost_of("1", 10_000), -1, 50, rate("0.00075"))) == "215.15"


def test_example_13_cross_liquidation_prices() -> None:
    """Published with tiered rates: a tier's deduction lowers the maintenance margin."""
    eth = ("3683.979", "1456.84", "1335.18", "0.1", "135365")
    btc = ("109.488", "32481.98", "31967.27", "0.025", "16300")
    wallet = money("1535443.01")
    multiplier = 10**3  # 0.01 USDT by 0.001 base

    def liquidation(held: tuple[str, ...], other: tuple[str, ...]) -> int | None:
        quantity, entry, _, maintenance_rate, deduction = held
        other_quantity, other_entry, other_mark, other_rate, other_deduction = other
        other_notional = steps(other_quantity) * parse_decimal(other_mark, 2) * multiplier
        return margin.cross_liquidation_price(
            steps(quantity),
            steps(quantity) * parse_decimal(entry, 2) * multiplier,
            wallet,
            margin.maintenance_margin(other_notional, rate(other_rate), money(other_deduction)),
            other_notional - steps(other_quantity) * parse_decimal(other_entry, 2) * multiplier,
            rate(maintenance_rate),
            multiplier,
            money(deduction),
        )

    # Published as 1,153.26 and 26,316.89; ours are rounded up to the tick, as for every long.
    assert liquidation(eth, btc) == pytest.approx(115_326, abs=1)
    assert liquidation(btc, eth) == pytest.approx(2_631_689, abs=1)


def test_example_14_break_even_price() -> None:
    cost = cost_of("1", 65_000)
    paid = margin.fee(cost, rate("0.0005"))
    price = margin.break_even_price(steps("1"), cost, rate("0.0005"), paid, MULTIPLIER, parts=10_000)
    assert price == 650_650_326  # 65,065.0326: rounded up, and 65,065.03 at two decimals


# What must always hold.

quantities = st.integers(1, 10**9)
prices = st.integers(1, 10**7)
signs = st.sampled_from((1, -1))
leverages = st.integers(1, 100)


@given(signs, quantities, prices, leverages)
def test_at_the_liquidation_price_the_margin_is_used_up_and_one_tick_before_it_is_not(
    sign: int, size: int, entry: int, leverage: int
) -> None:
    quantity = sign * size
    cost = quantity * entry * MULTIPLIER
    held, maintenance = margin.initial_margin(cost, leverage), margin.maintenance_margin(cost, rate("0.005"))
    price = margin.isolated_liquidation_price(quantity, cost, held, maintenance, MULTIPLIER)
    assume(price is not None)
    assert price is not None
    equity = held + margin.unrealized_pnl(quantity, cost, price, MULTIPLIER)
    further = held + margin.unrealized_pnl(quantity, cost, price - sign, MULTIPLIER)
    # The price is rounded towards the entry: at it the equity is at most one tick's worth above the maintenance.
    assert further <= maintenance or price == sign
    assert maintenance <= equity < maintenance + size * MULTIPLIER


@given(signs, quantities, prices, leverages, st.integers(0, 10**15))
def test_added_margin_never_brings_the_liquidation_price_nearer(
    sign: int, size: int, entry: int, leverage: int, added: int
) -> None:
    quantity = sign * size
    cost = quantity * entry * MULTIPLIER
    held, maintenance = margin.initial_margin(cost, leverage), margin.maintenance_margin(cost, rate("0.005"))
    before = margin.isolated_liquidation_price(quantity, cost, held, maintenance, MULTIPLIER)
    after = margin.isolated_liquidation_price(quantity, cost, held + added, maintenance, MULTIPLIER)
    if before is None:
        assert after is None
    elif after is not None:
        assert (after - before) * sign <= 0


@given(signs, quantities, prices, st.integers(1, 10**16), st.integers(0, 10**14), st.integers(-(10**14), 10**14))
def test_at_the_cross_liquidation_price_the_equity_is_the_maintenance_margin(
    sign: int, size: int, entry: int, wallet: int, other_maintenance: int, other_unrealized: int
) -> None:
    quantity = sign * size
    cost = quantity * entry * MULTIPLIER
    maintenance_rate = rate("0.005")
    price = margin.cross_liquidation_price(
        quantity, cost, wallet, other_maintenance, other_unrealized, maintenance_rate, MULTIPLIER
    )
    if price is None:
        return

    def spare(mark: int) -> int:
        maintenance = margin.maintenance_margin(quantity * mark * MULTIPLIER, maintenance_rate)
        unrealized = margin.unrealized_pnl(quantity, cost, mark, MULTIPLIER)
        return wallet + other_unrealized + unrealized - maintenance - other_maintenance

    # Rounded against the trader: there is something left at it (but for the rounding of the maintenance margin itself),
    # and nothing a tick further.
    assert spare(price) >= -1
    assert spare(price - sign) <= 0


@given(signs, quantities, prices, st.integers(0, RATE_UNIT // 100), st.integers(-(10**10), 10**12))
def test_closing_at_the_break_even_price_loses_nothing(
    sign: int, size: int, entry: int, fee_rate: int, paid: int
) -> None:
    quantity = sign * size
    cost = quantity * entry * MULTIPLIER
    price = margin.break_even_price(quantity, cost, fee_rate, paid, MULTIPLIER)
    if price is None:
        return

    def result_times_unit(at: int) -> int:
        notional = size * at * MULTIPLIER
        return (margin.unrealized_pnl(quantity, cost, at, MULTIPLIER) - paid) * RATE_UNIT - notional * fee_rate

    assert result_times_unit(price) >= 0
    assert result_times_unit(price - sign) < 0


@given(st.integers(0, 10**16), st.integers(0, RATE_UNIT))
def test_fees_and_maintenance_are_rounded_up(notional: int, some_rate: int) -> None:
    for rounded in (margin.fee(notional, some_rate), margin.maintenance_margin(-notional, some_rate)):
        assert 0 <= rounded * RATE_UNIT - notional * some_rate < RATE_UNIT


@given(st.integers(0, 10**16), signs, leverages, st.integers(0, RATE_UNIT // 100))
def test_the_order_reserve_is_the_sum_of_its_three_parts_rounded_up_once(
    notional: int, sign: int, leverage: int, fee_rate: int
) -> None:
    reserve = margin.order_reserve(notional, sign, leverage, fee_rate)
    exact = notional * RATE_UNIT + notional * fee_rate * leverage + notional * (leverage - sign) * fee_rate
    assert 0 <= reserve * RATE_UNIT * leverage - exact < RATE_UNIT * leverage


def test_no_positive_price_liquidates_an_unleveraged_long() -> None:
    cost = cost_of("1", 100)
    assert margin.isolated_liquidation_price(steps("1"), cost, cost, 0, MULTIPLIER) is None
    assert margin.bankruptcy_price(steps("1"), cost, 2 * cost, MULTIPLIER) is None
    assert margin.cross_liquidation_price(steps("1"), cost, 2 * cost, 0, 0, rate("0.005"), MULTIPLIER) is None


def test_prices_are_rounded_against_the_trader() -> None:
    # 3 steps at 100 with a margin of 10.000005: the exact price lies between two ticks.
    for sign, price in ((1, 97), (-1, 103)):
        quantity, cost = sign * 3, sign * 300 * MULTIPLIER
        assert margin.bankruptcy_price(quantity, cost, 10 * MULTIPLIER, MULTIPLIER) == price
