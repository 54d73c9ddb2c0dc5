"""The whole state as bytes, and back.

The bytes are canonical: the same state gives the same bytes, and an engine loaded from them goes on exactly as the one
they were taken of. Money that can outgrow 64 bits is written as text.
"""

from operator import attrgetter
from typing import Any

import msgspec

from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.book import Order
from tickwire.exchange.conditionals import Bracket, Trigger
from tickwire.exchange.markets import Market
from tickwire.exchange.state import State

__all__ = ["SNAPSHOT_VERSION", "SnapshotError", "dump_state", "load_state"]

SNAPSHOT_VERSION = 2


class SnapshotError(ValueError):
    """A snapshot this version can't take over; the message says why."""


# The plain values of an order, in the order they are written. Links to other objects are restored from ids.
_ORDER_FIELDS = (
    "id", "time", "side", "type", "quantity", "remaining", "price", "time_in_force", "amount", "trigger_price",
    "max_slippage_price", "reduce_only", "take_profit_price", "stop_loss_price", "conditional", "status",
    "transact_time", "filled_quantity", "filled_cost", "fee", "reserve", "leverage", "cancel_reason", "reject_reason",
)  # fmt: skip
_order_values = attrgetter("account.name", "symbol", *_ORDER_FIELDS)
_POSITION_FIELDS = (
    "leverage", "isolated", "explicit", "quantity", "cost", "added_margin", "fees_paid", "funding_paid",
    "buy_quantity", "buy_reserve", "sell_quantity", "sell_reserve", "order_reserve",
)  # fmt: skip


def dump_state(state: State) -> bytes:
    """Everything ``load_state`` needs."""
    orders: dict[int, Order] = {}
    brackets: dict[int, Bracket] = {}  # by the id of one of its triggers
    for market in state.markets.values():
        for trigger in market.triggers:
            if trigger.bracket is not None:
                brackets[_bracket_id(trigger.bracket)] = trigger.bracket
                if trigger.bracket.order is not None:
                    orders[trigger.bracket.order.id] = trigger.bracket.order
    for account in state.accounts.values():
        orders.update(account.orders)
        for position in account.positions.values():
            orders.update(position.opened_by)
    document = {
        "version": SNAPSHOT_VERSION,
        "time": state.time,
        "sequence": state.sequence,
        "next": [state.next_order_id, state.next_exec_id, state.next_trigger_id, state.next_second],
        "fees": _texts(state.fees),
        "deposits": _texts(state.deposits),
        "accounts": [_dump_account(account) for account in state.accounts.values()],
        "orders": [_order_values(order) for _, order in sorted(orders.items())],
        "stops": [[order.id, order.trigger.id] for _, order in sorted(orders.items()) if order.trigger is not None],
        "brackets": [_dump_bracket(bracket) for _, bracket in sorted(brackets.items())],
        "markets": [_dump_market(market) for market in state.markets.values()],
    }
    return msgspec.msgpack.encode(document)


def _texts(amounts: dict[str, int]) -> list[list[str]]:
    return [[asset, str(amount)] for asset, amount in amounts.items()]


def _amounts(texts: list[list[str]]) -> dict[str, int]:
    return {asset: int(amount) for asset, amount in texts}


def _bracket_id(bracket: Bracket) -> int:
    return min(trigger.id for trigger in (bracket.take_profit, bracket.stop_loss) if trigger is not None)


def _dump_bracket(bracket: Bracket) -> list[Any]:
    def plain(trigger: Trigger | None) -> list[int] | None:
        return None if trigger is None else [trigger.id, trigger.price]

    return [
        bracket.account.name, bracket.market.symbol, bracket.side, bracket.quantity,
        None if bracket.order is None else bracket.order.id, plain(bracket.take_profit), plain(bracket.stop_loss),
    ]  # fmt: skip


def _dump_account(account: Account) -> list[Any]:
    return [
        account.name,
        account.house,
        account.multiple_positions,
        _texts(account.wallets),
        _texts(account.reserved),
        str(account.order_reserve),
        [account.fee_level, str(account.volume_today), [str(volume) for volume in account.volumes]],
        [
            [
                position.market.symbol,
                *[str(value) if isinstance(value := getattr(position, f), int) and not isinstance(value, bool) else
                value   for f in _POSITION_FIELDS],
                list(position.opened_by),
            ]
            for position in account.positions.values()
        ],
        list(account.orders),
    ]  # fmt: skip


def _dump_market(market: Market) -> list[Any]:
    book = market.book
    return [
        market.symbol,
        [[order.id for level in side for order in level] for side in (book.bids, book.asks)],
        book.sequence,
        market.last_price,
        market.open_interest,
        list(market.holders),
        market.prices.dump(),
        market.candles.dump(),
    ]


def load_state(state: State, data: bytes) -> None:
    """Fill a new state (made with the same instruments) from ``dump_state``'s bytes. Raises ``SnapshotError``."""
    document = msgspec.msgpack.decode(data)
    version = document.get("version")
    if version != SNAPSHOT_VERSION:
        raise SnapshotError(f"expected a state of version {SNAPSHOT_VERSION}, got {version}")
    for entry in document["markets"]:
        if entry[0] not in state.markets:
            raise SnapshotError(f"expected the instrument {entry[0]}, which this data directory trades, got none of it")
    state.time, state.sequence = document["time"], document["sequence"]
    state.next_order_id, state.next_exec_id, state.next_trigger_id, state.next_second = document["next"]
    state.fees, state.deposits = _amounts(document["fees"]), _amounts(document["deposits"])
    for entry in document["accounts"]:
        account = state.accounts.setdefault(entry[0], Account(entry[0], entry[1]))
        account.multiple_positions = entry[2]
        account.wallets, account.reserved = _amounts(entry[3]), _amounts(entry[4])
        account.order_reserve = int(entry[5])
        fee_level, volume_today, volumes = entry[6]
        if account is not state.insurance:
            # Fewer levels than when it was saved: the highest there is, until the next day begins.
            state.set_fee_level(account, min(fee_level, len(state.fee_levels) - 1))
        account.volume_today, account.volumes = int(volume_today), [int(volume) for volume in volumes]
    orders = {entry[2]: _load_order(state, entry) for entry in document["orders"]}
    for entry in document["accounts"]:
        account = state.accounts[entry[0]]
        for symbol, *values, opened_by in entry[7]:
            position = account.positions[symbol] = Position(state.markets[symbol], 1)
            for field, value in zip(_POSITION_FIELDS, values, strict=True):
                setattr(position, field, int(value) if isinstance(value, str) else value)
            position.opened_by = {order_id: orders[order_id] for order_id in opened_by}
        for order_id in entry[8]:
            order = account.orders[order_id] = orders[order_id]
            if order.reduce_only:
                account.positions[order.symbol].reduce_only_orders[order_id] = order
    for entry in document["markets"]:
        _load_market(state, entry, orders)
    _load_triggers(state, document, orders)


def _load_order(state: State, entry: list[Any]) -> Order:
    name, symbol, *values = entry
    fields = dict(zip(_ORDER_FIELDS, values, strict=True))
    order = Order(
        fields["id"], fields["time"], state.accounts[name], state.markets[symbol], fields["side"], fields["type"],
        fields["quantity"], fields["price"], fields["time_in_force"],
    )  # fmt: skip
    for field, value in fields.items():
        setattr(order, field, value)
    return order


def _load_market(state: State, entry: list[Any], orders: dict[int, Order]) -> None:
    symbol, sides, sequence, last_price, open_interest, holders, prices, candles = entry
    market = state.markets[symbol]
    for side, order_ids in zip((market.book.bids, market.book.asks), sides, strict=True):
        for order_id in order_ids:
            side.add(orders[order_id])
        side.changed.clear()
    market.book.sequence = sequence
    market.open_interest = open_interest
    market.holders = {name: state.accounts[name] for name in holders}
    market.prices.load(prices)
    market.set_last_price(last_price)
    market.candles.load(candles)


def _load_triggers(state: State, document: dict[str, Any], orders: dict[int, Order]) -> None:
    for order_id, trigger_id in document["stops"]:
        order = orders[order_id]
        assert order.trigger_price is not None
        trigger = order.trigger = Trigger(trigger_id, order.trigger_price, rising=order.side > 0)
        trigger.order = order
        order.market.triggers.add(trigger)
    for name, symbol, side, quantity, order_id, take_profit, stop_loss in document["brackets"]:
        account, market = state.accounts[name], state.markets[symbol]
        bracket = Bracket(account, market, side, None if order_id is None else orders[order_id])
        bracket.quantity = quantity
        if bracket.order is not None:
            bracket.order.bracket = bracket
        if symbol in account.positions:
            account.positions[symbol].brackets.append(bracket)
        for wins, values in ((True, take_profit), (False, stop_loss)):
            if values is None:
                continue
            trigger = Trigger(values[0], values[1], rising=(side < 0) == wins)
            trigger.bracket = bracket
            trigger.take_profit = wins
            market.triggers.add(trigger)
            if wins:
                bracket.take_profit = trigger
            else:
                bracket.stop_loss = trigger
