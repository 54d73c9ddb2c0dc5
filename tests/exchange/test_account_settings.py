import pytest
from tests.exchange.world import BTC, BUY, ETH, SELL, SPOT, World, money

from tickwire.exchange import views
from tickwire.exchange.commands import AdjustMargin, CancelAll, CreateAccount, Deposit, SetLeverage, SetTradeMode

NO_FEES = {"maker_fee_rate": 0, "taker_fee_rate": 0}


@pytest.fixture
def world() -> World:
    world = World("boris", **NO_FEES)
    world.open("anna", "1000")
    world.mark("30000")
    return world


class TestLeverage:
    def test_bounds(self, world: World) -> None:
        world.refuse(SetLeverage("anna", BTC, 0, False), "InvalidParameter")
        world.refuse(SetLeverage("anna", BTC, 101, False), "TooHighLeverage")
        world.refuse(SetLeverage("anna", SPOT, 5, False), "InvalidParameter")
        world.refuse(SetLeverage("anna", "NOPE", 5, False), "InvalidSymbol")
        world.refuse(SetLeverage("nobody", BTC, 5, False), "InvalidParameter")
        world.leverage("anna", 100)
        world.leverage("anna", 1)

    def test_a_setting_is_shown_without_a_position(self, world: World) -> None:
        assert views.positions(world.engine, "anna") == []
        world.leverage("anna", 7, isolated=True)
        [row] = views.positions(world.engine, "anna")
        assert (row.leverage, row.margin_type, row.position_side, row.position_qty) == (7, "ISOLATED", None, "0")

    def test_it_begins_at_the_default_or_the_symbols_maximum(self, world: World) -> None:
        assert views.position(world.engine, "anna", BTC).leverage == 10
        high = World("anna", default_leverage=80)
        assert views.position(high.engine, "anna", BTC).leverage == 80
        assert views.position(high.engine, "anna", "SOLUSDT.PERP").leverage == 50

    def test_open_orders_are_measured_anew(self, world: World) -> None:
        order = world.buy("anna", "0.1", "30000")
        stop = world.buy("anna", "0.1", trigger="40000")
        reducing = world.position("anna").order_reserve
        assert reducing == order.reserve + stop.reserve == money("700")
        world.leverage("anna", 20)
        assert world.free("anna") == "650"
        error = world.refuse(SetLeverage("anna", BTC, 6, False), "InsufficientBalance")
        assert error.message.startswith("leverage 6 needs 816.6666666")
        assert world.free("anna") == "650"

    def test_the_position_is_measured_anew(self, world: World) -> None:
        world.trade("30000", "0.1", "anna", "boris")
        world.leverage("anna", 3)
        assert world.free("anna") == "0"
        world.refuse(SetLeverage("anna", BTC, 2, False), "InsufficientBalance")
        world.leverage("anna", 100)
        assert world.free("anna") == "970"

    def test_the_margin_type_is_fixed_while_something_is_open(self, world: World) -> None:
        world.buy("anna", "0.1", "20000")
        world.refuse(SetLeverage("anna", BTC, 10, True), "OpenOrdersExist")
        world.leverage("anna", 10, isolated=True, symbol=ETH)
        world.do(CancelAll("anna"))
        world.leverage("anna", 10, isolated=True)
        world.trade("30000", "0.1", "anna", "boris")
        world.refuse(SetLeverage("anna", BTC, 10, False), "OpenOrdersExist")
        world.trade("30000", "0.1", "boris", "anna")
        world.leverage("anna", 10, isolated=False)

    def test_a_leverage_that_would_liquidate_is_refused(self, world: World) -> None:
        world.leverage("anna", 5, isolated=True)
        world.trade("30000", "0.1", "anna", "boris")  # margin 600
        world.mark("28000")
        world.refuse(SetLeverage("anna", BTC, 15, True), "InvalidMargin")  # 200 - 200
        world.leverage("anna", 13, isolated=True)
        assert world.size("anna") == "0.1"


class TestMargin:
    @pytest.fixture
    def isolated(self, world: World) -> World:
        """Anna is long 0.1 at 30,000 with a margin of 300; 700 are free."""
        world.leverage("anna", 10, isolated=True)
        world.trade("30000", "0.1", "anna", "boris")
        return world

    def test_added_margin_comes_from_what_is_free(self, isolated: World) -> None:
        isolated.refuse(AdjustMargin("anna", BTC, money("700.00000001")), "InsufficientBalance")
        isolated.add_margin("anna", "700")
        assert (isolated.free("anna"), isolated.wallet("anna")) == ("0", "1000")
        assert isolated.position("anna").isolated_margin == money("1000")

    def test_what_was_added_can_be_taken_out(self, isolated: World) -> None:
        isolated.refuse(AdjustMargin("anna", BTC, -1), "InvalidMargin")
        isolated.add_margin("anna", "200")
        isolated.refuse(AdjustMargin("anna", BTC, -money("200.00000001")), "InvalidMargin")
        isolated.add_margin("anna", "-150")
        assert isolated.free("anna") == "650"

    def test_a_loss_must_stay_covered(self, isolated: World) -> None:
        isolated.add_margin("anna", "200")
        isolated.mark("28500")  # -150
        error = isolated.refuse(AdjustMargin("anna", BTC, -money("51")), "InvalidMargin")
        assert error.message == "amount: expected at most 50, got 51"
        isolated.add_margin("anna", "-50")

    def test_a_profit_can_not_be_taken_out(self, isolated: World) -> None:
        isolated.mark("35000")
        isolated.refuse(AdjustMargin("anna", BTC, -1), "InvalidMargin")
        assert isolated.free("anna") == "700", "isolated profit is not available"

    def test_closing_a_part_takes_its_part_of_the_added_margin(self, isolated: World) -> None:
        isolated.add_margin("anna", "100")
        isolated.trade("30000", "0.025", "boris", "anna")
        assert isolated.position("anna").isolated_margin == money("300")
        assert isolated.free("anna") == "700"

    def test_only_an_open_isolated_position_has_one(self, world: World) -> None:
        world.refuse(AdjustMargin("anna", BTC, 1), "PositionNotFound")
        world.leverage("anna", 10, isolated=True)
        world.refuse(AdjustMargin("anna", BTC, 1), "PositionNotFound")
        world.leverage("anna", 10)
        world.trade("30000", "0.1", "anna", "boris")
        world.refuse(AdjustMargin("anna", BTC, 1), "InvalidMargin")
        world.refuse(AdjustMargin("anna", SPOT, 1), "InvalidParameter")


class TestDeposits:
    def test_money_comes_and_goes(self, world: World) -> None:
        world.deposit("anna", "0.5", "BTC")
        assert (world.wallet("anna", "BTC"), world.engine.deposits["BTC"]) == ("0.5", money("0.5"))
        world.do(Deposit("anna", "BTC", -money("0.5")))
        world.refuse(Deposit("anna", "BTC", -1), "InsufficientBalance")
        world.refuse(Deposit("anna", "ETH", -1), "InsufficientBalance")
        world.refuse(Deposit("nobody", "USDT", 1), "InvalidParameter")

    def test_what_positions_and_orders_hold_stays(self, world: World) -> None:
        world.trade("30000", "0.1", "anna", "boris")
        world.buy("anna", "0.1", "20000")
        world.buy("anna", "0.005", "20000", SPOT)
        assert world.free("anna") == "400"
        world.refuse(Deposit("anna", "USDT", -money("400.00000001")), "InsufficientBalance")
        world.do(Deposit("anna", "USDT", -money("400")))
        assert world.free("anna") == "0"

    def test_floating_profit_stays_and_a_loss_counts(self, world: World) -> None:
        world.trade("30000", "0.1", "anna", "boris")
        world.mark("35000")
        assert world.free("anna") == "1200"  # 1,000 - 300 + 500
        assert views.balances(world.engine, "anna")[0].max_withdrawable_amount == "700"
        world.refuse(Deposit("anna", "USDT", -money("700.00000001")), "InsufficientBalance")
        world.mark("29000")
        world.do(Deposit("anna", "USDT", -money("600")))
        world.refuse(Deposit("anna", "USDT", -1), "InsufficientBalance")

    def test_with_the_setting_min_floating_profit_carries_no_order_either(self) -> None:
        world = World("boris", available_unrealized="min", **NO_FEES)
        world.open("anna", "1000")
        world.mark("30000")
        world.trade("30000", "0.1", "anna", "boris")
        world.mark("35000")
        assert world.free("anna") == "700"
        world.mark("29000")
        assert world.free("anna") == "600"

    def test_an_account_is_opened_once(self, world: World) -> None:
        before = world.wallet("anna")
        events = world.do(CreateAccount("anna", house=True))
        assert not events.accounts
        assert (world.wallet("anna"), world.account("anna").house) == (before, False)


def test_trade_mode(world: World) -> None:
    world.do(SetTradeMode("anna", True))
    for command in (world.command("anna", BUY, "1", "100"), world.command("anna", SELL, "1", "100", SPOT)):
        world.refuse(command, "InvalidTradeMode")
    world.do(SetTradeMode("anna", False))
    world.buy("anna", "1", "100")
    world.refuse(SetTradeMode("nobody", True), "InvalidParameter")
