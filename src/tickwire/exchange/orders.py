"""Placing, amending and cancelling: every check comes before the first change, so a refused command leaves no trace."""

from tickwire.exchange import margin
from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.book import Order
from tickwire.exchange.commands import AmendOrder, CancelAll, CancelOrder, OrderType, PlaceOrder, TimeInForce
from tickwire.exchange.conditionals import Bracket, Trigger
from tickwire.exchange.events import Change
from tickwire.exchange.markets import Market
from tickwire.exchange.matching import cancel, finish, guard, match, rest, set_bracket, slippage_limit, walk
from tickwire.exchange.order_rows import money_text
from tickwire.exchange.settlement import hold, release
from tickwire.exchange.state import State
from tickwire.wire.errors import ApiError
from tickwire.wire.rows import ConditionalOrderType

__all__ = ["amend_order", "cancel_all", "cancel_order", "fire_triggers", "place_order", "submit_market"]

# (guards a whole position, is its take-profit): what a fired exit is called.
_CONDITIONAL: dict[tuple[bool, bool], ConditionalOrderType] = {
    (True, True): "POSITION_TP",
    (True, False): "POSITION_SL",
    (False, True): "ORDER_TP",
    (False, False): "ORDER_SL",
}


def place_order(state: State, command: PlaceOrder) -> Order:
    """Take a new order, trade it, and let the rest of it rest, wait or end. Raises ``ApiError``."""
    market = state.market(command.symbol)
    account = state.account(command.account)
    if not market.instrument.trading:
        raise ApiError("ApiSymbolRestricted", f"symbol: {command.symbol} is not open for trading")
    if account.multiple_positions:
        raise ApiError("InvalidTradeMode")
    if len(account.orders) >= state.settings.max_open_orders:
        raise ApiError(
            "TooManyOrders", f"expected fewer than {state.settings.max_open_orders} open orders, got one more"
        )
    side, kind = command.side, command.type
    opposite = market.book.side(-side)
    best = opposite.best
    position = account.positions.get(command.symbol)
    held = position.quantity if position is not None else 0
    if command.reduce_only:
        _check_reduce_only(market.perpetual, side, held)

    price: int | None = None
    limit: int | None = None
    crosses = True  # whether it may trade at once
    if kind == OrderType.LIMIT:
        price = limit = _limit_price(command, best)
        quantity, notional = _size(market, command, price)
        crosses = best is not None and (best - price) * side <= 0
        if crosses and side < 0:
            assert best is not None
            # A marketable SELL fills at better prices, so it is measured there: the reserve must not be too small.
            notional = quantity * best * market.multiplier
    elif kind == OrderType.MARKET:
        limit = _market_limit(market, command, best, closing=held * side < 0)
        quantity, notional = _market_size(market, account, command, limit)
    else:
        assert command.trigger_price is not None
        quantity, notional = _size(market, command, command.trigger_price)

    measured: tuple[int, int] | None = None
    if not command.reduce_only:
        _check_bounds(market, position, side, quantity, notional)
    elif not quantity:
        raise ApiError("MinNotional", "quantity: expected at least one step")
    if market.perpetual:
        if position is None:
            position = Position(market, state.default_leverage(market))
        if not command.reduce_only:
            measured = _check_margin(state, account, position, side, quantity, notional)
        account.positions[command.symbol] = position
    else:
        _check_spot_balance(state, account, market, side, quantity, notional)

    order = Order(state.next_order_id, state.time, account, market, side, kind, quantity, price, command.time_in_force)
    state.next_order_id += 1
    order.amount = command.amount
    order.reduce_only = command.reduce_only
    order.trigger_price = command.trigger_price
    order.max_slippage_price = command.max_slippage_price
    if position is not None and market.perpetual:
        order.leverage = position.leverage
    if kind == OrderType.MARKET:
        order.time_in_force = TimeInForce.IOC
    state.record(order, "NEW")
    if kind == OrderType.STOP_MARKET:
        _wait(state, order)
        return order
    if not crosses and command.time_in_force == TimeInForce.GTC:
        rest(state, order, measured)  # at this very price
        return order
    if command.time_in_force == TimeInForce.FOK:
        fillable = walk(market, account, side, quantity, None, limit)[0]
        if fillable < quantity or (command.reduce_only and quantity > abs(held)):
            finish(state, order, "FILL_OR_KILL")
            return order
    match(state, order, limit)
    if order.remaining:
        _end_remainder(state, order)
    return order


def _end_remainder(state: State, order: Order) -> None:
    """Rest or cancel what no counterparty took."""
    position = order.account.positions.get(order.symbol)
    if order.reduce_only and (position is None or position.quantity * order.side >= 0):
        finish(state, order, "REDUCE_ONLY")
    elif order.type != OrderType.LIMIT:
        empty = order.market.book.side(-order.side).best is None
        finish(state, order, "NO_COUNTERPARTY" if empty else "MAX_SLIPPAGE")
    elif order.time_in_force == TimeInForce.GTC:
        rest(state, order)
    else:
        finish(state, order, "IMMEDIATE_OR_CANCEL")


def _check_reduce_only(perpetual: bool, side: int, held: int) -> None:
    if not perpetual:
        raise ApiError("InvalidParameter", "reduceOnly: expected a perpetual, got a spot pair")
    if held * side >= 0:
        wanted = "short" if side > 0 else "long"
        raise ApiError("ReduceOnlyRejected", f"reduceOnly: expected a {wanted} position to reduce, got none")


def _limit_price(command: PlaceOrder, best: int | None) -> int:
    """The limit, from the command or the opposite best, no worse than ``max_slippage_price``."""
    price = command.price
    if command.match_counterparty:
        price = best
        if price is None:
            raise ApiError("NoCounterparty", "priceMatchStrategy: the opposite side of the book is empty")
    assert price is not None
    worst = command.max_slippage_price
    if worst is not None and (price - worst) * command.side > 0:
        return worst
    return price


def _size(market: Market, command: PlaceOrder, price: int) -> tuple[int, int]:
    """(steps, notional) at a known price; an amount is rounded down to whole steps."""
    unit = price * market.multiplier
    if command.quantity is not None:
        return command.quantity, command.quantity * unit
    assert command.amount is not None
    quantity = command.amount // unit
    return quantity, quantity * unit


def _market_limit(market: Market, command: PlaceOrder, best: int | None, closing: bool) -> int:
    side = command.side
    if best is None:
        raise ApiError("NoCounterparty")
    limit = slippage_limit(market, side, best, closing)
    worst = command.max_slippage_price
    if worst is None:
        return limit
    if (best - worst) * side > 0:
        text = market.instrument.price_text
        raise ApiError("SlippageExceeded", f"maxSlippagePrice: the best price is {text(best)}, beyond {text(worst)}")
    return min(limit, worst) if side > 0 else max(limit, worst)


def _market_size(market: Market, account: Account, command: PlaceOrder, limit: int) -> tuple[int, int]:
    """(steps, notional) of a MARKET order by what the book would give; what it lacks is priced at the limit."""
    taken, cost, left = walk(market, account, command.side, command.quantity, command.amount, limit)
    unit = limit * market.multiplier
    lacking = command.quantity - taken if command.quantity is not None else left // unit
    return taken + lacking, cost + lacking * unit


def _check_bounds(market: Market, position: Position | None, side: int, quantity: int, notional: int) -> None:
    instrument = market.instrument
    held = position.quantity if position is not None else 0
    closes_all = held * side < 0 and quantity == abs(held)
    if (notional < instrument.min_notional and not closes_all) or not quantity:
        raise ApiError(
            "MinNotional",
            f"expected a value of at least {money_text(instrument.min_notional)}, got {money_text(notional)}",
        )
    if notional > instrument.max_notional:
        raise ApiError(
            "MaxNotional",
            f"expected a value of at most {money_text(instrument.max_notional)}, got {money_text(notional)}",
        )
    if not instrument.perpetual:
        return
    same_side = quantity
    if position is not None:
        same_side += position.buy_quantity if side > 0 else position.sell_quantity
    size, after = abs(held), abs(held + side * same_side)
    if after <= size:
        return
    if instrument.max_position is not None:
        value = after * notional // quantity
        if value > instrument.max_position:
            raise ApiError(
                "MaxPosition",
                f"expected a position of at most {money_text(instrument.max_position)} with all open orders,"
                f" got {money_text(value)}",
            )
    maximum = instrument.max_open_interest
    if maximum is not None and market.open_interest + min(quantity, after - size) > maximum:
        raise ApiError("MaxOpenInterest", f"open interest would pass {instrument.quantity_text(maximum)}")


def _check_margin(
    state: State, account: Account, position: Position, side: int, quantity: int, notional: int
) -> tuple[int, int]:
    """What the order holds on its own, and by how much the reserves grow by it, if the account can carry that."""
    reserve = margin.order_reserve(notional, side, position.leverage, account.taker_fee_rate)
    needed = position.reserve_with(quantity, reserve, side) - position.order_reserve if position.quantity else reserve
    if needed <= 0:
        return reserve, needed
    free = account.free(state.collateral, state.full_unrealized)
    if needed > free:
        raise ApiError(
            "InsufficientBalance",
            f"the order needs {money_text(needed)} {state.collateral} at {position.leverage}x, available"
            f" {money_text(max(0, free))}",
        )
    return reserve, needed


def _check_spot_balance(
    state: State, account: Account, market: Market, side: int, quantity: int, notional: int
) -> None:
    instrument = market.instrument
    if side > 0:
        asset = instrument.quote
        needed = notional + margin.fee(notional, account.taker_fee_rate)
    else:
        asset, needed = instrument.base, quantity * instrument.step_money
    free = state.withdrawable(account, asset)
    if needed > free:
        raise ApiError(
            "InsufficientBalance",
            f"the order needs {money_text(needed)} {asset}, available {money_text(max(0, free))}",
        )


# Orders that wait for a price.


def _wait(state: State, order: Order) -> None:
    """Let a stop order wait; one whose price is reached already fires at the end of this command."""
    assert order.trigger_price is not None
    trigger = Trigger(state.next_trigger_id, order.trigger_price, rising=order.side > 0)
    state.next_trigger_id += 1
    trigger.order = order
    order.trigger = trigger
    order.market.triggers.add(trigger)
    order.account.orders[order.id] = order
    hold(state, order)
    state.events.mark(order.market, Change.BOOK)


def fire_triggers(state: State, market: Market) -> None:
    """Run every trigger that the mid price has reached; what they trade may reach more."""
    while (double_mid := market.book.double_mid) is not None:
        trigger = market.triggers.pop_due(double_mid)
        if trigger is None:
            return
        if trigger.order is not None:
            _fire_stop(state, trigger.order)
        elif trigger.bracket is not None:
            _fire_bracket(state, trigger.bracket, trigger.take_profit)


def _fire_stop(state: State, order: Order) -> None:
    order.trigger = None
    del order.account.orders[order.id]
    release(order, order.remaining, ended=True)
    state.record(order, "TRIGGERED")
    _run_market(state, order)


def _fire_bracket(state: State, bracket: Bracket, take_profit: bool) -> None:
    account, market, source = bracket.account, bracket.market, bracket.order
    quantity = bracket.quantity
    bracket.cancel()
    position = account.positions.get(market.symbol)
    if position is not None:
        if bracket in position.brackets:
            position.brackets.remove(bracket)
        held = max(0, -bracket.side * position.quantity)
        quantity = held if bracket.position_wide else min(quantity, held)
    elif bracket.side < 0:
        quantity = min(quantity, max(0, account.spot_free(market.instrument.base)) // market.instrument.step_money)
    if source is not None and source.id in account.orders:
        # What it would still open is no longer wanted once its exit has fired.
        cancel(state, source, "TAKE_PROFIT" if take_profit else "STOP_LOSS")
    if quantity:
        submit_market(state, account, market, bracket.side, quantity, _CONDITIONAL[bracket.position_wide, take_profit])


def submit_market(
    state: State,
    account: Account,
    market: Market,
    side: int,
    quantity: int,
    conditional: ConditionalOrderType,
    max_slippage_price: int | None = None,
) -> Order:
    """Send a closing MARKET order of the exchange's own making."""
    order = Order(
        state.next_order_id, state.time, account, market, side, OrderType.MARKET, quantity, None, TimeInForce.IOC
    )
    state.next_order_id += 1
    order.conditional = conditional
    order.max_slippage_price = max_slippage_price
    if market.instrument.perpetual:
        order.reduce_only = True
        order.leverage = account.positions[market.symbol].leverage
    state.record(order, "TRIGGERED" if conditional != "INVALID" else "NEW")
    _run_market(state, order)
    return order


def _run_market(state: State, order: Order) -> None:
    """Execute a triggered order: within the maximum slippage, and only with the margin for it."""
    account, market, side = order.account, order.market, order.side
    order.time_in_force = TimeInForce.IOC
    best = market.book.side(-side).best
    if best is None:
        finish(state, order, "NO_COUNTERPARTY")
        return
    position = account.positions.get(market.symbol)
    held = position.quantity if position is not None else 0
    if order.reduce_only and held * side >= 0:
        finish(state, order, "REDUCE_ONLY")
        return
    limit = slippage_limit(market, side, best, closing=held * side < 0)
    worst = order.max_slippage_price
    if worst is not None:
        limit = min(limit, worst) if side > 0 else max(limit, worst)
    if not order.reduce_only:
        notional = order.remaining * best * market.multiplier
        try:
            if market.instrument.perpetual:
                _check_margin(state, account, state.position(account, market), side, order.remaining, notional)
            else:
                _check_spot_balance(state, account, market, side, order.remaining, notional)
        except ApiError as error:
            order.reject_reason = error.code
            order.status = "REJECTED"
            state.record(order, "REJECTED")
            return
    match(state, order, limit)
    if order.remaining:
        _end_remainder(state, order)


# Amending and cancelling.


def amend_order(state: State, command: AmendOrder) -> Order:
    """Set the take-profit and stop-loss of an open order, or through a filled one of its position.

    Raises ``ApiError``.
    """
    market = state.market(command.symbol)
    account = state.account(command.account)
    position = account.positions.get(command.symbol)
    order = account.orders.get(command.order_id)
    filled = False
    if order is None and position is not None:
        order = position.opened_by.get(command.order_id)
        filled = order is not None
    if order is None or order.market is not market:
        raise ApiError("OrderNotFound")
    if order.reduce_only:
        raise ApiError("InvalidParameter", "orderId: a reduce-only order opens nothing to take profit from")
    if command.take_profit_price is None and command.stop_loss_price is None:
        return order
    take_profit = command.take_profit_price if command.take_profit_price is not None else order.take_profit_price
    stop_loss = command.stop_loss_price if command.stop_loss_price is not None else order.stop_loss_price
    _check_exits(market, order, filled, command)
    order.take_profit_price, order.stop_loss_price = take_profit, stop_loss
    state.record(order, "REPLACED")
    if filled:
        assert position is not None
        _guard_position(state, account, market, position, order)
    elif order.filled_quantity:
        guard(state, order)
    return order


def _check_exits(market: Market, order: Order, filled: bool, command: AmendOrder) -> None:
    """A take-profit lies on the winning side of the order's price (of the market, for a position), a stop-loss not."""
    reference = order.trigger_price if order.price is None else order.price
    if filled:
        double_mid = market.book.double_mid
        reference = market.last_price if double_mid is None else double_mid // 2
    assert reference is not None
    text = market.instrument.price_text(reference)
    for field, price, sign in (
        ("newTakeProfitPrice", command.take_profit_price, order.side),
        ("newStopLossPrice", command.stop_loss_price, -order.side),
    ):
        if price is not None and (price - reference) * sign <= 0:
            where = "above" if sign > 0 else "below"
            raise ApiError(
                "InvalidParameter",
                f"{field}: expected a price {where} {text}, got {market.instrument.price_text(price)}",
            )


def _guard_position(state: State, account: Account, market: Market, position: Position, order: Order) -> None:
    if order.bracket in position.brackets:
        # The order's own exits become the position's: left to wait they would fire at the prices of before.
        order.bracket.cancel()
        position.brackets.remove(order.bracket)
    wide = next((bracket for bracket in position.brackets if bracket.position_wide), None)
    if wide is None:
        wide = Bracket(account, market, -order.side, None)
        position.brackets.append(wide)
    set_bracket(state, wide, order.take_profit_price, order.stop_loss_price)


def cancel_order(state: State, command: CancelOrder) -> None:
    """Cancel one open order. Raises ``ApiError`` OrderNotFound."""
    market = state.market(command.symbol)
    account = state.account(command.account)
    order = account.orders.get(command.order_id)
    if order is None or order.market is not market:
        raise ApiError("OrderNotFound")
    cancel(state, order, "USER_CANCELED")


def cancel_all(state: State, command: CancelAll) -> None:
    """Cancel every open order of an account, in one symbol or in all."""
    account = state.account(command.account)
    for order in list(account.orders.values()):
        if command.symbol is None or order.symbol == command.symbol:
            cancel(state, order, "USER_CANCELED")
