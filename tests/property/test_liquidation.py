"""The mark goes tick by tick through the liquidation price: nobody is liquidated a tick too early or too late."""

import importlib.resources

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.invariants import check_invariants

from tickwire.exchange import margin, views
from tickwire.exchange.commands import CreateAccount, Deposit, OrderType, PlaceOrder, SetLeverage, Tick, VenuePrices
from tickwire.exchange.engine import Engine
from tickwire.exchange.instruments import MONEY_UNIT, load_instruments
from tickwire.exchange.settings import EngineSettings
from tickwire.wire.intervals import DAY, SECOND

INSTRUMENTS = load_instruments(
    importlib.resources.files("tickwire.exchange").joinpath("instruments.toml").read_text("utf-8")
)
BTC, SOL = "BTCUSDT.PERP", "SOLUSDT.PERP"
PRICE = {BTC: 500_000, SOL: 15_000}
START = 20_000 * DAY


def market_at(engine: Engine, symbol: str) -> None:
    """Index, mid and last price at one price: from then on, while no second passes, the mark follows the index."""
    price = PRICE[symbol]
    engine.apply(START, VenuePrices(symbol, (price,)))
    for side in (1, -1):
        engine.apply(START, PlaceOrder("maker", symbol, side, OrderType.LIMIT, 3_000, price=price - side))


def trade(engine: Engine, symbol: str, quantity: int) -> None:
    side, size = (1, quantity) if quantity > 0 else (-1, -quantity)
    time = engine.time
    assert (
        engine.apply(time, PlaceOrder("trader", symbol, side, OrderType.LIMIT, size, price=PRICE[symbol])).error is None
    )
    assert (
        engine.apply(time, PlaceOrder("maker", symbol, -side, OrderType.LIMIT, size, price=PRICE[symbol])).error is None
    )


@settings(max_examples=100, deadline=None)
@given(
    side=st.sampled_from((1, -1)),
    size=st.integers(1_000, 2_000_000),
    other=st.integers(-2_000, 2_000).filter(lambda quantity: abs(quantity) > 100),
    leverage=st.integers(10, 100),
    isolated=st.booleans(),
    margin_base=st.sampled_from(["entry", "mark"]),
    first=st.integers(-40, 40),
    spare=st.integers(0, 3_000),
)
def test_liquidation_comes_at_its_very_tick(
    side: int, size: int, other: int, leverage: int, isolated: bool, margin_base: str, first: int, spare: int
) -> None:
    engine = Engine(
        INSTRUMENTS,
        EngineSettings(maker_fee_rate=0, taker_fee_rate=0, margin_base="entry" if margin_base == "entry" else "mark"),
    )
    for name in ("maker", "trader"):
        engine.apply(START, CreateAccount(name, house=True))
    engine.apply(START, Deposit("maker", "USDT", 10**9 * MONEY_UNIT))
    engine.apply(START, Deposit("trader", "USDT", 10**6 * MONEY_UNIT))
    for symbol in (BTC, SOL):
        market_at(engine, symbol)
    engine.apply(START + SECOND, Tick())  # samples the basis: none
    engine.apply(engine.time, SetLeverage("trader", BTC, leverage, isolated))
    trade(engine, BTC, side * size)
    trade(engine, SOL, other)
    # What is left free is little, so that cross margin comes to its end too.
    trader = engine.accounts["trader"]
    free = engine.withdrawable(trader, "USDT") - spare * MONEY_UNIT
    if free > 0:
        assert engine.apply(engine.time, Deposit("trader", "USDT", -free)).error is None
    position = trader.positions[BTC]
    market = engine.markets[BTC]

    def holds(mark: int) -> bool:
        """By the formulas alone, the other position held at its mark."""
        quantity, cost = position.quantity, position.cost
        rate = market.instrument.maint_margin_rate
        on_entry = isolated and margin_base == "entry"
        notional = cost if on_entry else quantity * mark * market.multiplier
        maintenance = margin.maintenance_margin(notional, rate)
        pnl = margin.unrealized_pnl(quantity, cost, mark, market.multiplier)
        if isolated:
            return margin.initial_margin(cost, leverage) + pnl > maintenance
        # The other position is at its entry: no profit, and its maintenance margin.
        elsewhere = margin.maintenance_margin(trader.positions[SOL].cost, INSTRUMENTS[SOL].maint_margin_rate)
        return trader.wallets["USDT"] + pnl > maintenance + elsewhere

    # The first tick at which it does not hold, from the formulas; the price that the view names is rounded against it.
    low, high = (1, PRICE[BTC]) if side > 0 else (PRICE[BTC], 2 * PRICE[BTC])
    while low < high:
        middle = (low + high + 1) // 2 if side > 0 else (low + high) // 2
        if holds(middle):
            low, high = (low, middle - 1) if side > 0 else (middle + 1, high)
        else:
            low, high = (middle, high) if side > 0 else (low, middle)
    if holds(low) or abs(low - PRICE[BTC]) * 5 > PRICE[BTC]:
        return  # so much margin that a jump of the index would be needed
    named = views.position(engine, "trader", BTC).liquidation_price
    assert named is not None
    assert (market.instrument.parse_price("price", named) - low) * side in (0, 1)

    for mark in [low + side * abs(first), *range(low + side * 30, low - side, -side)]:
        if not position.quantity:
            break
        expected = holds(mark)
        engine.apply(engine.time, VenuePrices(BTC, (mark,)))
        assert market.mark_price == mark or not position.quantity
        assert bool(position.quantity) == expected, f"at {mark}, {mark - low} ticks from the end"
        check_invariants(engine)
    assert not position.quantity
