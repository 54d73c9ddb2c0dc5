"""What is checked before an order is taken, and orders that wait for a price."""

import pytest
from tests.exchange.world import BTC, BUY, DEFAULT_INSTRUMENTS, ETH, SELL, SPOT, World, amount_text, money

from tickwire.exchange import views
from tickwire.exchange.commands import CancelAll, CancelOrder, SetLeverage, SetTradeMode
from tickwire.exchange.instruments import load_instruments
from tickwire.exchange.state import INSURANCE


@pytest.fixture
def world() -> World:
    return World("anna", "boris", "carl")


class TestChecks:
    def test_unknown_names(self, world: World) -> None:
        command = world.command("anna", BUY, "1", "50000")
        world.refuse(type(command)("anna", "NOPE", BUY, 1, quantity=1, price=1), "InvalidSymbol")
        world.refuse(world.command("nobody", BUY, "1", "50000"), "InvalidParameter")

    def test_the_minimum_value(self, world: World) -> None:
        world.refuse(world.command("anna", BUY, "0.000019", "50000"), "MinNotional")
        world.buy("anna", "0.00002", "50000")
        world.refuse(world.command("anna", BUY, None, "50000", amount="0.99"), "MinNotional")
        world.refuse(world.command("anna", BUY, None, "50000", amount="0.01"), "MinNotional")
        world.refuse(world.command("anna", BUY, "0.000019", trigger="50000"), "MinNotional")
        world.refuse(world.command("anna", BUY, "0.000019", "50000", SPOT), "MinNotional")

    def test_an_order_that_closes_the_whole_position_may_be_smaller(self, world: World) -> None:
        world.trade("50000", "0.00002", "anna", "boris")
        world.buy("carl", "1", "40000")
        world.refuse(world.command("anna", SELL, "0.000019", "40000"), "MinNotional")
        world.sell("anna", "0.00002", "40000")
        assert world.size("anna") == "0"

    def test_a_reduce_only_order_may_be_smaller(self, world: World) -> None:
        world.trade("50000", "1", "anna", "boris")
        world.sell("anna", "0.000001", "60000", reduce_only=True)
        world.refuse(world.command("anna", SELL, None, "60000", amount="0.01", reduce_only=True), "MinNotional")

    def test_the_maximum_value(self, world: World) -> None:
        world.deposit("anna", "100000000")
        world.refuse(world.command("anna", BUY, "400.000001", "50000"), "MaxNotional")
        world.buy("anna", "400", "50000")

    def test_the_maximum_position_counts_open_orders(self) -> None:
        text = DEFAULT_INSTRUMENTS.replace('max_position = "100000000"', 'max_position = "100100"')
        world = World("anna", "boris", instruments=load_instruments(text))
        world.trade("50000", "1", "anna", "boris")
        world.buy("anna", "1", "50000")
        world.refuse(world.command("anna", BUY, "0.01", "50000"), "MaxPosition")
        world.sell("boris", "0.9", "50010")
        world.sell("anna", "3", "50020")  # to 2 short
        world.refuse(world.command("anna", SELL, "0.01", "50020"), "MaxPosition")
        world.sell("anna", "1", "51000", reduce_only=True)

    def test_the_maximum_open_interest(self) -> None:
        text = DEFAULT_INSTRUMENTS.replace('max_open_interest = "50000"', 'max_open_interest = "2"')
        world = World("anna", "boris", "carl", instruments=load_instruments(text))
        world.trade("50000", "1.5", "anna", "boris")
        world.refuse(world.command("carl", BUY, "0.6", "50000"), "MaxOpenInterest")
        world.sell("anna", "1.5", "50000")  # reduces
        world.buy("carl", "0.5", "49000")

    def test_open_orders_are_counted(self) -> None:
        world = World("anna", "boris", max_open_orders=3)
        for _ in range(2):
            world.buy("anna", "1", "40000")
        stop = world.buy("anna", "1", trigger="60000")
        world.refuse(world.command("anna", BUY, "1", "40000"), "TooManyOrders")
        world.do(CancelOrder("anna", BTC, stop.id))
        world.buy("anna", "1", "40000")

    def test_an_instrument_may_be_closed_for_trading(self) -> None:
        text = DEFAULT_INSTRUMENTS.replace('symbol = "BTCUSDT.PERP"', 'symbol = "BTCUSDT.PERP"\ntrading = false')
        world = World("anna", instruments=load_instruments(text))
        world.refuse(world.command("anna", BUY, "1", "50000"), "ApiSymbolRestricted")

    def test_the_trade_mode(self, world: World) -> None:
        order = world.buy("anna", "1", "40000")
        world.do(SetTradeMode("anna", True))
        world.refuse(world.command("anna", BUY, "1", "50000"), "InvalidTradeMode")
        world.do(CancelOrder("anna", BTC, order.id))
        world.do(SetTradeMode("anna", False))
        world.buy("anna", "1", "50000")


class TestMargin:
    def test_example_11_an_order_holds_margin_and_both_fees(self) -> None:
        world = World("anna", taker_fee_rate=55_000)
        order = world.buy("anna", "1", "50000")
        assert amount_text(order.reserve) == "5052.25"
        assert world.free("anna") == amount_text(money("1000000") - money("5052.25"))

    def test_example_12_at_a_higher_leverage(self) -> None:
        world = World("anna", taker_fee_rate=75_000)
        world.leverage("anna", 50)
        assert amount_text(world.buy("anna", "1", "10000").reserve) == "214.85"

    def test_an_order_needs_what_it_will_hold(self, world: World) -> None:
        # At 10x and 0.06 %: 5,000 + 30 + 27.
        world.open("poor", "5056.99999999")
        error = world.refuse(world.command("poor", BUY, "1", "50000"), "InsufficientBalance")
        assert error.message == "the order needs 5057 USDT at 10x, available 5056.99999999"
        world.deposit("poor", "0.00000001")
        world.buy("poor", "1", "50000")
        assert world.free("poor") == "0"

    def test_a_marketable_sell_is_measured_at_the_price_it_will_get(self, world: World) -> None:
        world.open("poor", "5000")
        world.buy("anna", "1", "50000")
        world.refuse(world.command("poor", SELL, "1", "1000"), "InsufficientBalance")

    def test_a_market_order_needs_margin_for_what_the_book_gives(self, world: World) -> None:
        world.open("poor", "5000")
        world.sell("anna", "1", "50000")
        world.refuse(world.command("poor", BUY, "1"), "InsufficientBalance")
        assert world.buy("poor", "0.98").status == "FILLED"

    def test_an_order_that_only_reduces_holds_nothing(self, world: World) -> None:
        world.open("poor", "5100")
        world.trade("50000", "1", "poor", "boris")
        free = world.free("poor")
        world.sell("poor", "1", "51000")
        assert world.free("poor") == free
        world.refuse(world.command("poor", SELL, "1", "51000"), "InsufficientBalance")

    def test_a_turn_needs_margin_for_what_goes_beyond_the_position(self, world: World) -> None:
        world.trade("50000", "1", "anna", "boris")
        order = world.sell("anna", "3", "51000")
        assert world.position("anna").order_reserve == -(-order.reserve * 2 // 3)

    def test_a_cancel_gives_everything_back(self, world: World) -> None:
        free = world.free("anna")
        world.buy("anna", "1", "50000")
        world.buy("anna", "1", trigger="60000")
        world.buy("anna", "1", "2000", ETH)
        world.do(CancelAll("anna", BTC))
        assert list(world.account("anna").orders) == [3]
        world.do(CancelAll("anna"))
        assert world.free("anna") == free

    def test_example_9_the_average_entry(self, world: World) -> None:
        world.trade("5000", "0.5", "anna", "boris")
        world.trade("6000", "0.3", "anna", "boris")
        assert views.position(world.engine, "anna", BTC).entry_price == "5375"
        world.trade("6500", "0.2", "boris", "anna")
        row = views.position(world.engine, "anna", BTC)
        assert (row.entry_price, row.position_qty) == ("5375", "0.6")
        # 0.2 * (6,500 - 5,375) realised, and the maker's and the taker's fees.
        assert world.wallet("anna") == amount_text(money("1000225") - money("0.86") - money("0.78"))

    def test_a_turn_begins_a_new_position_at_its_own_price(self, world: World) -> None:
        world.trade("5000", "1", "anna", "boris")
        world.trade("5100", "3", "boris", "anna")
        row = views.position(world.engine, "anna", BTC)
        assert (row.position_side, row.position_qty, row.entry_price) == ("SHORT", "2", "5100")
        assert row.total_fee == "6.12"  # two thirds of the taker's 9.18


class TestCancel:
    def test_only_ones_own_open_orders(self, world: World) -> None:
        order = world.buy("anna", "1", "50000")
        world.refuse(CancelOrder("boris", BTC, order.id), "OrderNotFound")
        world.refuse(CancelOrder("anna", ETH, order.id), "OrderNotFound")
        world.refuse(CancelOrder("anna", "NOPE", order.id), "InvalidSymbol")
        events = world.do(CancelOrder("anna", BTC, order.id))
        row = events.executions[0].order
        assert row is not None
        assert (row.status, row.order_cancel_reason, row.leaves_qty) == ("CANCELED", "USER_CANCELED", "1")
        world.refuse(CancelOrder("anna", BTC, order.id), "OrderNotFound")


class TestStops:
    """STOP_MARKET fires on the mid price: a BUY on a rise, a SELL on a fall."""

    @pytest.fixture
    def quoted(self, world: World) -> World:
        world.buy("anna", "5", "49990")
        world.sell("anna", "5", "50010")
        return world

    def test_a_buy_fires_when_the_mid_has_risen_to_it(self, quoted: World) -> None:
        stop = quoted.buy("boris", "1", trigger="50005")
        assert (stop.status, quoted.bids()) == ("NEW", [("49990.0", "5")])
        quoted.buy("carl", "1", "49999.9")  # mid 50,004.95
        assert stop.status == "NEW"
        quoted.buy("carl", "1", "50000")  # mid 50,005
        assert stop.status == "FILLED"
        assert quoted.size("boris") == "1"

    def test_a_sell_fires_when_the_mid_has_fallen_to_it(self, quoted: World) -> None:
        stop = quoted.sell("boris", "1", trigger="49995")
        quoted.sell("carl", "1", "50000.1")
        assert stop.status == "NEW"
        quoted.sell("carl", "1", "50000")
        assert stop.status == "FILLED"
        assert quoted.size("boris") == "-1"

    def test_one_whose_price_is_reached_fires_at_once(self, quoted: World) -> None:
        events = quoted.do(quoted.command("boris", BUY, "1", trigger="50000"))
        assert [e.execution.exec_type for e in events.executions if e.account == "boris"] == [
            "NEW",
            "TRIGGERED",
            "TRADE",
        ]
        assert events.order is not None
        assert events.order.status == "FILLED"

    def test_trades_and_prices_elsewhere_do_not_fire_it(self, quoted: World) -> None:
        stop = quoted.buy("boris", "1", trigger="50005")
        quoted.venues("51000")
        quoted.buy("carl", "1", "50010")  # a trade at 50,010, the mid is where it was
        assert stop.status == "NEW"

    def test_without_a_mid_nothing_fires(self, world: World) -> None:
        stop = world.buy("boris", "1", trigger="50000")
        world.sell("anna", "1", "60000")
        assert stop.status == "NEW"
        world.buy("anna", "1", "59990")
        assert stop.status == "FILLED"

    def test_one_may_fire_the_next(self, quoted: World) -> None:
        quoted.sell("anna", "1", "50100")
        second = quoted.buy("boris", "1", trigger="50030")
        first = quoted.buy("carl", "5", trigger="50001")
        quoted.buy("anna", "1", "49993")  # mid 50,001.5: carl takes 5 at 50,010, so the mid is 50,046.5
        assert (first.status, second.status) == ("FILLED", "FILLED")

    def test_it_holds_margin_while_it_waits(self, quoted: World) -> None:
        free = quoted.free("boris")
        stop = quoted.buy("boris", "1", trigger="60000")
        assert amount_text(stop.reserve) == "6068.4"
        quoted.do(CancelOrder("boris", BTC, stop.id))
        assert quoted.free("boris") == free

    def test_it_stops_at_the_maximum_slippage(self, quoted: World) -> None:
        quoted.sell("anna", "5", "50200")
        stop = quoted.buy("boris", "6", trigger="50000")
        assert (stop.status, stop.cancel_reason) == ("CANCELED", "MAX_SLIPPAGE")
        assert quoted.size("boris") == "5"

    def test_its_max_slippage_price_bounds_the_fills(self, quoted: World) -> None:
        stop = quoted.buy("boris", "1", trigger="50000", worst="50009.9")
        assert (stop.status, stop.filled_quantity) == ("CANCELED", 0)

    def test_it_is_rejected_when_the_margin_is_gone(self, quoted: World) -> None:
        quoted.open("poor", "607")
        stop = quoted.buy("poor", "0.12", trigger="50000.1")  # 606.85 at the trigger
        assert stop.status == "NEW"
        quoted.buy("carl", "5", "50010")
        quoted.sell("carl", "1", "50200")  # mid 50,095, but it would have to buy at 50,200
        assert (stop.status, stop.reject_reason) == ("REJECTED", "InsufficientBalance")
        assert quoted.free("poor") == "607"

    def test_a_reduce_only_one_closes_and_is_gone_with_the_position(self, quoted: World) -> None:
        quoted.buy("boris", "2", "50010")
        stop = quoted.sell("boris", "3", trigger="49990", reduce_only=True)
        quoted.buy("carl", "3", "49980")
        quoted.sell("carl", "5", "49990")
        assert stop.status == "NEW"
        quoted.sell("carl", "0.5", "49999")  # mid 49,989.5
        assert (stop.status, stop.cancel_reason) == ("CANCELED", "REDUCE_ONLY")
        assert (quoted.size("boris"), quoted.bids()[0]) == ("0", ("49980.0", "1"))


class TestExits:
    """Take-profit and stop-loss on an order, and on a position through the order that opened it."""

    @pytest.fixture
    def quoted(self, world: World) -> World:
        for price in ("49990", "49900"):
            world.buy("anna", "5", price)
        for price in ("50010", "50100"):
            world.sell("anna", "5", price)
        return world

    def test_they_wait_until_the_order_has_filled(self, quoted: World) -> None:
        order = quoted.buy("boris", "2", "49995")
        quoted.do(quoted.exits(order, take_profit="50002", stop_loss="49000"))
        assert (order.take_profit_price, order.stop_loss_price) == (500_020, 490_000)
        quoted.buy("carl", "1", "50000")  # mid 50,005: nothing to close yet
        assert order.status == "NEW"

    def test_what_has_filled_is_closed_and_the_rest_cancelled(self, quoted: World) -> None:
        order = quoted.buy("boris", "2", "49995")
        quoted.do(quoted.exits(order, take_profit="50010", stop_loss="49000"))
        quoted.sell("carl", "0.5", "49995")
        assert (quoted.size("boris"), order.status) == ("0.5", "PARTIALLY_FILLED")
        quoted.buy("carl", "1", "50009.9")
        assert quoted.size("boris") == "0.5"  # mid 50,009.95
        events = quoted.do(quoted.command("anna", BUY, "5", "50010"))  # lifts the offers: mid 50,054.95
        quoted.buy("carl", "5", "50010")
        assert quoted.size("boris") == "0", events.error
        assert (order.status, order.cancel_reason) == ("CANCELED", "TAKE_PROFIT")

    def test_a_stop_loss_fires_on_a_fall(self, quoted: World) -> None:
        order = quoted.buy("boris", "1", "50010")
        quoted.do(quoted.exits(order, stop_loss="49990"))
        events = quoted.do(quoted.command("carl", SELL, "5", "49990"))
        closing = [e for e in events.executions if e.account == "boris"]
        assert [e.execution.exec_type for e in closing] == ["TRIGGERED", "TRADE"]
        assert closing[0].execution.conditional_order_type == "POSITION_SL"
        assert closing[0].order is not None
        assert closing[0].order.side == "SELL"
        assert quoted.size("boris") == "0"

    def test_those_of_an_order_are_named_so(self, quoted: World) -> None:
        order = quoted.sell("boris", "1", "50005")
        quoted.do(quoted.exits(order, take_profit="49960", stop_loss="50500"))
        quoted.buy("carl", "1", "50005")
        events = quoted.do(quoted.command("carl", SELL, "5", "49990"))  # mid 49,955
        kinds = [e.execution.conditional_order_type for e in events.executions if e.account == "boris"]
        assert kinds == ["ORDER_TP", "ORDER_TP"]
        assert quoted.size("boris") == "0"

    def test_prices_on_the_wrong_side_are_refused(self, quoted: World) -> None:
        bid = quoted.buy("boris", "1", "49980")
        quoted.refuse(quoted.exits(bid, take_profit="49980"), "InvalidParameter")
        error = quoted.refuse(quoted.exits(bid, stop_loss="49980.1"), "InvalidParameter")
        assert error.message == "newStopLossPrice: expected a price below 49980.0, got 49980.1"
        filled = quoted.sell("carl", "1", "49990")
        quoted.refuse(quoted.exits(filled, take_profit="50010"), "InvalidParameter")
        quoted.refuse(quoted.exits(filled, stop_loss="49000"), "InvalidParameter")
        quoted.do(quoted.exits(filled, take_profit="49900", stop_loss="50200"))

    def test_a_change_keeps_the_other_price(self, quoted: World) -> None:
        order = quoted.buy("boris", "1", "49980")
        quoted.do(quoted.exits(order, take_profit="50500", stop_loss="49000"))
        events = quoted.do(quoted.exits(order, take_profit="50600"))
        assert events.executions[0].execution.exec_type == "REPLACED"
        assert (order.take_profit_price, order.stop_loss_price) == (506_000, 490_000)
        unchanged = quoted.do(quoted.exits(order))
        assert unchanged.order is order
        assert not unchanged.executions

    def test_through_a_filled_order_the_whole_position_is_guarded(self, quoted: World) -> None:
        first = quoted.buy("boris", "1", "50010")
        quoted.do(quoted.exits(first, stop_loss="49960"))
        quoted.buy("boris", "1", "50010")  # guarded as well
        quoted.sell("carl", "5", "49990")
        assert quoted.size("boris") == "0"

    def test_the_position_takes_over_what_its_order_had(self, quoted: World) -> None:
        order = quoted.buy("boris", "1", "50005")
        quoted.do(quoted.exits(order, take_profit="50050"))
        quoted.sell("carl", "1", "50005")
        quoted.do(quoted.exits(order, take_profit="50500"))
        assert len(list(quoted.market().triggers)) == 1
        quoted.buy("carl", "5", "50010")  # mid 50,045 is beyond neither
        quoted.buy("carl", "1", "50008")
        assert quoted.size("boris") == "1"

    def test_they_are_gone_with_the_position(self, quoted: World) -> None:
        order = quoted.buy("boris", "1", "50010")
        quoted.do(quoted.exits(order, take_profit="51000", stop_loss="49000"))
        assert len(list(quoted.market().triggers)) == 2
        quoted.sell("boris", "1", "49990")
        assert list(quoted.market().triggers) == []
        quoted.refuse(quoted.exits(order, take_profit="51000"), "OrderNotFound")

    def test_an_order_that_only_reduced_has_nothing_to_guard(self, quoted: World) -> None:
        quoted.buy("boris", "2", "50010")
        reducing = quoted.sell("boris", "1", "50011")
        quoted.do(quoted.exits(reducing, stop_loss="51000"))
        quoted.buy("carl", "4", "50011")
        assert quoted.size("boris") == "1"
        assert list(quoted.market().triggers) == []
        closing = quoted.sell("boris", "1", "60000", reduce_only=True)
        quoted.refuse(quoted.exits(closing, stop_loss="61000"), "InvalidParameter")

    def test_orders_of_others_can_not_be_touched(self, quoted: World) -> None:
        order = quoted.buy("boris", "1", "49000")
        theirs = quoted.exits(order, take_profit="51000")
        quoted.refuse(type(theirs)("carl", BTC, order.id, 510_000), "OrderNotFound")
        quoted.refuse(type(theirs)("boris", ETH, order.id, 510_000), "OrderNotFound")

    @pytest.mark.parametrize(("side", "stop_loss"), [(BUY, "49960"), (SELL, "50040")])
    def test_on_spot_they_sell_or_buy_back_what_was_traded(self, world: World, side: int, stop_loss: str) -> None:
        world.deposit("anna", "50", "BTC")
        world.deposit("boris", "1", "BTC")
        for price in ("49990", "49900"):
            world.buy("anna", "2", price, SPOT)
        for price in ("50010", "50100"):
            world.sell("anna", "2", price, SPOT)
        order = world.place(world.command("boris", side, "1", "50000", SPOT))
        world.do(world.exits(order, stop_loss=stop_loss))
        world.open("dora")
        world.deposit("dora", "5", "BTC")
        world.place(world.command("dora", -side, "1", "50000", SPOT))
        assert world.wallet("boris", "BTC") == ("2" if side > 0 else "0")
        world.place(world.command("dora", -side, "2", "49990" if side > 0 else "50010", SPOT))
        assert world.wallet("boris", "BTC") == "1"

    def test_many_changes_leave_no_trail(self, quoted: World) -> None:
        order = quoted.buy("boris", "1", "50010")
        queue = quoted.market().triggers
        for number in range(600):
            quoted.engine.apply(quoted.time, quoted.exits(order, stop_loss=str(40_000 + number)))
        assert len(list(queue)) == 1
        assert len(queue._rising) + len(queue._falling) <= 257


def test_house_accounts_trade_like_anyone_but_keep_no_history(world: World) -> None:
    world.open("maker", house=True)
    world.sell("maker", "1", "50000")
    events = world.do(world.command("anna", BUY, "1"))
    assert {e.account for e in events.executions} == {"anna"}
    assert world.size("maker") == "-1"
    assert not world.position("maker").opened_by
    assert not world.do(world.command("maker", BUY, "1", "40000")).executions
    world.refuse(SetLeverage("maker", BTC, 101, False), "TooHighLeverage")
    assert INSURANCE in world.engine.accounts
