"""Liquidation on the mark, take-over at the bankruptcy price, unwinding on the book, the insurance fund."""

import pytest
from tests.exchange.world import BTC, BUY, DEFAULT_INSTRUMENTS, ETH, SELL, SPOT, World, money

from tickwire.exchange import views
from tickwire.exchange.instruments import load_instruments
from tickwire.exchange.state import INSURANCE

# The published examples are without fees, with a maintenance rate of 1 %.
EXAMPLES = load_instruments(
    DEFAULT_INSTRUMENTS.replace('max_leverage = 100\ninit_margin_rate = "0.01"\nmaint_margin_rate = "0.005"', "")
    .replace('kind = "perpetual"\nbase = "BTC"', 'kind = "perpetual"\nbase = "BTC"\nmax_leverage = 50\n'
             'init_margin_rate = "0.02"\nmaint_margin_rate = "0.01"')
    .replace('kind = "perpetual"\nbase = "ETH"', 'kind = "perpetual"\nbase = "ETH"\nmax_leverage = 50\n'
             'init_margin_rate = "0.02"\nmaint_margin_rate = "0.01"')
)  # fmt: skip
NO_FEES = {"maker_fee_rate": 0, "taker_fee_rate": 0}


def examples_world(*accounts: str) -> World:
    return World(*accounts, instruments=EXAMPLES, **NO_FEES)


class TestIsolated:
    @pytest.fixture
    def world(self) -> World:
        """Anna is long 0.1 at 30,000 with 10x, isolated: a margin of 300, a maintenance margin of 30."""
        world = examples_world("anna", "boris")
        world.mark("30000")
        world.leverage("anna", 10, isolated=True)
        world.trade("30000", "0.1", "anna", "boris")
        return world

    def test_example_1_its_margins(self, world: World) -> None:
        row = views.position(world.engine, "anna", BTC)
        assert (row.initial_margin, row.maint_margin, row.liquidation_price) == ("300", "30", "27300.0")
        assert world.free("anna") == "999700"

    @pytest.mark.parametrize(("mark", "unrealized"), [("36000", "600"), ("28000", "-200"), ("27300.1", "-269.99")])
    def test_examples_2_and_3_alive(self, world: World, mark: str, unrealized: str) -> None:
        world.mark(mark)
        assert views.position(world.engine, "anna", BTC).unrealized_pnl == unrealized
        assert world.size("anna") == "0.1"

    @pytest.mark.parametrize("mark", ["27300", "26000"])
    def test_example_4_liquidated(self, world: World, mark: str) -> None:
        world.mark(mark)
        assert world.size("anna") == "0"
        assert world.wallet("anna") == "999700", "an isolated position loses its margin and no more"
        assert world.size(INSURANCE) == "0.1"
        # Taken over at the bankruptcy price of 27,000.
        assert world.position(INSURANCE).cost == money("2700")

    def test_the_takeover_is_an_execution_at_the_bankruptcy_price(self, world: World) -> None:
        world.venues("27300")
        events = world.do(world.command("boris", BUY, "0.1", "27300"))
        events = world.do(world.command("house seller", SELL, "0.1", "27300"))
        [event] = [event for event in events.executions if event.account == "anna"]
        assert (event.execution.exec_type, event.execution.last_price, event.execution.last_qty) == (
            "TRADE",
            "27000.0",
            "0.1",
        )
        assert event.order is not None
        assert (event.order.status, event.order.order_cancel_reason) == ("FILLED", "LIQUIDATION")

    def test_the_symbols_orders_are_cancelled_before(self, world: World) -> None:
        bid = world.buy("anna", "0.1", "20000")
        stop = world.sell("anna", "0.1", trigger="20000", reduce_only=True)
        elsewhere = world.buy("anna", "1", "1000", ETH)
        world.mark("27000")
        assert (bid.cancel_reason, stop.cancel_reason) == ("LIQUIDATION", "LIQUIDATION")
        assert elsewhere.status == "NEW"

    def test_what_the_book_gives_beyond_the_bankruptcy_price_is_the_funds(self, world: World) -> None:
        world.buy("boris", "0.1", "27200")
        world.mark("27300")
        assert world.size(INSURANCE) == "0"
        assert world.wallet(INSURANCE) == "1000020"  # 0.1 * (27,200 - 27,000)

    def test_a_shortfall_is_paid_by_the_fund(self, world: World) -> None:
        world.buy("boris", "0.1", "26000")
        world.mark("26500")
        assert world.size("anna") == "0"
        assert world.wallet(INSURANCE) == "999900"  # 0.1 * (26,000 - 27,000)

    def test_what_could_not_be_closed_is_tried_each_second(self, world: World) -> None:
        world.buy("boris", "0.04", "27200")
        world.mark("27250")
        assert world.size(INSURANCE) == "0.06"
        world.buy("boris", "0.1", "27100")
        assert world.size(INSURANCE) == "0.06"
        world.wait()
        assert world.size(INSURANCE) == "0"

    def test_unwinding_stops_at_the_maximum_slippage(self, world: World) -> None:
        world.buy("boris", "0.05", "27200")
        world.buy("boris", "0.05", "27000")  # more than 0.5 % lower
        world.mark("27250")
        assert world.size(INSURANCE) == "0.05"

    def test_added_margin_moves_the_liquidation_price(self, world: World) -> None:
        world.add_margin("anna", "100")
        assert views.position(world.engine, "anna", BTC).liquidation_price == "26300.0"
        world.mark("26400")
        assert world.size("anna") == "0.1"
        world.mark("26300")
        assert world.wallet("anna") == "999600"

    def test_a_short(self) -> None:
        world = examples_world("anna", "boris")
        world.leverage("boris", 10, isolated=True)
        world.trade("30000", "0.1", "anna", "boris")
        assert views.position(world.engine, "boris", BTC).liquidation_price == "32700.0"
        world.mark("32699.9")
        assert world.size("boris") == "-0.1"
        world.mark("32700")
        assert (world.size("boris"), world.wallet("boris")) == ("0", "999700")
        assert world.position(INSURANCE).cost == money("-3300")

    def test_on_the_mark_base_the_maintenance_margin_follows_the_price(self) -> None:
        world = World("anna", "boris", instruments=EXAMPLES, margin_base="mark", **NO_FEES)
        world.leverage("anna", 10, isolated=True)
        world.trade("30000", "0.1", "anna", "boris")
        # 300 + 0.1 (M - 30,000) = 0.1 M 1 % at M = 27,272.72...
        assert views.position(world.engine, "anna", BTC).liquidation_price == "27272.8"
        world.mark("27272.8")
        assert world.size("anna") == "0.1"
        world.mark("27272.7")
        assert world.size("anna") == "0"


def test_example_7_in_the_engine() -> None:
    world = World("anna", "boris", **NO_FEES)
    world.leverage("anna", 50, isolated=True)
    world.trade("20000", "1", "anna", "boris")
    row = views.position(world.engine, "anna", BTC)
    assert (row.initial_margin, row.maint_margin, row.liquidation_price) == ("400", "100", "19700.0")


def test_it_is_the_mark_and_not_the_last_price_that_liquidates() -> None:
    world = examples_world("anna", "boris")
    world.mark("30000")
    world.leverage("anna", 10, isolated=True)
    world.trade("30000", "0.1", "anna", "boris")
    world.buy("boris", "1", "29990")
    world.sell("boris", "1", "30010")
    for _ in range(3):
        world.wait()
    world.venues("30000")
    world.trade("30000", "0.001", "house buyer", "house seller")
    before = world.market().mark_price
    world.sell("house seller", "1", "29990")
    world.trade("26000", "0.001", "house buyer", "house seller")
    assert world.market().last_price == 260_000
    assert world.market().mark_price == before == 300_000
    assert world.size("anna") == "0.1"


class TestCross:
    @pytest.fixture
    def world(self) -> World:
        """Anna has 1,000 and is long 0.1 BTC at 30,000 and 1 ETH at 2,000, with 10x."""
        world = examples_world("boris")
        world.open("anna", "1000")
        world.mark("30000")
        world.mark("2000", ETH)
        world.trade("30000", "0.1", "anna", "boris")
        world.trade("2000", "1", "anna", "boris", ETH)
        return world

    def test_the_whole_wallet_carries_the_positions(self, world: World) -> None:
        # 1,000 + 0.1 (M - 30,000) = 0.001 M + 20 at M = 20,404.04...
        row = views.position(world.engine, "anna", BTC)
        assert (row.liquidation_price, row.maint_margin) == ("20404.1", "30")
        world.mark("20404.1")
        assert world.size("anna") == "0.1"
        world.mark("20404")
        assert (world.size("anna"), world.size("anna", ETH), world.wallet("anna")) == ("0", "0", "0")

    def test_all_orders_are_cancelled(self, world: World) -> None:
        orders = [
            world.buy("anna", "1", "1000", ETH),
            world.sell("anna", "0.1", trigger="1000"),
            world.buy("anna", "0.001", "10000", SPOT),
        ]
        world.mark("20000")
        assert [order.cancel_reason for order in orders] == ["LIQUIDATION"] * 3

    def test_every_position_brings_its_part_of_the_wallet(self, world: World) -> None:
        world.mark("20000")
        # The maintenance margins are 20 and 20: each position is closed at a loss of 500.
        assert world.position(INSURANCE).cost == money("2500")
        assert world.position(INSURANCE, ETH).cost == money("1500")

    def test_isolated_positions_are_left_alone(self) -> None:
        world = examples_world("boris")
        world.open("anna", "1000")
        world.mark("2000", ETH)
        world.leverage("anna", 10, isolated=True, symbol=ETH)
        world.trade("30000", "0.1", "anna", "boris")
        world.trade("2000", "1", "anna", "boris", ETH)
        assert views.position(world.engine, "anna", BTC).liquidation_price == "22222.3"  # 800 carry it
        world.mark("22000")
        assert (world.size("anna"), world.size("anna", ETH), world.wallet("anna")) == ("0", "1", "200")

    def test_profit_elsewhere_counts(self, world: World) -> None:
        world.mark("2300", ETH)
        world.mark("20000")
        assert world.size("anna") == "0.1"
        assert views.account(world.engine, "anna").total_margin_balance == "300"

    def test_the_ratio_says_how_near_it_is(self, world: World) -> None:
        world.mark("25000")
        row = views.margins(world.engine, "anna")[0]
        assert row.cross_margin_ratio == "0.09"  # (25 + 20) / (1,000 - 500)

    def test_money_held_by_spot_orders_does_not_liquidate(self, world: World) -> None:
        """They are cancelled first; what they give back may be enough."""
        order = world.buy("anna", "0.02", "22000", SPOT)  # 440
        world.mark("26000")
        assert order.status == "NEW"
        world.mark("24500")  # 1,000 - 440 - 550
        assert order.cancel_reason == "LIQUIDATION"
        assert (world.size("anna"), world.wallet("anna")) == ("0.1", "1000")


class TestSeveral:
    @pytest.fixture
    def world(self) -> World:
        """Three longs of 0.1 at 30,000; the mid stands at the index, so the mark follows the index alone."""
        world = examples_world("boris")
        world.mark("30000")
        for name, leverage in (("anna", 10), ("carl", 20), ("dora", 20)):
            world.open(name, "10000")
            world.leverage(name, leverage, isolated=True)
            world.trade("30000", "0.1", name, "boris")
        world.sell("boris", "1", "40000")
        return world

    def test_the_worst_margin_ratio_goes_first(self, world: World) -> None:
        world.buy("boris", "0.3", "20000")
        world.wait()
        events = world.venues("26900")
        liquidated = [e.account for e in events.executions if e.order and e.order.order_cancel_reason == "LIQUIDATION"]
        assert liquidated == ["carl", "dora", "anna"]  # of equal ones by name
        assert world.size(INSURANCE) == "0"

    def test_one_whom_the_unwinding_of_another_has_saved_is_spared(self, world: World) -> None:
        bid = world.buy("anna", "0.1", "20000")
        world.wait()
        world.venues("26900")
        # What is sold for Carl goes to Anna at 20,000, so her 0.2 have cost 25,000 on average.
        assert bid.status == "FILLED"
        assert (world.size("carl"), world.size("dora"), world.size("anna")) == ("0", "0", "0.2")
        assert world.size(INSURANCE) == "0.1"

    def test_stops_and_marks_that_the_unwinding_moves_are_looked_at_in_the_same_command(self) -> None:
        world = examples_world("anna", "boris", "carl")
        world.mark("30000")
        world.leverage("anna", 50, isolated=True)
        world.trade("30000", "1", "anna", "boris")
        world.buy("boris", "1", "29700")
        world.buy("boris", "5", "29600")
        world.sell("boris", "5", "29710")
        stop = world.sell("carl", "1", trigger="29680")
        assert stop.status == "NEW"
        world.venues("29000")  # mark: the mean of index and last price, 29,500
        assert world.size("anna") == "0"
        assert stop.status == "FILLED", "the unwinding took the bid of 29,700, the mid fell to 29,655"

    def test_the_fund_is_never_liquidated(self) -> None:
        world = World("boris", instruments=EXAMPLES, insurance_fund=money("1000"), **NO_FEES)
        world.open("anna", "1000")
        world.mark("30000")
        world.leverage("anna", 50, isolated=True)
        world.trade("30000", "0.1", "anna", "boris")
        world.mark("25000")
        world.mark("20000")
        assert world.size(INSURANCE) == "0.1", (
            "it has equity of 60, far below the maintenance margin of 1 % and the loss"
        )
        world.buy("boris", "0.1", "20000")
        world.wait()
        assert world.wallet(INSURANCE) == "60"  # 1,000 - 0.1 * (29,400 - 20,000)
