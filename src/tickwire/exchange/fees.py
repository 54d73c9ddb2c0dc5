"""Fee levels: what an account pays follows from its volume of 30 days and its balance.

Levels are looked at when a UTC day begins, on the 30 closed days before it; an account has the highest level of which
it meets one of the two conditions. A level's rates are never above those of level 0.
"""

from tickwire.exchange.accounts import Account
from tickwire.exchange.settlement import remeasure_orders
from tickwire.exchange.state import State

__all__ = ["VOLUME_DAYS", "begin_days"]

VOLUME_DAYS = 30


def begin_days(state: State, days: int) -> None:
    """Close the day's volume of every account, and ``days - 1`` more that passed without a trade; renew the levels."""
    passed = min(days, VOLUME_DAYS)
    for account in state.accounts.values():
        if account is state.insurance:
            continue
        account.volumes = [*account.volumes, account.volume_today, *[0] * (passed - 1)][-VOLUME_DAYS:]
        account.volume_today = 0
        level = _level_of(state, account)
        if level != account.fee_level:
            state.set_fee_level(account, level)
            remeasure_orders(account)
            state.events.accounts[account] = None


def _level_of(state: State, account: Account) -> int:
    volume = sum(account.volumes)
    balance = account.wallets.get(state.collateral, 0)
    level = 0
    for number, entry in enumerate(state.fee_levels):
        if volume >= entry.required_volume or balance >= entry.required_balance:
            level = number
    return level
