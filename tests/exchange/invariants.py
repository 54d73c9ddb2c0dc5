"""What must hold in an engine after every command, counted again from scratch.

Money, contracts and the book's sums are looked at by ``tickwire verify`` too; here is what takes more than a state.
"""

from collections import defaultdict

from tickwire.exchange import margin, views
from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.book import BookSide, Order
from tickwire.exchange.engine import Engine
from tickwire.exchange.invariants import broken_invariants
from tickwire.exchange.markets import Market


def check_invariants(engine: Engine) -> None:
    """Every sum that the engine keeps equals its recount, and no money, order or contract is made or lost."""
    assert list(broken_invariants(engine)) == []
    for market in engine.markets.values():
        check_market(engine, market)
    for account in engine.accounts.values():
        check_account(engine, account)
    check_liquidated(engine)


def check_market(engine: Engine, market: Market) -> None:
    """The book's links and what waits for a price of one market."""
    book = market.book
    for side in (book.bids, book.asks):
        check_side(engine, market, side)
    waiting = [trigger for trigger in market.triggers if trigger.order is not None]
    for trigger in waiting:
        assert trigger.order is not None
        assert trigger.order.trigger is trigger
        assert trigger.order.account.orders[trigger.order.id] is trigger.order
        assert trigger.price == trigger.order.trigger_price
    double_mid = book.double_mid
    if double_mid is not None:
        for trigger in market.triggers:
            reached = trigger.price * 2 <= double_mid if trigger.rising else trigger.price * 2 >= double_mid
            assert not reached, "a trigger whose price is reached still waits"


def check_side(engine: Engine, market: Market, side: BookSide) -> None:
    """Levels in order, each with the orders it says it has."""
    levels = list(side)
    keys = [side.sign * level.price for level in levels]
    assert keys == sorted(set(keys), reverse=True)
    assert {level.price for level in levels} == set(side.levels)
    assert side.best == (levels[0].price if levels else None)
    assert side.top(len(levels) + 1) == [(level.price, level.quantity) for level in levels]
    for level in levels:
        orders = list(level)
        assert orders, "an empty level"
        assert level.newest is orders[-1]
        assert level.quantity == sum(order.remaining for order in orders)
        assert [order.id for order in orders] == sorted(order.id for order in orders), "time priority"
        for order in orders:
            assert order.level is level
            assert order.price == level.price
            assert order.side == side.sign
            assert order.account.orders[order.id] is order


def check_order(order: Order) -> None:
    """An open order's status and quantities agree, and it is in exactly one place."""
    assert order.remaining > 0
    assert order.filled_quantity + order.remaining == order.quantity
    assert order.status == ("PARTIALLY_FILLED" if order.filled_quantity else "NEW")
    assert (order.level is not None) != (order.trigger is not None), "in exactly one of book and trigger queue"
    if order.trigger is not None:
        assert order.trigger.active
        assert order.trigger in list(order.market.triggers)
    else:
        assert order in list(order.level or ())
    row = views.order(order)
    assert row.leaves_qty == order.market.instrument.quantity_text(order.remaining)


def check_account(engine: Engine, account: Account) -> None:
    """What an account's open orders hold, and that it never has more to spend than it owns."""
    held: dict[str, int] = defaultdict(int)
    for order in account.orders.values():
        check_order(order)
        instrument = order.market.instrument
        if not instrument.perpetual:
            held[instrument.quote if order.side > 0 else instrument.base] += order.reserve
    for asset in {*held, *account.reserved}:
        assert account.reserved.get(asset, 0) == held[asset], asset
        assert held[asset] >= 0
    for position in account.positions.values():
        check_position(engine, account, position)
    assert account.order_reserve == sum(position.order_reserve for position in account.positions.values())

    equity = account.wallets.get(engine.collateral, 0) + account.unrealized_pnl()
    assert max(0, engine.free(account)) <= max(0, equity), "available balance above equity"
    for asset in account.wallets:
        assert engine.withdrawable(account, asset) <= account.wallets[asset]
    for market in engine.markets.values():
        if not market.instrument.perpetual and account is not engine.insurance:
            assert account.wallets.get(market.instrument.base, 0) >= 0, "spot sold short"


def check_position(engine: Engine, account: Account, position: Position) -> None:
    """The sums over a symbol's open orders, and the position's own fields."""
    orders = [order for order in account.orders.values() if order.market is position.market]
    assert {o.id: o for o in orders if o.reduce_only} == position.reduce_only_orders
    for side, quantity, reserve in (
        (1, position.buy_quantity, position.buy_reserve),
        (-1, position.sell_quantity, position.sell_reserve),
    ):
        opening = [order for order in orders if order.side == side and not order.reduce_only]
        assert quantity == sum(order.remaining for order in opening)
        assert reserve == sum(order.reserve for order in opening)
        for order in opening:
            price = order.trigger_price if order.price is None else order.price
            assert price is not None
            notional = price * order.remaining * position.market.multiplier
            assert order.reserve == margin.order_reserve(notional, side, position.leverage, account.taker_fee_rate)
    assert position.order_reserve == position.reserve_with()
    for order in position.reduce_only_orders.values():
        assert order.reserve == 0
        assert position.quantity * order.side < 0, "a reduce-only order without a position to reduce"
    guards = [trigger.bracket for trigger in position.market.triggers if trigger.bracket is not None]
    for bracket in position.brackets:
        assert bracket.account is account
        assert bracket in guards, "a bracket without a price that waits"
        assert position.quantity * bracket.side < 0, "a bracket on the wrong side of its position"
    if not position.quantity:
        assert (position.cost, position.added_margin, position.fees_paid, position.funding_paid) == (0, 0, 0, 0)
        assert not position.opened_by
    if not position.isolated:
        assert position.added_margin == 0
    assert len(position.opened_by) <= 100


def check_liquidated(engine: Engine) -> None:
    """Nobody is left whose margin does not carry what it is to carry, whatever the command was."""
    for account in engine.accounts.values():
        if account is engine.insurance:
            continue
        held = [position for position in account.positions.values() if position.quantity]
        for position in held:
            if position.isolated:
                equity = position.isolated_margin + position.unrealized_pnl
                assert equity > position.maintenance_margin(engine.margin_on_entry), account.name
        if any(not position.isolated for position in held):
            equity = account.cross_wallet(engine.collateral) + account.cross_unrealized_pnl()
            assert equity > account.cross_maintenance(), account.name
