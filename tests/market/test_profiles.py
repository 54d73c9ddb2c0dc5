import pytest
from tests.market.harness import BTC, ETH, default_instruments

from tickwire.exchange.instruments import InstrumentError, load_instruments
from tickwire.market.profiles import anchor_of, assets_of, driver_of, endowment, simulated, start_price

INSTRUMENTS = default_instruments()


def test_one_asset_is_shared_by_what_is_made_of_it() -> None:
    assert list(assets_of(INSTRUMENTS)) == ["BTC", "ETH", "SOL", "XRP", "DOGE", "BNB"]
    assert driver_of(INSTRUMENTS["ETHUSDT"], INSTRUMENTS) is INSTRUMENTS[ETH]
    assert driver_of(INSTRUMENTS[ETH], INSTRUMENTS) is INSTRUMENTS[ETH]


def test_leaders_come_before_what_follows_them() -> None:
    chosen = simulated({"BTCUSDT": INSTRUMENTS["BTCUSDT"], BTC: INSTRUMENTS[BTC]})
    assert list(chosen) == [BTC, "BTCUSDT"]


def test_an_anchor_is_a_price_in_other_ticks() -> None:
    text = """
    [[instrument]]
    symbol = "BTCUSD"
    kind = "spot"
    base = "BTC"
    quote = "USD"
    tick_size = "0.25"
    step = "0.001"
    market = { start_price = "75000", spot_of = "BTCUSDT.PERP" }
    """
    coarse = load_instruments(text)["BTCUSD"]
    assert anchor_of(INSTRUMENTS[BTC], coarse) == pytest.approx(74_937.1 / 0.25)
    assert anchor_of(coarse, INSTRUMENTS[BTC]) == pytest.approx(75_000 / 0.1)


def test_spot_is_endowed_with_what_it_sells() -> None:
    assert endowment(INSTRUMENTS[BTC]) == 0
    spot = INSTRUMENTS["BTCUSDT"]
    assert spot.notional(start_price(spot), endowment(spot)) == pytest.approx(20 * 1_200_000 * 10**8, rel=1e-6)


@pytest.mark.parametrize(
    ("profile", "named"),
    [
        ('start_price = "74937.15"', "start_price"),
        ('start_price = "0"', "start_price"),
        ('start_price = "1.0", annual_volatility = 0.0', "annual_volatility"),
        ('start_price = "1.0", trades_per_second = 0', "trades_per_second"),
        ('start_price = "1.0", touch_notional = -1.0', "touch_notional"),
        ('start_price = "1.0", depth_notional = 0.0', "depth_notional"),
        ('start_price = "1.0", beta = -1.0', "beta"),
        ('start_price = "1.0", spread = 1', "spread"),
    ],
)
def test_a_profile_that_cannot_run_is_refused_where_it_is_read(profile: str, named: str) -> None:
    text = f"""
    [[instrument]]
    symbol = "BTCUSD"
    kind = "spot"
    base = "BTC"
    quote = "USD"
    tick_size = "0.1"
    step = "0.001"
    market = {{ {profile} }}
    """
    with pytest.raises(InstrumentError, match=named):
        load_instruments(text)
