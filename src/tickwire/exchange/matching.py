"""Price-time priority matching, and how an order ends.

A taker meets the best level's oldest order first and trades at that order's price. Two orders of one account never
trade: the resting one is cancelled (self-trade prevention).
"""

from tickwire.exchange.accounts import Account
from tickwire.exchange.book import Order
from tickwire.exchange.conditionals import Bracket, Trigger
from tickwire.exchange.events import Change
from tickwire.exchange.instruments import RATE_UNIT
from tickwire.exchange.markets import Market
from tickwire.exchange.settlement import hold, release, settle
from tickwire.exchange.state import State

__all__ = ["cancel", "drop_reduce_only", "finish", "guard", "match", "rest", "set_bracket", "slippage_limit", "walk"]


def slippage_limit(market: Market, side: int, best: int, closing: bool) -> int:
    """The worst price of a MARKET or triggered order: the contract's maximum slippage from the best price.

    Doubled when closing a position; rounded towards the best price.
    """
    slippage = market.instrument.max_slippage * (2 if closing else 1)
    return best + side * (best * slippage // RATE_UNIT)


def walk(
    market: Market, account: Account, side: int, quantity: int | None, amount: int | None, limit: int | None
) -> tuple[int, int, int]:
    """What a taker would get now: (steps, cost in money, amount that the book lacks), without changing anything.

    Own orders are passed over, reduce-only makers count as far as their position goes.
    """
    multiplier = market.multiplier
    taken = cost = 0
    moved: dict[Account, int] = {}  # what each maker would have traded so far
    left = amount or 0
    for level in market.book.side(-side):
        price = level.price
        if limit is not None and (price - limit) * side > 0:
            break
        for maker in level:
            if maker.account is account:
                continue
            available = maker.remaining
            if maker.reduce_only:
                available = min(available, max(0, _closable(maker) - moved.get(maker.account, 0)))
            if quantity is not None:
                available = min(available, quantity - taken)
            else:
                affordable = left // (price * multiplier)
                if affordable < available:
                    available = affordable
                left -= available * price * multiplier
            moved[maker.account] = moved.get(maker.account, 0) + available
            taken += available
            cost += available * price * multiplier
            if taken == quantity or (quantity is None and left < price * multiplier):
                return taken, cost, 0
    return taken, cost, left


def match(state: State, taker: Order, limit: int | None) -> None:
    """Trade a new order against the book as far as ``limit`` (its worst price) and its kind allow."""
    market = taker.market
    side = taker.side
    opposite = market.book.side(-side)
    while taker.remaining:
        level = opposite.best_level()
        if level is None:
            break
        price = level.price
        if limit is not None and (price - limit) * side > 0:
            break
        maker = level.oldest
        assert maker is not None
        if maker.account is taker.account:
            cancel(state, maker, "SELF_TRADE_PREVENTION")
            continue
        quantity = min(taker.remaining, maker.remaining)
        if maker.reduce_only:
            quantity = min(quantity, _closable(maker))
            if not quantity:
                cancel(state, maker, "REDUCE_ONLY")
                continue
        if taker.reduce_only:
            quantity = min(quantity, _closable(taker))
            if not quantity:
                break
        notional = price * quantity * market.multiplier
        opposite.fill(maker, quantity)
        taker.remaining -= quantity
        release(maker, quantity, ended=not maker.remaining, filled=True)
        if not maker.remaining:
            del maker.account.orders[maker.id]
        settle(state, maker, price, quantity, notional, maker.account.maker_fee_rate)
        settle(state, taker, price, quantity, notional, taker.account.taker_fee_rate)
        if price != market.last_price:
            market.set_last_price(price)
        market.candles.trade(state.time, price, quantity, notional)
        state.events.mark(market, Change.TRADE | Change.BOOK)
        for order in (maker, taker):
            if order.take_profit_price is not None or order.stop_loss_price is not None:
                guard(state, order)
            position = order.account.positions.get(market.symbol)
            if position is not None and position.reduce_only_orders:
                drop_reduce_only(state, order.account, market)


def _closable(order: Order) -> int:
    """How much a reduce-only order may still fill."""
    position = order.account.positions.get(order.symbol)
    return max(0, -order.side * position.quantity) if position is not None else 0


def drop_reduce_only(state: State, account: Account, market: Market) -> None:
    """Cancel the reduce-only orders of a position that is gone or has turned to their side."""
    position = account.positions.get(market.symbol)
    if position is None or not position.reduce_only_orders:
        return
    for order in list(position.reduce_only_orders.values()):
        if position.quantity * order.side >= 0:
            cancel(state, order, "REDUCE_ONLY")


def rest(state: State, order: Order, measured: tuple[int, int] | None = None) -> None:
    """Put what is left of a LIMIT order into the book; ``measured`` as for ``hold``."""
    market = order.market
    market.book.side(order.side).add(order)
    order.account.orders[order.id] = order
    hold(state, order, measured)
    state.events.mark(market, Change.BOOK)


def cancel(state: State, order: Order, reason: str) -> None:
    """End an open order, resting or waiting for its trigger."""
    if order.level is not None:
        order.market.book.side(order.side).remove(order)
        state.events.mark(order.market, Change.BOOK)
    if order.trigger is not None:
        order.trigger.active = False
        order.trigger = None
    del order.account.orders[order.id]
    release(order, order.remaining, ended=True)
    finish(state, order, reason)


def finish(state: State, order: Order, reason: str) -> None:
    """Mark an order that is no longer (or never was) open as cancelled."""
    order.status = "CANCELED"
    order.cancel_reason = reason
    state.record(order, "CANCELED")


def guard(state: State, order: Order) -> None:
    """Let the take-profit and stop-loss of an order wait for what it has filled so far."""
    market, account = order.market, order.account
    position = account.positions.get(market.symbol)
    if market.instrument.perpetual and (position is None or position.quantity * order.side <= 0):
        return  # it only reduced: there is nothing of its making to guard
    bracket = order.bracket
    if bracket is None or (bracket.take_profit is None and bracket.stop_loss is None):
        bracket = order.bracket = Bracket(account, market, -order.side, order)
        if position is not None:
            position.brackets.append(bracket)
    bracket.quantity = order.filled_quantity
    set_bracket(state, bracket, order.take_profit_price, order.stop_loss_price)


def set_bracket(state: State, bracket: Bracket, take_profit: int | None, stop_loss: int | None) -> None:
    """Give a bracket its prices; one that is unchanged keeps its place."""
    # Closing a long (SELL) takes profit on a rise and stops the loss on a fall.
    rising_profit = bracket.side < 0
    bracket.take_profit = _retrigger(state, bracket, bracket.take_profit, take_profit, rising_profit, True)
    bracket.stop_loss = _retrigger(state, bracket, bracket.stop_loss, stop_loss, not rising_profit, False)


def _retrigger(
    state: State, bracket: Bracket, old: Trigger | None, price: int | None, rising: bool, take_profit: bool
) -> Trigger | None:
    if price is None or (old is not None and old.price == price):
        return old
    if old is not None:
        old.active = False
    trigger = Trigger(state.next_trigger_id, price, rising)
    state.next_trigger_id += 1
    trigger.bracket = bracket
    trigger.take_profit = take_profit
    bracket.market.triggers.add(trigger)
    # The price may have been reached already: the queue is looked at after this command.
    state.events.mark(bracket.market, Change.BOOK)
    return trigger
