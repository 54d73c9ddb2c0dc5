"""Tiers of maintenance margin: a larger position is held to a higher rate, without a jump at the border."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.world import DEFAULT_INSTRUMENTS, World, money

from tickwire.exchange import views
from tickwire.exchange.instruments import InstrumentError, load_instruments

TIERS = """
[[instrument.tier]]
from_notional = "50000"
maint_margin_rate = "0.01"

[[instrument.tier]]
from_notional = "250000"
maint_margin_rate = "0.025"

[[instrument]]
symbol = "ETHUSDT.PERP"
"""
TIERED = load_instruments(DEFAULT_INSTRUMENTS.replace('\n[[instrument]]\nsymbol = "ETHUSDT.PERP"\n', TIERS, 1))
BTC = TIERED["BTCUSDT.PERP"]


def test_each_deduction_joins_a_tier_to_the_one_before() -> None:
    assert [(tier.rate, tier.deduction) for tier in BTC.tiers] == [
        (500_000, 0),
        (1_000_000, money("250")),
        (2_500_000, money("4000")),
    ]
    assert BTC.top_maint_margin_rate == 2_500_000
    for border in (money("50000"), money("250000")):
        below, above = BTC.tier(border - 1), BTC.tier(border)
        assert below is not above
        assert border * below.rate - below.deduction * 10**8 == border * above.rate - above.deduction * 10**8


def test_a_position_is_held_to_the_rate_of_its_tier() -> None:
    world = World("anna", "boris", instruments=TIERED)
    world.mark("50000")
    world.trade("50000", "2", "anna", "boris")
    row = views.position(world.engine, "anna", BTC.symbol)
    assert row.maint_margin == "750", "1 % of 100,000 less 250"


@given(
    quantity=st.integers(1_000, 20_000_000),
    side=st.sampled_from((1, -1)),
    leverage=st.integers(2, 40),
    entry=st.integers(200_000, 900_000),
)
@settings(max_examples=60, deadline=None)
def test_at_the_cross_liquidation_price_the_equity_is_the_maintenance_margin(
    quantity: int, side: int, leverage: int, entry: int
) -> None:
    """In whichever tier that price lies: equity and margin cross within the tick that it was rounded to."""
    world = World(instruments=TIERED, maker_fee_rate=0, taker_fee_rate=0)
    instrument, market = BTC, world.market()
    cost = side * quantity * entry * instrument.multiplier
    world.open("anna", "0")
    anna = world.account("anna")
    anna.wallets["USDT"] = abs(cost) // leverage
    position = world.engine.position(anna, market)
    position.quantity, position.cost = side * quantity, cost
    market.prices.mark = entry
    market.revalue()
    price = views.liquidation_price(world.engine, anna, position)
    if price is None:
        assert side > 0
        return

    def above(at: int) -> Fraction:
        notional = quantity * at * instrument.multiplier
        tier = instrument.tier(notional)
        maintenance = Fraction(notional * tier.rate, 10**8) - tier.deduction
        return anna.wallets["USDT"] + side * notional - cost - maintenance

    assert above(price) >= 0 or side < 0
    assert above(price - side) <= 0 or side < 0
    if side < 0:
        assert above(price) >= 0 >= above(price + 1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"250000"', '"40000"', "tier: expected rising"),
        ('"0.025"', '"0.01"', "tier: expected rising"),
        ('"0.025"', '"1.5"', "tier: expected rising"),
        ('"0.025"', '"x"', "tier.maint_margin_rate"),
        ("from_notional", "from", "unknown field"),
    ],
)
def test_bad_tiers_are_refused_by_name(old: str, new: str, message: str) -> None:
    text = DEFAULT_INSTRUMENTS.replace('\n[[instrument]]\nsymbol = "ETHUSDT.PERP"\n', TIERS.replace(old, new), 1)
    with pytest.raises(InstrumentError, match=message) as caught:
        load_instruments(text)
    assert "BTCUSDT.PERP" in str(caught.value)
