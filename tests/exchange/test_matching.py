"""Priority, partial fills, times in force, slippage, self-trade prevention and reduce-only."""

import pytest
from tests.exchange.world import BTC, BUY, SELL, SPOT, World, amount_text, money

from tickwire.exchange.book import Order
from tickwire.exchange.commands import CancelOrder, TimeInForce
from tickwire.exchange.matching import slippage_limit, walk

IOC, FOK = TimeInForce.IOC, TimeInForce.FOK


@pytest.fixture
def world() -> World:
    return World("anna", "boris", "carl", "dora")


def fills(order: Order) -> tuple[str, str, str]:
    """(filled quantity, its cost, status)."""
    instrument = order.market.instrument
    return instrument.quantity_text(order.filled_quantity), amount_text(order.filled_cost), order.status


class TestPriority:
    def test_the_best_price_trades_first_whatever_its_age(self, world: World) -> None:
        worse = world.sell("anna", "1", "50000.2")
        better = world.sell("boris", "1", "50000.1")
        taker = world.buy("carl", "1", "50001")
        assert fills(taker) == ("1", "50000.1", "FILLED")
        assert (better.status, worse.status) == ("FILLED", "NEW")

    def test_of_one_price_the_oldest_trades_first(self, world: World) -> None:
        first, second, third = (world.sell(name, "1", "50000") for name in ("anna", "boris", "anna"))
        world.buy("carl", "1.5", "50000")
        assert (first.status, second.status, third.status) == ("FILLED", "PARTIALLY_FILLED", "NEW")
        world.buy("dora", "0.5", "50000")
        assert (second.status, third.status) == ("FILLED", "NEW")

    def test_a_partly_filled_order_keeps_its_place(self, world: World) -> None:
        first = world.buy("anna", "1", "50000")
        world.sell("carl", "0.4", "50000")
        world.buy("boris", "1", "50000")
        world.sell("carl", "0.6", "50000")
        assert first.status == "FILLED"
        assert world.bids() == [("50000.0", "1")]

    def test_a_taker_trades_at_the_makers_prices(self, world: World) -> None:
        world.buy("anna", "1", "50000")
        world.buy("boris", "1", "49999")
        taker = world.sell("carl", "3", "49990")
        assert fills(taker) == ("2", "99999", "PARTIALLY_FILLED")
        assert world.asks() == [("49990.0", "1")]
        assert world.bids() == []

    def test_executions_name_price_and_quantity_of_each_fill(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        world.sell("boris", "1", "50001")
        events = world.do(world.command("carl", BUY, "1.5", "50001"))
        rows = [
            (e.account, e.execution.exec_type, e.execution.last_price, e.execution.last_qty) for e in events.executions
        ]
        assert rows == [
            ("carl", "NEW", None, None),
            ("anna", "TRADE", "50000.0", "1"),
            ("carl", "TRADE", "50000.0", "1"),
            ("boris", "TRADE", "50001.0", "0.5"),
            ("carl", "TRADE", "50001.0", "0.5"),
        ]
        assert [e.exec_id for e in events.executions] == sorted({e.exec_id for e in events.executions})
        last = events.executions[-1]
        assert (last.execution.avg_price, last.execution.cum_qty) == ("50000.33333", "1.5")
        assert last.order is not None
        assert (last.order.status, last.order.leaves_qty, last.order.cum_fee) == ("FILLED", "0", "45.0003")

    def test_fees_are_the_makers_and_the_takers(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        world.buy("boris", "1", "50000")
        assert world.wallet("anna") == "999990"  # 0.02 %
        assert world.wallet("boris") == "999970"  # 0.06 %
        assert world.engine.fees == {"USDT": money("40")}

    def test_a_fee_is_rounded_up(self, world: World) -> None:
        world.trade("50000.1", "0.000021", "anna", "boris")  # 1.0500021: a maker's 0.0002 of it has 11 decimals
        assert world.wallet("anna") == "999999.99978999"
        assert world.wallet("boris") == "999999.99936999"


class TestTimeInForce:
    def test_ioc_cancels_its_rest(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        order = world.buy("boris", "3", "50000", time_in_force=IOC)
        assert fills(order) == ("1", "50000", "CANCELED")
        assert (order.cancel_reason, world.bids()) == ("IMMEDIATE_OR_CANCEL", [])

    def test_ioc_without_a_counterparty_ends_at_once(self, world: World) -> None:
        order = world.buy("boris", "3", "50000", time_in_force=IOC)
        assert fills(order) == ("0", "0", "CANCELED")

    def test_fok_fills_whole_or_not_at_all(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        world.sell("carl", "1", "50001")
        world.sell("anna", "5", "50002")
        order = world.buy("boris", "2.1", "50001", time_in_force=FOK)
        assert (fills(order), order.cancel_reason) == (("0", "0", "CANCELED"), "FILL_OR_KILL")
        assert len(world.asks()) == 3
        assert fills(world.buy("boris", "2", "50001", time_in_force=FOK)) == ("2", "100001", "FILLED")

    def test_fok_does_not_count_ones_own_orders(self, world: World) -> None:
        world.sell("boris", "5", "50000")
        world.sell("anna", "1", "50000")
        killed = world.buy("boris", "2", "50000", time_in_force=FOK)
        assert killed.cancel_reason == "FILL_OR_KILL"
        assert world.asks() == [("50000.0", "6")], "a killed order cancels nothing"
        assert world.buy("boris", "1", "50000", time_in_force=FOK).status == "FILLED"

    def test_fok_counts_reduce_only_makers_as_far_as_their_position_goes(self, world: World) -> None:
        world.trade("50000", "2", buyer="anna", seller="carl")
        world.sell("anna", "1.5", "50001")  # takes 1.5 of the position first
        world.sell("anna", "2", "50001", reduce_only=True)
        assert world.buy("boris", "2.1", "50001", time_in_force=FOK).cancel_reason == "FILL_OR_KILL"
        assert world.buy("boris", "2", "50001", time_in_force=FOK).status == "FILLED"
        assert world.size("anna") == "0"

    def test_a_reduce_only_fok_larger_than_the_position_is_killed(self, world: World) -> None:
        world.trade("50000", "2", buyer="anna", seller="carl")
        world.buy("boris", "5", "50000")
        order = world.sell("anna", "3", "50000", reduce_only=True, time_in_force=FOK)
        assert order.cancel_reason == "FILL_OR_KILL"
        assert world.sell("anna", "2", "50000", reduce_only=True, time_in_force=FOK).status == "FILLED"


class TestMarketOrders:
    def test_a_market_order_takes_what_there_is_and_ends(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        order = world.buy("boris", "2")
        assert (fills(order), order.cancel_reason) == (("1", "50000", "CANCELED"), "NO_COUNTERPARTY")
        assert order.time_in_force == IOC

    def test_it_stops_at_the_maximum_slippage(self, world: World) -> None:
        # 0.25 % of 50,000 is 125.
        world.sell("anna", "1", "50000")
        world.sell("anna", "1", "50125")
        world.sell("anna", "1", "50125.1")
        order = world.buy("boris", "3")
        assert (fills(order), order.cancel_reason) == (("2", "100125", "CANCELED"), "MAX_SLIPPAGE")

    def test_the_bound_is_doubled_when_closing(self, world: World) -> None:
        world.trade("50000", "3", buyer="carl", seller="boris")
        world.sell("anna", "1", "50000")
        world.sell("anna", "1", "50250")
        world.sell("anna", "1", "50250.1")
        order = world.buy("boris", "3", reduce_only=True)
        assert (fills(order), order.cancel_reason) == (("2", "100250", "CANCELED"), "MAX_SLIPPAGE")
        assert world.size("boris") == "-1"

    def test_the_bound_is_rounded_towards_the_best_price(self, world: World) -> None:
        market = world.market()  # 0.25 % of 50,000.3 is 125.00075
        assert slippage_limit(market, BUY, 500_003, closing=False) == 501_253
        assert slippage_limit(market, SELL, 500_003, closing=False) == 498_753
        assert slippage_limit(market, SELL, 500_003, closing=True) == 497_503

    def test_max_slippage_price_bounds_the_fills(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        world.sell("anna", "1", "50001")
        world.refuse(world.command("boris", BUY, "2", worst="49999.9"), "SlippageExceeded")
        order = world.buy("boris", "2", worst="50000.9")
        assert (fills(order), order.cancel_reason) == (("1", "50000", "CANCELED"), "MAX_SLIPPAGE")
        # It can't widen the contract's own bound.
        world.sell("anna", "1", "60000")
        assert fills(world.buy("boris", "2", worst="70000")) == ("1", "50001", "CANCELED")

    def test_an_empty_book_has_no_counterparty(self, world: World) -> None:
        world.refuse(world.command("boris", BUY, "1"), "NoCounterparty")

    def test_an_amount_buys_what_it_pays_for(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        world.sell("anna", "1", "50100")
        order = world.buy("boris", None, amount="60020")
        assert fills(order) == ("1.2", "60020", "FILLED")
        assert order.amount == money("60020")

    def test_an_amount_is_never_passed(self, world: World) -> None:
        world.buy("anna", "1", "50000")
        world.buy("anna", "1", "49900")
        order = world.sell("boris", None, amount="50000.04")
        # One more step costs 0.0499 at the second price: it stays out.
        assert fills(order) == ("1", "50000", "FILLED")

    def test_the_rest_of_an_amount_beyond_the_bound_is_not_traded(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        order = world.buy("boris", None, amount="100000")
        assert fills(order) == ("1", "50000", "CANCELED")
        assert order.market.instrument.quantity_text(order.quantity) == "1.997506"  # 50,000 more at the bound of 50,125


class TestLimitOrders:
    def test_max_slippage_price_makes_the_limit_tighter(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        order = world.buy("boris", "2", "50010", worst="50005")
        assert world.bids() == [("50005.0", "1")]
        assert order.price == 500_050
        assert world.buy("carl", "1", "50001", worst="50005").price == 500_010

    def test_an_amount_is_sized_at_the_limit(self, world: World) -> None:
        order = world.buy("boris", None, "49999.9", amount="1000")
        assert order.quantity == 20_000  # 20,000.04 steps, rounded down
        assert world.bids() == [("49999.9", "0.02")]

    def test_a_counterparty_match_takes_the_opposite_best_as_its_price(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        world.sell("anna", "1", "50001")
        order = world.buy("boris", "3", match_counterparty=True)
        assert fills(order) == ("1", "50000", "PARTIALLY_FILLED")
        assert world.bids() == [("50000.0", "2")]
        sold = world.sell("carl", "1", match_counterparty=True)
        assert fills(sold) == ("1", "50000", "FILLED")

    def test_a_counterparty_match_needs_one(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        world.refuse(world.command("boris", SELL, "1", match_counterparty=True), "NoCounterparty")


class TestSelfTrade:
    def test_the_resting_order_is_cancelled(self, world: World) -> None:
        own = world.sell("boris", "1", "50000")
        world.sell("anna", "1", "50000")
        order = world.buy("boris", "1", "50000")
        assert order.status == "FILLED"
        assert (own.status, own.cancel_reason) == ("CANCELED", "SELF_TRADE_PREVENTION")
        assert world.size("anna") == "-1"

    def test_own_orders_behind_the_last_fill_stay(self, world: World) -> None:
        world.sell("anna", "1", "50000")
        own = world.sell("boris", "1", "50000")
        world.buy("boris", "1", "50000")
        assert own.status == "NEW"

    def test_a_market_order_against_ones_own_orders_alone_trades_nothing(self, world: World) -> None:
        own = world.sell("boris", "1", "50000")
        order = world.buy("boris", "1")
        assert (fills(order), order.cancel_reason) == (("0", "0", "CANCELED"), "NO_COUNTERPARTY")
        assert own.status == "CANCELED"


class TestReduceOnly:
    @pytest.fixture
    def held(self, world: World) -> World:
        """Anna is long 2, Boris short 2."""
        world.trade("50000", "2", buyer="anna", seller="boris")
        return world

    def test_needs_a_position_to_reduce(self, held: World) -> None:
        held.refuse(held.command("anna", BUY, "1", "50000", reduce_only=True), "ReduceOnlyRejected")
        held.refuse(held.command("carl", BUY, "1", "50000", reduce_only=True), "ReduceOnlyRejected")
        held.refuse(held.command("carl", SELL, "1", "50000", SPOT, reduce_only=True), "InvalidParameter")

    def test_a_taker_closes_no_more_than_there_is(self, held: World) -> None:
        held.buy("carl", "5", "50000")
        order = held.sell("anna", "3", "50000", reduce_only=True)
        assert (fills(order), order.cancel_reason) == (("2", "100000", "CANCELED"), "REDUCE_ONLY")
        assert held.size("anna") == "0"
        assert held.asks() == []

    def test_a_maker_closes_no_more_than_there_is(self, held: World) -> None:
        order = held.sell("anna", "3", "50001", reduce_only=True)
        assert held.asks() == [("50001.0", "3")]
        taker = held.buy("carl", "3", "50001")
        assert (fills(order)[0], order.status, order.cancel_reason) == ("2", "CANCELED", "REDUCE_ONLY")
        assert fills(taker) == ("2", "100002", "PARTIALLY_FILLED")
        assert held.size("anna") == "0"

    def test_resting_ones_go_with_the_position(self, held: World) -> None:
        resting = held.sell("anna", "1", "50010", reduce_only=True)
        stop = held.sell("anna", "1", reduce_only=True, trigger="40000")
        other = held.sell("anna", "1", "50020")
        held.buy("carl", "5", "50000")
        held.sell("anna", "1.5", "50000")
        assert resting.status == stop.status == "NEW"
        held.sell("anna", "0.5", "50000")
        assert (resting.cancel_reason, stop.cancel_reason) == ("REDUCE_ONLY", "REDUCE_ONLY")
        assert other.status == "NEW"

    def test_resting_ones_go_when_the_position_turns(self, held: World) -> None:
        resting = held.sell("anna", "1", "50010", reduce_only=True)
        held.buy("carl", "5", "50000")
        held.sell("anna", "3", "50000")
        assert (held.size("anna"), resting.status) == ("-1", "CANCELED")

    def test_nothing_is_held_for_them(self, held: World) -> None:
        free = held.free("anna")
        held.sell("anna", "2", "50010", reduce_only=True)
        held.sell("anna", "2", reduce_only=True, trigger="40000")
        assert held.free("anna") == free

    def test_an_own_order_fills_first_and_leaves_nothing_to_reduce(self, held: World) -> None:
        held.sell("anna", "2", "50001")
        reducing = held.sell("anna", "2", "50001", reduce_only=True)
        taker = held.buy("carl", "3", "50001")
        assert reducing.cancel_reason == "REDUCE_ONLY"
        assert fills(taker)[0] == "2"
        assert held.size("anna") == "0"


class TestSpot:
    @pytest.fixture
    def spot(self, world: World) -> World:
        world.deposit("anna", "3", "BTC")
        return world

    def test_both_assets_change_hands(self, spot: World) -> None:
        spot.sell("anna", "1", "50000", SPOT)
        spot.buy("boris", "1", "50000", SPOT)
        assert (spot.wallet("anna", "BTC"), spot.wallet("anna")) == ("2", "1049990")
        assert (spot.wallet("boris", "BTC"), spot.wallet("boris")) == ("1", "949970")
        assert spot.market(SPOT).open_interest == 0
        assert "boris" not in spot.market(SPOT).holders

    def test_open_orders_hold_the_asset_they_pay_with(self, spot: World) -> None:
        order = spot.sell("anna", "1", "60000", SPOT)
        assert spot.account("anna").reserved == {"BTC": money("1")}
        bid = spot.buy("boris", "1", "50000", SPOT)
        assert spot.account("boris").reserved == {"USDT": money("50030")}  # with the taker's fee
        assert spot.free("boris") == "949970"
        spot.sell("anna", "0.5", "50000", SPOT)
        assert spot.account("boris").reserved == {"USDT": money("25015")}
        for name, resting in (("anna", order), ("boris", bid)):
            spot.do(CancelOrder(name, SPOT, resting.id))
            assert set(spot.account(name).reserved.values()) == {0}

    def test_what_is_held_can_not_be_sold_again(self, spot: World) -> None:
        spot.sell("anna", "2.5", "60000", SPOT)
        spot.refuse(spot.command("anna", SELL, "0.6", "60000", SPOT), "InsufficientBalance")
        spot.refuse(spot.command("carl", SELL, "0.1", "60000", SPOT), "InsufficientBalance")

    def test_a_buy_is_paid_with_its_fee(self, spot: World) -> None:
        spot.open("poor", "1000.6")
        spot.refuse(spot.command("poor", BUY, "0.020001", "50000", SPOT), "InsufficientBalance")
        spot.buy("poor", "0.02", "50000", SPOT)
        assert spot.free("poor") == "0"

    def test_floating_profit_buys_no_spot(self, spot: World) -> None:
        spot.open("winner", "1000")
        spot.trade("50000", "0.1", buyer="winner", seller="carl")
        spot.mark("60000")
        assert spot.position("winner").unrealized_pnl == money("1000")
        withdrawable = "499"  # 1,000 - 500 of margin - 1 of fee (as maker)
        assert spot.engine.withdrawable(spot.account("winner"), "USDT") == money(withdrawable)
        spot.sell("anna", "1", "60000", SPOT)
        spot.refuse(spot.command("winner", BUY, "0.01", "60000", SPOT), "InsufficientBalance")
        spot.buy("winner", "0.008", "60000", SPOT)

    def test_leverage_has_no_part_in_it(self, spot: World) -> None:
        order = spot.buy("boris", "1", "50000", SPOT)
        assert order.leverage == 0
        assert SPOT not in spot.account("boris").positions


def test_a_look_ahead_changes_nothing(world: World) -> None:
    world.sell("anna", "1", "50000")
    world.sell("boris", "1", "50001")
    market, boris = world.market(), world.account("boris")
    before = world.engine.dump()
    step = 10**6
    assert walk(market, boris, BUY, 3 * step, None, None) == (step, money("50000"), 0)
    assert walk(market, world.account("carl"), BUY, 3 * step, None, None) == (2 * step, money("100001"), 0)
    assert walk(market, world.account("carl"), BUY, step // 2, None, None) == (step // 2, money("25000"), 0)
    assert walk(market, world.account("carl"), BUY, None, money("60000"), 500_000) == (
        step,
        money("50000"),
        money("10000"),
    )
    assert walk(market, world.account("carl"), SELL, step, None, None) == (0, 0, 0)
    assert world.engine.dump() == before


def test_a_trade_sets_last_price_candle_and_open_interest(world: World) -> None:
    world.trade("50000", "2", "anna", "boris")
    market = world.market(BTC)
    assert (market.last_price, market.open_interest) == (500_000, 2_000_000)
    assert market.candles.statistics() == (2_000_000, money("100000"), 0)
    world.trade("50001", "1", "carl", "anna")  # passes on: no new open interest
    assert market.open_interest == 2_000_000
    world.trade("50002", "2", "boris", "carl")
    assert market.open_interest == 1_000_000
