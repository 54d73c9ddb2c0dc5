"""Fills that no book makes: a liquidated position is taken over, a profitable one is closed against it."""

from tickwire.exchange.accounts import Account
from tickwire.exchange.book import Order
from tickwire.exchange.commands import OrderType, TimeInForce
from tickwire.exchange.events import Change
from tickwire.exchange.markets import Market
from tickwire.exchange.settlement import change_position
from tickwire.exchange.state import State

__all__ = ["forced_fill"]


def forced_fill(
    state: State, account: Account, market: Market, side: int, size: int, notional: int, reason: str
) -> None:
    """Fill ``size`` of an account at a price that need be no tick: ``notional`` over the size. No fee is taken.

    The account gets a filled order of its own for it, with ``reason``.
    """
    order = Order(state.next_order_id, state.time, account, market, side, OrderType.MARKET, size, None, TimeInForce.IOC)
    state.next_order_id += 1
    order.reduce_only = True
    order.leverage = state.position(account, market).leverage
    order.remaining = 0
    order.filled_quantity = size
    order.filled_cost = max(0, notional)
    order.status = "FILLED"
    order.cancel_reason = reason
    change_position(state, account, market, side, size, notional, 0)
    price = max(1, notional // (size * market.multiplier))
    state.record(order, "TRADE", price, size, 0)
    state.events.mark(market, Change.TRADE)
