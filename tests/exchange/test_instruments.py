import pytest
from tests.exchange.world import BTC, DEFAULT_INSTRUMENTS, SPOT, money

from tickwire.exchange.instruments import Instrument, InstrumentError, load_instruments, parse_money
from tickwire.wire.errors import ApiError

INSTRUMENTS = load_instruments(DEFAULT_INSTRUMENTS)

PERPETUAL = """
[[instrument]]
symbol = "XUSDT.PERP"
kind = "perpetual"
base = "X"
quote = "USDT"
tick_size = "0.5"
step = "0.025"
max_leverage = 20
init_margin_rate = "0.05"
maint_margin_rate = "0.02"
"""


def one(text: str) -> Instrument:
    return next(iter(load_instruments(text).values()))


def test_the_defaults_are_those_of_the_contract() -> None:
    assert list(INSTRUMENTS) == [
        "BTCUSDT.PERP", "ETHUSDT.PERP", "SOLUSDT.PERP", "XRPUSDT.PERP", "DOGEUSDT.PERP", "BNBUSDT.PERP",
        "BTCUSDT", "ETHUSDT",
    ]  # fmt: skip
    btc = INSTRUMENTS[BTC]
    assert (btc.price_text(1), btc.quantity_text(1), btc.max_leverage) == ("0.1", "0.000001", 100)
    assert (btc.init_margin_rate, btc.maint_margin_rate, btc.min_notional) == (1_000_000, 500_000, money("1"))
    ticks = {symbol: instrument.price_text(1) for symbol, instrument in INSTRUMENTS.items()}
    assert [ticks[s] for s in list(INSTRUMENTS)[:6]] == ["0.1", "0.01", "0.01", "0.0001", "0.00001", "0.01"]
    for symbol in ("SOLUSDT.PERP", "XRPUSDT.PERP", "DOGEUSDT.PERP", "BNBUSDT.PERP"):
        instrument = INSTRUMENTS[symbol]
        assert (instrument.max_leverage, instrument.init_margin_rate, instrument.maint_margin_rate) == (
            50,
            2_000_000,
            1_000_000,
        )
    assert not INSTRUMENTS[SPOT].perpetual


def test_example_6_the_funding_cap_is_three_quarters_of_the_maintenance_rate() -> None:
    assert INSTRUMENTS[BTC].funding_rate_cap == 375_000  # 0.375 %


def test_a_tick_by_a_step_is_a_whole_number_of_money() -> None:
    for instrument in INSTRUMENTS.values():
        price, quantity = instrument.price_value, instrument.quantity_value
        places = instrument.price_places + instrument.quantity_places
        assert instrument.multiplier * 10**places == price * quantity * 10**8
        assert instrument.notional(3, 5) == 15 * instrument.multiplier


def test_units_that_are_no_power_of_ten() -> None:
    instrument = one(PERPETUAL)
    assert instrument.parse_price("price", "100.5") == 201
    assert instrument.price_text(201) == "100.5"
    assert instrument.parse_quantity("quantity", "1.05") == 42
    assert instrument.quantity_text(42) == "1.05"
    assert instrument.notional(201, 42) == money("105.525")
    assert instrument.step_money == money("0.025")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("100.25", r"price: expected at most 1 decimals, got '100.25' \(a multiple of the tick size 0.5\)"),
        ("100.3", "price: expected a multiple of the tick size 0.5, got 100.3"),
        ("0", "price: expected more than zero, got 0"),
        ("-1", "price: expected more than zero, got -1"),
        ("1e2", "price: expected a decimal"),
        ("NaN", "price: expected a decimal"),
        ("9" * 25, "price: expected at most 400000000000000000, got 9"),
    ],
)
def test_a_price_that_is_none_names_its_field(text: str, message: str) -> None:
    with pytest.raises(ApiError, match=message) as caught:
        one(PERPETUAL).parse_price("price", text)
    assert caught.value.code == "InvalidParameter"


def test_money_has_eight_decimals() -> None:
    assert parse_money("amount", "0.00000001") == 1
    with pytest.raises(ApiError, match="amount: expected at most 8 decimals"):
        parse_money("amount", "0.000000001")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('tick_size = "0.5"', 'tick_size = "0"', "XUSDT.PERP: tick_size: expected more than zero, got 0"),
        ('tick_size = "0.5"', 'tick_size = "1e-1"', "XUSDT.PERP: tick_size: expected a decimal"),
        ('tick_size = "0.5"', "tick_size = 0.5", "instrument XUSDT.PERP: Expected `str`, got `float`"),
        ('tick_size = "0.5"', 'tick_size = "0.000001"', "expected tick_size and step with at most 8 decimals together"),
        ('maint_margin_rate = "0.02"', "", "a perpetual needs init_margin_rate, maint_margin_rate and max_leverage"),
        ('kind = "perpetual"', 'kind = "future"', "instrument XUSDT.PERP: "),
        ('symbol = "XUSDT.PERP"', 'symbol = "xusdt"', "instrument 'xusdt': expected a symbol such as BTCUSDT.PERP"),
        ('symbol = "XUSDT.PERP"', "", "instrument number 1: "),
        ("max_leverage = 20", "max_leverage = 20\nmax_size = 1", "instrument XUSDT.PERP: .*max_size"),
        ("max_leverage = 20", "max_leverage = 50", "expected at most 20, 1 over init_margin_rate, got 50"),
        (
            'maint_margin_rate = "0.02"',
            'maint_margin_rate = "0.05"',
            "maint_margin_rate: expected less than init_margin_rate 0.05, got 0.05",
        ),
        (
            "max_leverage = 20",
            "max_leverage = 20\nfunding_interval_hours = 5",
            "funding_interval_hours: expected a divisor of 24, got 5",
        ),
        (
            "max_leverage = 20",
            "max_leverage = 20\nfunding_interval_hours = 0",
            "funding_interval_hours: expected a divisor of 24, got 0",
        ),
    ],
)  # fmt: skip
def test_a_fault_in_the_file_names_instrument_and_field(old: str, new: str, message: str) -> None:
    assert old in PERPETUAL
    with pytest.raises(InstrumentError, match=message):
        load_instruments(PERPETUAL.replace(old, new))


def test_files_that_are_none() -> None:
    with pytest.raises(InstrumentError, match="instrument file: "):
        load_instruments("[[instrument")
    with pytest.raises(InstrumentError, match="at least one"):
        load_instruments("")


def test_a_later_file_replaces_an_instrument_of_the_same_symbol() -> None:
    changed = PERPETUAL.replace("XUSDT.PERP", BTC)
    both = load_instruments(DEFAULT_INSTRUMENTS, changed, PERPETUAL)
    assert both[BTC].price_text(1) == "0.5"
    assert list(both) == [*INSTRUMENTS, "XUSDT.PERP"]


def test_optional_bounds() -> None:
    instrument = one(PERPETUAL + 'max_position = "1000"\nmax_open_interest = "50"\n')
    assert instrument.max_position == money("1000")
    assert instrument.max_open_interest == 2_000
    assert one(PERPETUAL).max_position is None
    assert one(PERPETUAL).max_open_interest is None
