"""Liquidation: on the mark price, a position that its margin no longer carries is taken over and unwound.

The trader's orders are cancelled, the position goes to the insurance account at the price at which the trader's
margin is used up (the bankruptcy price, kept as an exact cost, not rounded to a tick), and is then closed on the
book. What the book gives beyond that price is the fund's gain, what it lacks the fund's loss. What could not be
closed within the maximum slippage is tried again each second.
"""

from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.book import Order
from tickwire.exchange.commands import OrderType, TimeInForce
from tickwire.exchange.events import Change
from tickwire.exchange.instruments import RATE_UNIT
from tickwire.exchange.markets import Market
from tickwire.exchange.matching import cancel
from tickwire.exchange.orders import submit_market
from tickwire.exchange.settlement import change_position
from tickwire.exchange.state import State

__all__ = ["check_liquidations", "unwind"]


def check_liquidations(state: State, market: Market, holders: dict[str, Account]) -> None:
    """Liquidate every one of ``holders`` of this market whose margin is used up: worst margin ratio first, then by
    name.
    """
    due: list[tuple[int, str]] = []
    for name, account in holders.items():
        if account is state.insurance:
            continue
        equity, maintenance = _carried(state, account, account.positions[market.symbol])
        if equity <= maintenance:
            due.append((equity * RATE_UNIT // maintenance if maintenance else 0, name))
    for _, name in sorted(due):
        account = state.accounts[name]
        position = account.positions[market.symbol]
        # Unwinding the one before may have met this account's orders, and so have changed or closed its position.
        if not position.quantity:
            continue
        equity, maintenance = _carried(state, account, position)
        if equity > maintenance:
            continue
        if position.isolated:
            _liquidate_isolated(state, account, market)
        else:
            _liquidate_cross(state, account)


def _carried(state: State, account: Account, position: Position) -> tuple[int, int]:
    """(equity, maintenance margin) of an isolated position, or of all cross ones."""
    if position.isolated:
        return position.isolated_margin + position.unrealized_pnl, position.maintenance_margin(state.margin_on_entry)
    return account.cross_wallet(state.collateral) + account.cross_unrealized_pnl(), cross_maintenance(account)


def cross_maintenance(account: Account) -> int:
    """Maintenance margin of all cross positions, on the mark."""
    return sum([p.maintenance_margin(False) for p in account.positions.values() if p.quantity and not p.isolated])


def _liquidate_isolated(state: State, account: Account, market: Market) -> None:
    for order in list(account.orders.values()):
        if order.market is market:
            cancel(state, order, "LIQUIDATION")
    position = account.positions[market.symbol]
    _take_over(state, account, position, position.isolated_margin)
    unwind(state, market)


def _liquidate_cross(state: State, account: Account) -> None:
    for order in list(account.orders.values()):
        cancel(state, order, "LIQUIDATION")
    if account.cross_wallet(state.collateral) + account.cross_unrealized_pnl() > cross_maintenance(account):
        return  # what the cancelled spot orders had set aside carries the positions
    positions = [p for p in account.positions.values() if p.quantity and not p.isolated]
    # The cross wallet is what there is to lose; each position brings the part its maintenance margin has in the whole.
    left = account.cross_wallet(state.collateral)
    weight = sum(p.maintenance_margin(False) for p in positions)
    for position in positions:
        part = position.maintenance_margin(False)
        loss = left * part // weight if weight else left
        left -= loss
        weight -= part
        _take_over(state, account, position, loss)
    for position in positions:
        unwind(state, position.market)


def _take_over(state: State, account: Account, position: Position, loss: int) -> None:
    """Move a position to the insurance account; the trader realises ``loss``, the new cost carries the difference."""
    market = position.market
    quantity, cost = position.quantity, position.cost
    side = -1 if quantity > 0 else 1  # of the trader's closing order
    size = abs(quantity)
    # Closing at the notional that realises exactly -loss, which is the bankruptcy price times the size.
    notional = -side * (cost - loss)
    order = Order(state.next_order_id, state.time, account, market, side, OrderType.MARKET, size, None, TimeInForce.IOC)
    state.next_order_id += 1
    order.reduce_only = True
    order.leverage = position.leverage
    order.remaining = 0
    order.filled_quantity = size
    order.filled_cost = max(0, notional)
    order.status = "FILLED"
    order.cancel_reason = "LIQUIDATION"
    account.wallets[state.collateral] -= loss
    position.cost = -side * notional  # nothing is left to realise: change_position closes it at its own cost
    change_position(state, account, market, side, size, notional, 0)
    change_position(state, state.insurance, market, -side, size, notional, 0)
    price = max(1, notional // (size * market.multiplier))
    state.record(order, "TRADE", price, size, 0)
    state.events.mark(market, Change.TRADE)


def unwind(state: State, market: Market) -> None:
    """Close what the insurance account holds in a market, as far as the book takes it within the maximum slippage."""
    position = state.insurance.positions.get(market.symbol)
    if position is None or not position.quantity:
        return
    side = -1 if position.quantity > 0 else 1
    if market.book.side(-side).best is not None:
        submit_market(state, state.insurance, market, side, abs(position.quantity), "INVALID")
