"""What a fill does to the two accounts: positions, wallets, fees, and what open orders hold.

Every amount is exact but two: a fee is rounded up, and where a position is closed in part the entry cost that leaves
it is rounded so that the realised profit is the smaller one. The rest of the cost stays, so no unit of money is made
or lost.
"""

from tickwire.exchange import margin
from tickwire.exchange.accounts import REMEMBERED_ORDERS, Account, Position
from tickwire.exchange.book import Order
from tickwire.exchange.instruments import RATE_UNIT
from tickwire.exchange.markets import Market
from tickwire.exchange.state import State

__all__ = ["change_position", "hold", "release", "remeasure_orders", "settle"]


def hold(state: State, order: Order, measured: tuple[int, int] | None = None) -> None:
    """Set aside what an order needs that begins to rest or wait.

    ``measured``: for a perpetual, what the order holds on its own and by how much the account's reserves grow, where
    both were found out right before.
    """
    account, market = order.account, order.market
    if not market.perpetual:
        asset, order.reserve = _spot_reserve(order)
        account.reserved[asset] = account.reserved.get(asset, 0) + order.reserve
        state.events.weakened[account] = None
        return
    position = state.position(account, market)
    if order.reduce_only:
        position.reduce_only_orders[order.id] = order
        return
    order.reserve = reserve = _perpetual_reserve(order, position) if measured is None else measured[0]
    if order.side > 0:
        position.buy_quantity += order.remaining
        position.buy_reserve += reserve
    else:
        position.sell_quantity += order.remaining
        position.sell_reserve += reserve
    if measured is None:
        account.refresh_reserve(position)
    else:
        account.order_reserve += measured[1]
        position.order_reserve += measured[1]


def release(order: Order, quantity: int, ended: bool, filled: bool = False) -> None:
    """Give back what ``quantity`` of a resting order held, after ``remaining`` was lowered by it or the order ended.

    ``filled``: a fill is settled next, which brings the account's sum of reserves up to date.
    """
    account, market = order.account, order.market
    if not market.perpetual:
        asset = market.instrument.quote if order.side > 0 else market.instrument.base
        reserve = 0 if ended else _spot_reserve(order)[1]
        account.reserved[asset] += reserve - order.reserve
        order.reserve = reserve
        return
    position = account.positions[market.symbol]
    if order.reduce_only:
        if ended:
            position.reduce_only_orders.pop(order.id, None)
        return
    reserve = 0 if ended else _perpetual_reserve(order, position)
    if order.side > 0:
        position.buy_quantity -= quantity
        position.buy_reserve += reserve - order.reserve
    else:
        position.sell_quantity -= quantity
        position.sell_reserve += reserve - order.reserve
    order.reserve = reserve
    if not filled:
        account.refresh_reserve(position)


def remeasure_orders(account: Account, only: Market | None = None) -> None:
    """Set aside anew for the open orders, of one market or of all, after a leverage or fee rate has changed."""
    for order in account.orders.values():
        if (only is None or order.market is only) and not order.reduce_only:
            release(order, 0, ended=False)


def _perpetual_reserve(order: Order, position: Position) -> int:
    """What the rest of an open order holds at the position's leverage, without the exemption of reducing orders."""
    price = order.trigger_price if order.price is None else order.price
    assert price is not None
    notional = price * order.remaining * order.market.multiplier
    return margin.order_reserve(notional, order.side, position.leverage, order.account.taker_fee_rate)


def _spot_reserve(order: Order) -> tuple[str, int]:
    instrument = order.market.instrument
    if order.side < 0:
        return instrument.base, order.remaining * instrument.step_money
    price = order.trigger_price if order.price is None else order.price
    assert price is not None
    notional = price * order.remaining * instrument.multiplier
    return instrument.quote, notional + margin.fee(notional, order.account.taker_fee_rate)


def settle(state: State, order: Order, price: int, quantity: int, notional: int, fee_rate: int) -> None:
    """Apply one fill to the order's account; the order's own sums include it afterwards."""
    account, market = order.account, order.market
    fee = -(-notional * fee_rate // RATE_UNIT)
    order.filled_quantity += quantity
    order.filled_cost += notional
    order.fee += fee
    account.volume_today += notional
    order.status = "PARTIALLY_FILLED" if order.remaining else "FILLED"
    quote = market.instrument.quote
    wallets = account.wallets
    if market.perpetual:
        position = change_position(state, account, market, order.side, quantity, notional, fee)
        if not account.house and position.quantity * order.side > 0:
            position.opened_by.pop(order.id, None)
            position.opened_by[order.id] = order
            if len(position.opened_by) > REMEMBERED_ORDERS:
                del position.opened_by[next(iter(position.opened_by))]
    else:
        base = market.instrument.base
        wallets[base] = wallets.get(base, 0) + order.side * quantity * market.instrument.step_money
        wallets[quote] = wallets.get(quote, 0) - order.side * notional
        state.events.weakened[account] = None
    wallets[quote] -= fee
    state.fees[quote] = state.fees.get(quote, 0) + fee
    state.record(order, "TRADE", price, quantity, fee)


def change_position(
    state: State, account: Account, market: Market, side: int, quantity: int, notional: int, fee: int
) -> Position:
    """Add a fill to the net position; what it closes is realised into the wallet.

    ``fee`` is counted for the position here and taken from the wallet by the caller.
    """
    position = account.positions.get(market.symbol) or state.position(account, market)
    before = position.quantity
    if before * side >= 0:
        position.quantity = before + side * quantity
        position.cost += side * notional
        position.fees_paid += fee
    else:
        size = abs(before)
        closing = min(size, quantity)
        # A flip's two parts are at one price, so its notional splits exactly.
        closing_notional = notional * closing // quantity
        if closing == size:
            realized = -side * closing_notional - position.cost
            _flatten(position)
        else:
            released = -(-position.cost * closing // size)
            realized = -side * closing_notional - released
            position.cost -= released
            position.quantity = before + side * closing
            # What belongs to the closed part goes with it.
            position.added_margin -= position.added_margin * closing // size
            position.fees_paid -= position.fees_paid * closing // size
            position.funding_paid -= position.funding_paid * closing // size
        account.wallets[state.collateral] += realized
        opening = quantity - closing
        if opening:
            position.quantity = side * opening
            position.cost = side * (notional - closing_notional)
            position.fees_paid = fee * opening // quantity
    after = position.quantity
    market.open_interest += (after if after > 0 else 0) - (before if before > 0 else 0)
    if not before:
        market.holders[account.name] = account
    elif not after:
        del market.holders[account.name]
    account.refresh_reserve(position)
    state.events.accounts[account] = None
    state.events.weakened[account] = None
    return position


def _flatten(position: Position) -> None:
    position.quantity = position.cost = position.added_margin = 0
    position.alarm += 1  # what comes next may be hurt from the other side
    position.alarm_price = None
    position.fees_paid = position.funding_paid = 0
    position.opened_by.clear()
    for bracket in position.brackets:
        bracket.cancel()
    position.brackets.clear()
