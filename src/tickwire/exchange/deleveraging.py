"""Unwinding what the insurance account has taken over, and deleveraging what the fund can't carry.

The fund closes on the book as far as it can pay for it. Once its equity is used up, what is left is closed against the
positions on the other side, at the bankruptcy price (the fund's own entry), so neither side of that gains or loses
against it: first those with the largest profit and the highest effective leverage.
"""

from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.forced import forced_fill
from tickwire.exchange.instruments import RATE_UNIT
from tickwire.exchange.markets import Market
from tickwire.exchange.matching import drop_reduce_only
from tickwire.exchange.orders import submit_market
from tickwire.exchange.state import State

__all__ = ["deleveraging_rank", "unwind"]


def unwind(state: State, market: Market) -> None:
    """Close what the insurance account holds in a market: on the book, and without equity by deleveraging."""
    fund = state.insurance
    position = fund.positions.get(market.symbol)
    if position is None or not position.quantity:
        return
    side = -1 if position.quantity > 0 else 1
    worst = _worst_price(state, position)
    best = market.book.side(-side).best
    if best is not None and (worst is None or (best - worst) * side <= 0):
        submit_market(state, fund, market, side, abs(position.quantity), "INVALID", worst)
    if position.quantity and fund.wallets[state.collateral] + fund.unrealized_pnl() <= 0:
        _deleverage(state, market, position)


def _worst_price(state: State, position: Position) -> int | None:
    """The price (ticks) down to which, for a long, the fund's wallet pays for the loss; ``None`` when any will do."""
    wallet = max(0, state.insurance.wallets[state.collateral])
    # s (price - E) q >= -wallet, rounded to the side on which the wallet is enough.
    denominator = abs(position.quantity) * position.market.multiplier
    if position.quantity < 0:
        return (wallet - position.cost) // denominator
    price = -((wallet - position.cost) // denominator)
    return price if price > 0 else None


def deleveraging_rank(state: State, account: Account, position: Position) -> int:
    """Profit over entry notional times effective leverage (notional over equity), both in 10**-8; a loss ranks lower
    the less it is levered.
    """
    price = position.market.valuation_price
    assert price is not None
    equity, _ = state.carried(account, position)
    notional = abs(position.quantity) * price * position.market.multiplier
    leverage = notional * RATE_UNIT // max(1, equity)
    profit = position.unrealized_pnl * RATE_UNIT // abs(position.cost)
    return profit * leverage // RATE_UNIT if profit > 0 else profit * RATE_UNIT // max(1, leverage)


def _deleverage(state: State, market: Market, position: Position) -> None:
    side = -1 if position.quantity > 0 else 1  # of the fund's closing fills
    ranked = sorted(
        (-deleveraging_rank(state, account, account.positions[market.symbol]), name)
        for name, account in market.holders.items()
        if account.positions[market.symbol].quantity * side > 0
    )
    for _, name in ranked:
        account = state.accounts[name]
        size = min(abs(position.quantity), abs(account.positions[market.symbol].quantity))
        # The fund's entry cost of this part, as change_position releases it: the fund realises nothing.
        notional = abs(-(-position.cost * size // abs(position.quantity)))
        if not _can_pay(state, account, market, size, notional):
            continue
        forced_fill(state, state.insurance, market, side, size, notional, "DELEVERAGING")
        forced_fill(state, account, market, -side, size, notional, "DELEVERAGING")
        drop_reduce_only(state, account, market)
        if not position.quantity:
            return


def _can_pay(state: State, account: Account, market: Market, size: int, notional: int) -> bool:
    """Whether closing at the bankruptcy price leaves the account at zero or above; it may be worse than the mark."""
    held = account.positions[market.symbol]
    price = market.valuation_price
    assert price is not None
    equity, _ = state.carried(account, held)
    sign = 1 if held.quantity > 0 else -1
    return equity + sign * (notional - size * price * market.multiplier) >= 0
