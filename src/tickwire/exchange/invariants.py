"""What must hold in any state, counted again from scratch: money, contracts and orders are neither made nor lost.

For ``tickwire verify``, which says of a whole journal what the engine relies on after each command.
"""

from collections import defaultdict
from collections.abc import Iterator

from tickwire.exchange.accounts import Account
from tickwire.exchange.book import BookSide
from tickwire.exchange.markets import Market
from tickwire.exchange.order_rows import money_text
from tickwire.exchange.state import State

__all__ = ["broken_invariants", "money_of"]


def broken_invariants(state: State) -> Iterator[str]:
    """A sentence for each invariant that does not hold."""
    yield from _money(state)
    for market in state.markets.values():
        yield from _contracts(state, market)
        yield from _book(state, market)
    for account in state.accounts.values():
        yield from _account(account)
    yield from _ids(state)


def money_of(state: State) -> dict[str, dict[str, int]]:
    """By asset: the sums of ``wallets``, ``unrealized`` PnL, ``fees`` and net ``deposits``.

    Long and short quantities of a market are equal, so at any one price the PnL of all positions is minus their costs.
    """
    wallets: dict[str, int] = defaultdict(int)
    costs = 0
    for account in state.accounts.values():
        for asset, amount in account.wallets.items():
            wallets[asset] += amount
        costs += sum(position.cost for position in account.positions.values())
    return {
        asset: {
            "wallets": wallets[asset],
            "unrealized": -costs if asset == state.collateral else 0,
            "fees": state.fees.get(asset, 0),
            "deposits": state.deposits.get(asset, 0),
        }
        for asset in sorted({*wallets, *state.fees, *state.deposits})
    }


def _money(state: State) -> Iterator[str]:
    for asset, sums in money_of(state).items():
        total = sums["wallets"] + sums["unrealized"] + sums["fees"]
        if total != sums["deposits"]:
            yield (
                f"{asset}: expected wallets, unrealised PnL and fees to be what was deposited,"
                f" {money_text(sums['deposits'])}, got {money_text(total)}"
            )


def _contracts(state: State, market: Market) -> Iterator[str]:
    held = {
        name: account.positions[market.symbol].quantity
        for name, account in state.accounts.items()
        if market.symbol in account.positions
    }
    long = sum(quantity for quantity in held.values() if quantity > 0)
    short = -sum(quantity for quantity in held.values() if quantity < 0)
    text = market.instrument.quantity_text
    if long != short:
        yield f"{market.symbol}: expected as many contracts short as long, {text(long)}, got {text(short)}"
    if long != market.open_interest:
        yield f"{market.symbol}: expected an open interest of {text(long)}, got {text(market.open_interest)}"
    if set(market.holders) != {name for name, quantity in held.items() if quantity}:
        yield f"{market.symbol}: expected those who hold a position to be known as holders, got others"


def _book(state: State, market: Market) -> Iterator[str]:
    book, text = market.book, market.instrument.price_text
    bid, ask = book.best_bid, book.best_ask
    if bid is not None and ask is not None and bid >= ask:
        yield f"{market.symbol}: expected the best bid below the best ask, got {text(bid)} and {text(ask)}"
    resting: set[int] = set()
    for side in (book.bids, book.asks):
        yield from _levels(market, side, resting)
    open_orders = {
        order_id
        for account in state.accounts.values()
        for order_id, order in account.orders.items()
        if order.market is market and order.trigger is None
    }
    if resting != open_orders:
        yield (
            f"{market.symbol}: expected every open order in the book and no other,"
            f" got {len(open_orders - resting)} missing and {len(resting - open_orders)} too many"
        )


def _levels(market: Market, side: BookSide, resting: set[int]) -> Iterator[str]:
    """Levels best first, each with the quantity of its orders; these are added to ``resting``."""
    before: int | None = None
    for level in side:
        place = f"{market.symbol} at {market.instrument.price_text(level.price)}"
        if before is not None and side.sign * level.price >= side.sign * before:
            yield f"{place}: expected a level behind {market.instrument.price_text(before)}"
        before = level.price
        orders = list(level)
        quantity = sum(order.remaining for order in orders)
        if not orders or quantity != level.quantity:
            yield f"{place}: expected a level of {quantity} steps, the sum of its orders, got {level.quantity}"
        for order in orders:
            if order.price != level.price or order.side != side.sign:
                yield f"{place}: expected orders of this side and price, got order {order.id}"
            resting.add(order.id)


def _account(account: Account) -> Iterator[str]:
    held: dict[str, int] = defaultdict(int)
    for order in account.orders.values():
        if order.remaining <= 0 or order.filled_quantity + order.remaining != order.quantity:
            yield (
                f"{account.name}: order {order.id}: expected what is filled and what is left to be what was ordered,"
                f" {order.quantity}, got {order.filled_quantity} and {order.remaining}"
            )
        instrument = order.market.instrument
        if not instrument.perpetual:
            held[instrument.quote if order.side > 0 else instrument.base] += order.reserve
    for asset in sorted({*held, *account.reserved}):
        reserved = account.reserved.get(asset, 0)
        if reserved != held[asset]:
            yield (
                f"{account.name}: expected {money_text(held[asset])} {asset} held by open spot orders,"
                f" got {money_text(reserved)}"
            )
    order_reserve = sum(position.order_reserve for position in account.positions.values())
    if account.order_reserve != order_reserve:
        yield (
            f"{account.name}: expected {money_text(order_reserve)} held by open perpetual orders,"
            f" got {money_text(account.order_reserve)}"
        )


def _ids(state: State) -> Iterator[str]:
    newest = max((order_id for account in state.accounts.values() for order_id in account.orders), default=0)
    if newest >= state.next_order_id:
        yield f"expected the next order id above {newest}, which is in use, got {state.next_order_id}"
