"""Commands that change an account's settings and margins: leverage, margin type, added margin, trade mode, deposits."""

from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.commands import AdjustMargin, Deposit, SetLeverage, SetTradeMode
from tickwire.exchange.order_rows import money_text
from tickwire.exchange.settlement import remeasure_orders
from tickwire.exchange.state import State
from tickwire.wire.errors import ApiError

__all__ = ["adjust_margin", "deposit", "set_leverage", "set_trade_mode"]


def set_leverage(state: State, command: SetLeverage) -> None:
    """Set leverage and margin type of a perpetual; open orders and the position are measured anew.

    Raises ``ApiError``: the margin type is fixed while an order or a position is open, the leverage moves as far as the
    balance carries it.
    """
    market = state.perpetual(command.symbol)
    account = state.account(command.account)
    leverage = command.leverage
    if leverage < 1:
        raise ApiError("InvalidParameter", f"leverage: expected at least 1, got {leverage}")
    if leverage > market.instrument.max_leverage:
        raise ApiError(
            "TooHighLeverage", f"leverage: expected at most {market.instrument.max_leverage}, got {leverage}"
        )
    position = account.positions.get(command.symbol)
    if position is not None and (position.quantity or position.has_orders):
        if command.isolated != position.isolated:
            raise ApiError("OpenOrdersExist")
        _change_leverage(state, account, position, leverage)
    position = state.position(account, market)
    position.leverage = leverage
    position.isolated = command.isolated
    position.explicit = True
    state.events.accounts[account] = None
    state.events.weakened[account] = None


def _change_leverage(state: State, account: Account, position: Position, leverage: int) -> None:
    """Measure position and open orders at a new leverage, or refuse it."""
    old = position.leverage
    before = position.held_margin + position.order_reserve
    free = state.free(account)
    _measure(account, position, leverage)
    needed = position.held_margin + position.order_reserve - before
    error: ApiError | None = None
    if needed > max(0, free):
        error = ApiError(
            "InsufficientBalance",
            f"leverage {leverage} needs {money_text(needed)} {state.collateral} more, available"
            f" {money_text(max(0, free))}",
        )
    elif position.isolated and position.quantity:
        equity = position.isolated_margin + position.unrealized_pnl
        if equity <= position.maintenance_margin(state.margin_on_entry):
            error = ApiError("InvalidMargin", f"leverage: at {leverage} the position would be liquidated at once")
    if error is not None:
        _measure(account, position, old)
        raise error


def _measure(account: Account, position: Position, leverage: int) -> None:
    position.leverage = leverage
    remeasure_orders(account, position.market)


def adjust_margin(state: State, command: AdjustMargin) -> None:
    """Add margin to an isolated position, or take out what is above its initial margin and its loss.

    Raises ``ApiError``.
    """
    market = state.perpetual(command.symbol)
    account = state.account(command.account)
    position = account.positions.get(command.symbol)
    if position is None or not position.quantity:
        raise ApiError("PositionNotFound")
    if not position.isolated:
        raise ApiError("InvalidMargin", f"symbol: expected an isolated position, {market.symbol} is on cross margin")
    amount = command.amount
    if amount > 0:
        free = state.free(account)
        if amount > free:
            raise ApiError(
                "InsufficientBalance",
                f"amount: expected at most {money_text(max(0, free))}, got {money_text(amount)}",
            )
    else:
        spare = position.isolated_margin + min(0, position.unrealized_pnl) - position.initial_margin
        if -amount > spare:
            raise ApiError(
                "InvalidMargin",
                f"amount: expected at most {money_text(max(0, spare))}, got {money_text(-amount)}",
            )
    position.added_margin += amount
    state.events.accounts[account] = None
    state.events.weakened[account] = None  # the position by what was taken out, the cross margin by what was added


def set_trade_mode(state: State, command: SetTradeMode) -> None:
    """Choose ONE_WAY or MULTIPLE_POSITIONS."""
    account = state.account(command.account)
    account.multiple_positions = command.multiple_positions
    state.events.accounts[account] = None


def deposit(state: State, command: Deposit) -> None:
    """Add to a wallet from outside, or take out what is free. Raises ``ApiError`` InsufficientBalance."""
    account = state.account(command.account)
    if command.amount < 0:
        free = state.withdrawable(account, command.asset)
        if -command.amount > free:
            raise ApiError(
                "InsufficientBalance",
                f"amount: expected at most {money_text(max(0, free))}, got {money_text(-command.amount)}",
            )
    state.deposit(account, command.asset, command.amount)
    state.events.accounts[account] = None
