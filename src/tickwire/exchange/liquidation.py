"""Liquidation: on the mark price, a position that its margin no longer carries is taken over and unwound.

The trader's orders are cancelled, and the position goes to the insurance account at the price at which the trader's
margin is used up: the bankruptcy price, kept as an exact cost, not rounded to a tick. The insurance account unwinds it
(see deleveraging).
"""

from tickwire.exchange import margin
from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.deleveraging import unwind
from tickwire.exchange.forced import forced_fill
from tickwire.exchange.instruments import RATE_UNIT
from tickwire.exchange.markets import Market
from tickwire.exchange.matching import cancel
from tickwire.exchange.settlement import change_position
from tickwire.exchange.state import State

__all__ = ["check_marks", "check_weakened", "watch_all"]


# What is margined together: one isolated position, or all cross positions of an account.
_Margin = tuple[Account, list[Position]]


def check_marks(state: State, market: Market) -> None:
    """Look at the margins that the market's price may have used up."""
    price = market.valuation_price
    if price is not None:
        _check(state, [_margin_of(account, position) for account, position in market.alarms.due(price)])


def check_weakened(state: State) -> None:
    """Look at the margins of all accounts that something else than a mark has made worse."""
    weakened = state.events.weakened
    margins: list[_Margin] = []
    for account in weakened:
        if account is not state.insurance:
            margins += _margins(account)
    weakened.clear()
    _check(state, margins)


def watch_all(state: State) -> None:
    """Set the alarms of every position: after a load, when there are none."""
    for account in state.accounts.values():
        _check(state, _margins(account))


def _margins(account: Account) -> list[_Margin]:
    found: list[_Margin] = []
    cross: list[Position] = []
    for position in account.positions.values():
        if position.quantity:
            if position.isolated:
                found.append((account, [position]))
            else:
                cross.append(position)
    if cross:
        found.append((account, cross))
    return found


def _margin_of(account: Account, position: Position) -> _Margin:
    if position.isolated:
        return account, [position]
    return account, [other for other in account.positions.values() if other.quantity and not other.isolated]


def _check(state: State, margins: list[_Margin]) -> None:
    """Liquidate what is used up, worst margin ratio first, then by name and symbol; watch the rest from here on."""
    due: dict[tuple[int, str, str], _Margin] = {}
    for account, positions in margins:
        if account is state.insurance:
            continue
        equity, maintenance = state.carried(account, positions[0])
        if equity > maintenance:
            _watch(account, positions, equity - maintenance)
        else:
            ratio = equity * RATE_UNIT // maintenance if maintenance else 0
            due[ratio, account.name, positions[0].market.symbol] = account, positions
    for key in sorted(due):
        account, positions = due[key]
        # Unwinding the one before may have met this account's orders, and so have changed or closed its positions.
        positions = [position for position in positions if position.quantity]
        if not positions:
            continue
        equity, maintenance = state.carried(account, positions[0])
        if equity > maintenance:
            _watch(account, positions, equity - maintenance)
        elif positions[0].isolated:
            _liquidate_isolated(state, account, positions[0].market)
        else:
            _liquidate_cross(state, account)


def _watch(account: Account, positions: list[Position], slack: int) -> None:
    part = slack // len(positions)
    for position in positions:
        price = position.market.valuation_price
        if price is not None:
            position.market.alarms.watch(account, position, price, part)


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
    if account.cross_wallet(state.collateral) + account.cross_unrealized_pnl() > account.cross_maintenance():
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
    side = -1 if position.quantity > 0 else 1  # of the trader's closing order
    size = abs(position.quantity)
    notional = -side * margin.bankruptcy_value(position.cost, loss)
    forced_fill(state, account, market, side, size, notional, "LIQUIDATION")
    change_position(state, state.insurance, market, -side, size, notional, 0)
