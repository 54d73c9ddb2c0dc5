import pytest
from tests.exchange.world import BTC, ETH, SOL, SPOT, START, World

from tickwire.exchange import views
from tickwire.exchange.identifiers import order_uuid
from tickwire.wire import rows
from tickwire.wire.errors import ApiError
from tickwire.wire.intervals import HOUR, MINUTE

NO_FEES = {"maker_fee_rate": 0, "taker_fee_rate": 0}


@pytest.fixture
def world() -> World:
    return World("anna", "boris", **NO_FEES)


def test_contracts(world: World) -> None:
    assert len(views.contracts(world.engine)) == 8
    [perpetual] = views.contracts(world.engine, BTC)
    assert perpetual == rows.Contract(
        BTC, "USDT", "0.01", "0.005", "100", "0.0001", "0.00375", 8, "0.1", "0.000001", "1", "20000000", "100000000",
        "50000",
    )  # fmt: skip
    [spot] = views.contracts(world.engine, SPOT)
    assert spot == rows.Contract(
        SPOT, "USDT", None, None, None, None, None, None, "0.1", "0.000001", "1", "10000000", None, None
    )
    with pytest.raises(ApiError, match="InvalidSymbol"):
        views.contracts(world.engine, "NOPE")


def test_a_ticker_before_and_after_the_first_trade(world: World) -> None:
    empty = views.ticker(world.engine, BTC)
    assert empty == rows.Ticker(
        BTC, None, None, None, "0", None, None, None, None, None, "0.0001", str(START + 8 * HOUR), 8, "0.00375"
    )
    world.venues("50000")
    world.trade("50000", "1", "anna", "boris")
    world.trade("49990", "0.5", "anna", "boris")
    world.buy("anna", "1", "49980")
    world.sell("boris", "1", "50020")
    full = views.ticker(world.engine, BTC)
    assert (full.volume24h, full.turnover24h, full.price_change24h) == ("1.5", "74995", "-10.0")
    assert (full.bid_price, full.ask_price, full.last_price) == ("49980.0", "50020.0", "49990.0")
    assert (full.open_interest, full.index_price, full.mark_price) == ("1.5", "50000.0", "49995.0")
    assert views.tickers(world.engine)[0] == full


def test_a_spot_ticker_has_no_derivative_fields(world: World) -> None:
    world.deposit("boris", "1", "BTC")
    world.trade("50000", "1", "anna", "boris", SPOT)
    ticker = views.ticker(world.engine, SPOT)
    assert ticker.last_price == "50000.0"
    for name in ("open_interest", "mark_price", "index_price", "funding_rate", "next_funding_time", "funding_rate_cap"):
        assert getattr(ticker, name) is None
    assert ticker.funding_interval_hours is None


def test_funding_infos_are_of_perpetuals_only(world: World) -> None:
    infos = views.funding_infos(world.engine)
    assert [info.symbol for info in infos] == views.symbols(world.engine).perpetual_swap
    assert infos[0] == rows.FundingInfo(BTC, "0", "0.0001", str(START + 8 * HOUR), 8, "0.00375")
    assert views.funding_infos(world.engine, SPOT) == []


def test_symbols_and_fees(world: World) -> None:
    symbols = views.symbols(world.engine)
    assert symbols.spot == ["BTCUSDT", "ETHUSDT"]
    assert len(symbols.perpetual_swap) == 6
    levels = views.fee_rates(World().engine)
    assert levels[0] == rows.FeeRate(0, "0", "0", "0.0006")
    assert [row.level for row in levels] == list(range(12))


def test_klines(world: World) -> None:
    world.trade("50000", "1", "anna", "boris")
    world.wait(2 * MINUTE)
    world.trade("50001", "0.5", "anna", "boris")
    lines = views.klines(world.engine, BTC, "1", None, None, 100)
    assert lines == [
        (str(START), "50000.0", "50000.0", "50000.0", "50000.0", "1", "50000"),
        (str(START + MINUTE), "50000.0", "50000.0", "50000.0", "50000.0", "0", "0"),
        (str(START + 2 * MINUTE), "50000.0", "50001.0", "50000.0", "50001.0", "0.5", "25000.5"),
    ]
    assert views.klines(world.engine, BTC, "1", START + MINUTE, START + MINUTE, 100) == lines[1:2]
    assert views.klines(world.engine, BTC, "1D", None, None, 100)[0][5] == "1.5"
    assert views.klines(world.engine, ETH, "1", None, None, 100) == []
    with pytest.raises(ApiError, match="interval: expected one of 1 3 5"):
        views.klines(world.engine, BTC, "2", None, None, 100)
    with pytest.raises(ApiError, match="endTime: expected at least startTime 2, got 1"):
        views.klines(world.engine, BTC, "1", 2, 1, 100)
    assert len(views.klines(world.engine, BTC, "1", START, START, 100)) == 1


def test_an_order_book(world: World) -> None:
    for price, quantity in (("49990", "1"), ("49980", "2"), ("49970", "0.000123")):
        world.buy("anna", quantity, price)
    world.sell("boris", "3", "50000.1")
    assert views.orderbook(world.engine, BTC, 2) == rows.Orderbook(
        BTC, [("49990.0", "1"), ("49980.0", "2")], [("50000.1", "3")]
    )
    assert views.orderbook(world.engine, BTC, 1_000).bids[2] == ("49970.0", "0.000123")


class TestAccount:
    @pytest.fixture
    def trader(self) -> World:
        """Anna: 10,000, cross long 0.1 BTC and isolated short 1 ETH, an order in each, a spot order."""
        world = World("boris", **NO_FEES)
        world.open("anna", "10000")
        world.mark("30000")
        world.mark("2000", ETH)
        world.leverage("anna", 5, isolated=True, symbol=ETH)
        world.trade("30000", "0.1", "anna", "boris")
        world.trade("2000", "1", "boris", "anna", ETH)
        world.buy("anna", "0.1", "20000")
        world.sell("anna", "1", "3000", ETH)
        world.buy("anna", "0.01", "25000", SPOT)
        world.mark("31000")
        world.mark("2100", ETH)
        return world

    def test_the_whole_account(self, trader: World) -> None:
        # 300 + 400 for positions, 200 + 600 for orders, 250 on spot; +100 cross, -100 isolated.
        assert views.account(trader.engine, "anna") == rows.AccountInfo("10000", "0", "10000", "1750", "8350")

    def test_margins(self, trader: World) -> None:
        [row] = views.margins(trader.engine, "anna", "USDT")
        # Cross: 10,000 - 400 - 250 + 100 carry 3,100 * 0.5 %.
        assert row == rows.Margin("USDT", "8350", "0", "600", "400", "8350", "10000", "0.00164022", "200", "300")
        assert views.margins(trader.engine, "boris")[0].currency == "USDT"
        with pytest.raises(ApiError, match="currency: expected USDT, got 'BTC'"):
            views.margins(trader.engine, "anna", "BTC")

    def test_balances(self, trader: World) -> None:
        trader.deposit("anna", "2", "BTC")
        trader.sell("anna", "0.5", "90000", SPOT)
        assert views.balances(trader.engine, "anna") == [
            rows.Balance("USDT", "10000", "8350", "8250"),
            rows.Balance("BTC", "2", "1.5", "1.5"),
        ]
        assert views.balances(trader.engine, "anna", "ETH") == [rows.Balance("ETH", "0", "0", "0")]
        with pytest.raises(ApiError, match="asset: no asset 'EUR'"):
            views.balances(trader.engine, "anna", "EUR")

    def test_positions(self, trader: World) -> None:
        eth, btc = views.positions(trader.engine, "anna")
        assert btc == rows.Position(
            BTC, 0, 10, "CROSS", [], 0, "LONG", "0.1", "0.1", "31000.0", "100", "300", "15.5", "30000", "30000", None,
            "0", None, None,
        )  # fmt: skip
        # 2,000 + (400 - 10) / 1
        assert (eth.position_side, eth.unrealized_pnl, eth.maint_margin) == ("SHORT", "-100", "10")
        assert (eth.liquidation_price, eth.initial_margin, eth.leverage) == ("2390.00", "400", 5)
        assert views.positions(trader.engine, "anna", ETH) == [eth]
        assert views.positions(trader.engine, "anna", SOL) == []
        with pytest.raises(ApiError, match="expected a perpetual"):
            views.positions(trader.engine, "anna", SPOT)

    def test_open_orders(self, trader: World) -> None:
        orders = views.open_orders(trader.engine, "anna")
        assert [order.symbol for order in orders] == [BTC, ETH, SPOT]
        order = trader.account("anna").orders[min(trader.account("anna").orders)]
        assert orders[0] == rows.Order(
            order_uuid(order.id, order.time), BTC, "BUY", "LIMIT", "0.1", None, "20000.0", None, "NEW", "GTC", None,
            None, "0.1",
        )  # fmt: skip
        assert views.open_orders(trader.engine, "anna", ETH) == orders[1:2]
        assert views.order(order) == orders[0]

    def test_a_look_leaves_no_trace(self, trader: World) -> None:
        before = trader.engine.dump()
        views.position(trader.engine, "boris", SOL)
        for name in ("anna", "boris"):
            views.account(trader.engine, name)
            views.margins(trader.engine, name)
            views.balances(trader.engine, name, "ETH")
            views.positions(trader.engine, name)
        assert trader.engine.dump() == before


def test_a_closed_position(world: World) -> None:
    world.trade("50000", "1", "anna", "boris")
    world.trade("50000", "1", "boris", "anna")
    row = views.position(world.engine, "anna", BTC)
    assert (row.position_side, row.position_qty, row.position_amount) == (None, "0", "0")
    assert (row.entry_price, row.liquidation_price, row.unrealized_pnl) == (None, None, None)
    assert views.positions(world.engine, "anna") == []


def test_the_position_amount_in_quote() -> None:
    world = World("anna", "boris", position_amount="quote", **NO_FEES)
    world.mark("50000")
    world.trade("50000", "0.5", "anna", "boris")
    world.mark("52000")
    row = views.position(world.engine, "boris", BTC)
    assert (row.position_amount, row.position_qty, row.position_side) == ("26000", "0.5", "SHORT")


def test_example_14_the_break_even_price_after_fees() -> None:
    world = World("anna", "boris", maker_fee_rate=50_000, taker_fee_rate=50_000)
    world.trade("65000", "1", "anna", "boris")
    assert views.position(world.engine, "anna", BTC).break_even_price == "65065.03252"
    assert views.position(world.engine, "boris", BTC).break_even_price == "64935.03248"
    assert views.position(world.engine, "anna", BTC).total_fee == "32.5"


def test_an_average_price_is_rounded_to_four_decimals_more_than_the_tick(world: World) -> None:
    world.trade("50000", "1", "anna", "boris")
    world.trade("50000.1", "2", "anna", "boris")
    assert views.position(world.engine, "anna", BTC).entry_price == "50000.06667"
