import math
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from tests.market.harness import BTC, ETH, NOW, Harness, clustering, correlation, default_instruments, kurtosis, mean

from tickwire.exchange.commands import CancelAll, Deposit, OrderType, PlaceOrder, Side, VenuePrices
from tickwire.exchange.instruments import MONEY_UNIT, Instrument, load_instruments
from tickwire.wire.intervals import SECOND

MINUTES = 10
INSTRUMENTS = default_instruments()
SYMBOLS = list(INSTRUMENTS)
PERPETUALS = [symbol for symbol in SYMBOLS if INSTRUMENTS[symbol].perpetual]


class Record:
    """Ten minutes of the default market, looked at after every step and once a second."""

    def __init__(self) -> None:
        self.harness = harness = Harness(seed=1).start()
        self.fewest = dict.fromkeys(SYMBOLS, 10**6)
        self.spreads: dict[str, list[int]] = {symbol: [] for symbol in SYMBOLS}
        self.mids: dict[str, list[float]] = {symbol: [] for symbol in SYMBOLS}
        self.off_index: dict[str, list[float]] = {symbol: [] for symbol in PERPETUALS}
        self.off_mark: dict[str, list[float]] = {symbol: [] for symbol in PERPETUALS}
        self.largest: Counter[str] = Counter()
        self.next_second = NOW + SECOND
        harness.run(MINUTES * 60, self.observe)

    def observe(self) -> None:
        harness = self.harness
        for symbol in SYMBOLS:
            self.fewest[symbol] = min(self.fewest[symbol], harness.levels(symbol))
        while harness.now >= self.next_second:
            self.next_second += SECOND
            self.sample()

    def sample(self) -> None:
        harness = self.harness
        for symbol, market in harness.engine.markets.items():
            mid = harness.mid(symbol)
            self.mids[symbol].append(mid)
            self.spreads[symbol].append(harness.spread(symbol))
            if market.index_price is not None and market.mark_price is not None:
                self.off_index[symbol].append(abs(mid / market.index_price - 1))
                self.off_mark[symbol].append(abs(market.mark_price / market.index_price - 1))
        for name, account in harness.engine.accounts.items():
            for symbol, position in account.positions.items():
                notional = INSTRUMENTS[symbol].notional(round(self.mids[symbol][-1]), abs(position.quantity))
                self.largest[name] = max(self.largest[name], notional // MONEY_UNIT)

    def returns(self, symbol: str) -> list[float]:
        mids = self.mids[symbol]
        return [math.log(after / before) for before, after in pairwise(mids)]


@pytest.fixture(scope="module")
def record() -> Record:
    return Record()


def quantile(values: list[int] | list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


def test_every_book_has_fifty_levels_a_side_at_all_times(record: Record) -> None:
    assert min(record.fewest.values()) >= 50, record.fewest


def test_spreads_are_a_few_ticks(record: Record) -> None:
    assert 1 <= quantile(record.spreads[BTC], 0.5) <= 2
    assert quantile(record.spreads[BTC], 0.9) <= 3
    for symbol in SYMBOLS:
        assert quantile(record.spreads[symbol], 0.9) <= 4


def test_the_book_follows_the_index_and_the_mark_follows_both(record: Record) -> None:
    for symbol in PERPETUALS:
        assert quantile(record.off_index[symbol], 0.95) < 0.001
        assert quantile(record.off_mark[symbol], 0.95) < 0.001


def test_spot_stays_near_its_perpetual(record: Record) -> None:
    for spot, perpetual in (("BTCUSDT", BTC), ("ETHUSDT", ETH)):
        gaps = [abs(a / b - 1) for a, b in zip(record.mids[spot], record.mids[perpetual], strict=True)]
        assert quantile(gaps, 0.95) < 0.001


def test_returns_have_fat_tails_clustered_volatility_and_correlation(record: Record) -> None:
    btc, eth = record.returns(BTC), record.returns(ETH)
    for returns in (btc, eth):
        assert kurtosis(returns) > 3.5
        assert clustering(returns) > 0.05
    assert correlation(btc, eth) > 0.4
    # A price that makes its moves back and forth would be no market to learn on.
    assert abs(correlation(btc[:-1], btc[1:])) < 0.2


def test_several_trades_a_second(record: Record) -> None:
    engine = record.harness.engine
    for symbol in SYMBOLS:
        minutes = list(engine.markets[symbol].candles.between("1", None, None, MINUTES))
        assert len(minutes) == MINUTES
        assert all(minute.volume for minute in minutes), f"{symbol} had a minute without a trade"
    orders = [c for _, c in record.harness.commands if isinstance(c, PlaceOrder) and c.type == OrderType.MARKET]
    assert 5 < len(orders) / (MINUTES * 60) < 20


def test_costs_few_commands(record: Record) -> None:
    assert len(record.harness.commands) / (MINUTES * 60) < 700


def test_times_are_not_clocked(record: Record) -> None:
    times = [t for t, c in record.harness.commands if isinstance(c, PlaceOrder) and c.account == f"house.taker.{BTC}"]
    gaps = [float(after - before) for before, after in pairwise(times)]
    # Of exponential gaps the deviation is the mean; of a clock it is nothing.
    deviation = mean([(gap - mean(gaps)) ** 2 for gap in gaps]) ** 0.5
    assert deviation > 0.8 * mean(gaps)


def test_no_venue_is_ever_silent_for_long(record: Record) -> None:
    times: dict[str, list[int]] = defaultdict(list)
    for time, command in record.harness.commands:
        if isinstance(command, VenuePrices):
            assert len(command.prices) == 5
            assert all(command.prices)
            times[command.symbol].append(time)
    assert list(times) == PERPETUALS
    for sent in times.values():
        assert max(b - a for a, b in pairwise(sent)) <= SECOND * 4 // 10


def test_nobody_runs_dry_and_nobody_grows_without_bound(record: Record) -> None:
    harness = record.harness
    assert not [code for code in harness.simulation.counters if code.startswith("refused")]
    house = {name: account for name, account in harness.engine.accounts.items() if name.startswith("house.")}
    assert len(house) == 6 * len(SYMBOLS)
    for name, account in house.items():
        assert account.house
        assert account.wallets["USDT"] > 400_000_000 * MONEY_UNIT
        _, _, symbol = name.split(".", 2)
        profile = INSTRUMENTS[symbol].market
        assert profile is not None
        assert record.largest[name] < profile.depth_notional


def test_is_repeatable() -> None:
    def commands(seed: int) -> list[tuple[int, object]]:
        return list(Harness(seed).start().run(20).commands)

    assert commands(1) == commands(1)
    assert commands(1) != commands(2)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_takes_a_million_and_recovers(side: Side) -> None:
    harness = Harness(seed=2).start().run(30)
    harness.open_user()
    book = harness.engine.markets[BTC].book
    best = book.side(-side).best
    assert best is not None

    order = harness.order(side, OrderType.MARKET, amount=1_000_000 * MONEY_UNIT)

    assert order.status == "FILLED"
    multiplier = INSTRUMENTS[BTC].multiplier
    assert order.filled_cost == pytest.approx(1_000_000 * MONEY_UNIT, rel=1e-6)
    worst = book.side(-side).best
    assert worst is not None
    assert abs(worst / best - 1) < 0.0025
    assert abs(order.filled_cost / order.filled_quantity / multiplier / best - 1) < 0.0015

    harness.run(3)
    assert harness.levels() >= 50
    assert harness.spread() <= 4
    # A second one in the same direction goes as well.
    assert harness.order(side, OrderType.MARKET, amount=1_000_000 * MONEY_UNIT).status == "FILLED"


def test_the_impact_of_a_trade_decays() -> None:
    harness = Harness(seed=3, instruments={BTC: INSTRUMENTS[BTC]}).start().run(10)
    harness.open_user()

    def premium() -> float:
        index = harness.engine.markets[BTC].index_price
        assert index is not None
        return harness.mid() / index - 1

    before = premium()
    harness.order(Side.BUY, OrderType.MARKET, amount=3_000_000 * MONEY_UNIT)
    harness.run(3)
    early = premium()
    harness.run(180)
    assert early > before + 0.0002
    assert premium() < early - 0.0001


def test_wears_a_wall_down() -> None:
    harness = Harness(seed=3, instruments={BTC: INSTRUMENTS[BTC]}).start().run(10)
    harness.open_user()
    price = round(harness.mid() * 1.002)
    order = harness.order(Side.BUY, OrderType.LIMIT, quantity=60_000_000, price=price)  # 60 BTC at 0.2 % too much
    assert order.remaining
    assert harness.engine.markets[BTC].book.best_bid == price

    harness.run(1)
    assert harness.levels() >= 50, "quotes go around what stands in their way"
    assert harness.spread() <= 4
    harness.run(60)
    assert order.status == "FILLED"
    assert harness.mid() < price
    index = harness.engine.markets[BTC].index_price
    assert index is not None
    assert abs(harness.mid() / index - 1) < 0.001


def test_fills_a_resting_order_when_the_price_gets_there() -> None:
    harness = Harness(seed=4, instruments={BTC: INSTRUMENTS[BTC]}).start().run(5)
    harness.open_user()
    book = harness.engine.markets[BTC].book
    assert book.best_bid is not None
    order = harness.order(Side.BUY, OrderType.LIMIT, quantity=10_000, price=book.best_bid)
    lowest: list[float] = []
    harness.run(60, lambda: lowest.append(harness.mid()))
    assert order.price is not None
    assert min(lowest) < order.price
    assert order.status == "FILLED"


def test_goes_on_after_a_restart() -> None:
    before = Harness(seed=5).start().run(20)
    mids = {symbol: before.mid(symbol) for symbol in SYMBOLS}
    index = before.engine.markets[BTC].index_price
    after = Harness(seed=5)
    after.engine = before.engine
    after.now = before.now + 3_600 * SECOND
    after.start()

    assert sum(isinstance(command, CancelAll) for _, command in after.commands) >= 2 * len(SYMBOLS)
    assert not any(isinstance(command, Deposit) for _, command in after.commands)
    for symbol, mid in mids.items():
        assert after.mid(symbol) == pytest.approx(mid, rel=0.0005)
        assert after.levels(symbol) >= 50
        assert after.spread(symbol) <= 4
    assert after.engine.markets[BTC].index_price == pytest.approx(index, rel=0.0002)
    # It goes on, it does not play the same again.
    assert after.run(5).commands[-20:] != before.commands[-20:]


def test_a_stall_is_not_made_up_for() -> None:
    harness = Harness(seed=6).start().run(5)
    sent, mid = len(harness.commands), harness.mid()
    harness.now += 600 * SECOND
    harness.due = harness.simulation.step(harness.now)
    assert harness.due > harness.now
    assert len(harness.commands) - sent < 2 * 64 * 2 * len(SYMBOLS), "at most every order is replaced once"
    assert harness.mid() == pytest.approx(mid, rel=0.01)
    harness.run(2)
    assert min(harness.levels(symbol) for symbol in SYMBOLS) >= 50


def test_tops_up_what_runs_low() -> None:
    harness = Harness(seed=7).start().run(1)
    maker = harness.engine.accounts["house.maker.BTCUSDT"]
    endowment = maker.wallets["BTC"]
    for asset, left in (("USDT", 10**6 * MONEY_UNIT), ("BTC", endowment // 5)):
        assert harness.door(Deposit(maker.name, asset, left - maker.wallets[asset])).error is None
    harness.run(6)
    assert maker.wallets["USDT"] > 400_000_000 * MONEY_UNIT
    assert maker.wallets["BTC"] == pytest.approx(endowment, rel=0.05)


CUSTOM = """
[[instrument]]
symbol = "{symbol}"
kind = "perpetual"
base = "{base}"
quote = "USDT"
tick_size = "0.01"
step = "1"
max_leverage = 10
init_margin_rate = "0.1"
maint_margin_rate = "0.05"
{fields}
"""


def custom(symbol: str, fields: str) -> dict[str, Instrument]:
    return load_instruments(CUSTOM.format(symbol=symbol, base=symbol[:3], fields=fields))


def test_refusals_are_counted_and_survived() -> None:
    fields = 'max_position = "20000"\nmarket = { start_price = "10.00", touch_notional = 4000.0 }'
    harness = Harness(seed=8, instruments=custom("TINUSDT.PERP", fields)).start().run(20)
    counters = harness.simulation.counters
    assert counters["refused.MaxPosition"] > 0
    assert counters["orders"] > counters["refused.MaxPosition"]


def test_a_price_of_few_ticks_has_a_market_too() -> None:
    fields = 'market = { start_price = "0.20", annual_volatility = 2.0 }'
    harness = Harness(seed=9, instruments=custom("LOWUSDT.PERP", fields)).start()
    spreads: list[int] = []
    harness.run(60, lambda: spreads.append(harness.spread("LOWUSDT.PERP")))
    assert max(spreads) <= 4
    assert harness.engine.markets["LOWUSDT.PERP"].last_price is not None


def test_an_instrument_that_is_closed_has_prices_and_no_orders() -> None:
    fields = 'trading = false\nmarket = { start_price = "10.00" }'
    harness = Harness(seed=10, instruments=custom("OFFUSDT.PERP", fields)).start().run(5)
    market = harness.engine.markets["OFFUSDT.PERP"]
    assert market.index_price == pytest.approx(1_000, rel=0.01)
    assert not any(isinstance(command, PlaceOrder) for _, command in harness.commands)


def test_an_instrument_without_a_profile_is_left_alone() -> None:
    harness = Harness(seed=11, instruments=custom("NONUSDT.PERP", "")).start().run(5)
    assert harness.commands == []


def test_a_spot_pair_without_its_perpetual_moves_on_its_own() -> None:
    harness = Harness(seed=12, instruments={"BTCUSDT": INSTRUMENTS["BTCUSDT"]}).start()
    mid = harness.mid("BTCUSDT")
    harness.run(30)
    assert harness.levels("BTCUSDT") >= 50
    assert harness.mid("BTCUSDT") != mid
