"""Funding payments: from one side of a perpetual to the other, to the last unit."""

from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.events import Change
from tickwire.exchange.executions import FundingEvent
from tickwire.exchange.instruments import RATE_UNIT
from tickwire.exchange.markets import Market
from tickwire.exchange.order_rows import funding_row
from tickwire.exchange.state import State

__all__ = ["pay_funding"]


def pay_funding(state: State, market: Market) -> None:
    """Pay q M rate on every position; a positive rate goes from longs to shorts.

    What each payer pays is rounded up. The receivers share exactly that sum in proportion to their size; the units
    that a division leaves over go one each to the largest remainders, of equal ones to the first name. So the
    payments sum to zero. An isolated position pays from its margin (and so from the wallet that holds it), a cross
    one from the wallet.
    """
    rate = market.prices.close_funding(state.time)
    state.events.mark(market, Change.FUNDING)
    price = market.valuation_price
    if not rate or price is None or not market.holders:
        return
    holders = [(account, account.positions[market.symbol]) for _, account in sorted(market.holders.items())]
    paying = 1 if rate > 0 else -1
    payers = [(a, p) for a, p in holders if p.quantity * paying > 0]
    receivers = [(a, p) for a, p in holders if p.quantity * paying < 0]
    unit = price * market.multiplier * abs(rate)
    total = 0
    for account, position in payers:
        payment = -(-abs(position.quantity) * unit // RATE_UNIT)
        total += payment
        _pay(state, market, account, position, price, payment)
    size = sum(abs(position.quantity) for _, position in receivers)
    shares = [divmod(total * abs(position.quantity), size) for _, position in receivers]
    spare = total - sum(share for share, _ in shares)
    lucky = set(sorted(range(len(shares)), key=lambda index: -shares[index][1])[:spare])
    for index, (account, position) in enumerate(receivers):
        _pay(state, market, account, position, price, -(shares[index][0] + (index in lucky)))


def _pay(state: State, market: Market, account: Account, position: Position, price: int, payment: int) -> None:
    account.wallets[state.collateral] = account.wallets.get(state.collateral, 0) - payment
    position.funding_paid += payment
    if position.isolated:
        position.added_margin -= payment
    state.events.accounts[account] = None
    state.events.weakened[account] = None
    if account.house:
        return
    exec_id = state.next_exec_id
    state.next_exec_id += 1
    row = funding_row(market.instrument, exec_id, state.time, position.quantity, price, payment)
    state.events.executions.append(
        FundingEvent(account.name, exec_id, state.next_order_id - 1, market.symbol, state.time, row)
    )
