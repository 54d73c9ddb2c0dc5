"""The order book against a plain one that keeps a list of orders and sorts it whenever it is asked."""

from collections.abc import Callable
from typing import Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.exchange.world import BTC, World

from tickwire.exchange.book import BookSide, Order, OrderBook


class Side(Protocol):
    """What both kinds of side can do."""

    changed: dict[int, None]

    @property
    def best(self) -> int | None: ...
    def __len__(self) -> int: ...
    def top(self, count: int) -> list[tuple[int, int]]: ...
    def quantity_at(self, price: int) -> int: ...
    def add(self, order: Order) -> None: ...
    def fill(self, order: Order, quantity: int) -> None: ...
    def remove(self, order: Order) -> None: ...


class PlainSide:
    """One side as a list of orders in the order of their coming."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.orders: list[Order] = []
        self.changed: dict[int, None] = {}

    def __len__(self) -> int:
        return len({order.price for order in self.orders})

    @property
    def best(self) -> int | None:
        top = self.top(1)
        return top[0][0] if top else None

    def top(self, count: int) -> list[tuple[int, int]]:
        prices = sorted({price_of(order) for order in self.orders}, reverse=self.sign > 0)
        return [(price, self.quantity_at(price)) for price in prices[:count]]

    def quantity_at(self, price: int) -> int:
        return sum(order.remaining for order in self.orders if order.price == price)

    def add(self, order: Order) -> None:
        self.orders.append(order)
        self.changed[price_of(order)] = None

    def fill(self, order: Order, quantity: int) -> None:
        order.remaining -= quantity
        self.changed[price_of(order)] = None
        if not order.remaining:
            self.orders.remove(order)

    def remove(self, order: Order) -> None:
        self.orders.remove(order)
        self.changed[price_of(order)] = None

    def in_priority(self) -> list[Order]:
        return sorted(self.orders, key=lambda order: -self.sign * price_of(order))  # stable: by age within a price


def in_priority(side: Side) -> list[Order]:
    if isinstance(side, PlainSide):
        return side.in_priority()
    assert isinstance(side, BookSide)
    return [order for level in side for order in level]


def price_of(order: Order) -> int:
    assert order.price is not None
    return order.price


WORLD = World("anna")


def make_order(number: int, sign: int, price: int, quantity: int) -> Order:
    return Order(number, 0, WORLD.account("anna"), WORLD.market(BTC), sign, 1, quantity, price, 1)


@pytest.mark.parametrize("kind", [BookSide, PlainSide])
class TestSide:
    """What any book side must do."""

    @pytest.mark.parametrize(("sign", "best"), [(1, 103), (-1, 101)])
    def test_the_best_price_comes_first(self, kind: Callable[[int], Side], sign: int, best: int) -> None:
        side = kind(sign)
        assert (side.best, len(side), side.top(5)) == (None, 0, [])
        for number, price in enumerate((102, 103, 101, 103)):
            side.add(make_order(number, sign, price, 10 + number))
        assert side.best == best
        levels = [(103, 24), (102, 10), (101, 12)][::sign]
        assert side.top(5) == levels
        assert side.top(2) == levels[:2]
        assert [side.quantity_at(price) for price in (100, 101, 103)] == [0, 12, 24]
        assert len(side) == 3

    def test_orders_of_one_price_go_by_age(self, kind: Callable[[int], Side]) -> None:
        side = kind(1)
        orders = [make_order(number, 1, 100, 5) for number in range(4)]
        for order in orders:
            side.add(order)
        side.remove(orders[1])
        side.fill(orders[0], 2)  # keeps its place
        again = make_order(9, 1, 100, 5)
        side.add(again)
        assert in_priority(side) == [orders[0], orders[2], orders[3], again]
        side.fill(orders[0], 3)
        assert in_priority(side) == [orders[2], orders[3], again]
        assert orders[0].remaining == 0
        assert side.top(1) == [(100, 15)]

    def test_the_changed_prices_are_noted_once(self, kind: Callable[[int], Side]) -> None:
        side = kind(-1)
        first, second = make_order(1, -1, 100, 5), make_order(2, -1, 99, 5)
        side.add(first)
        side.add(second)
        side.fill(first, 1)
        assert list(side.changed) == [100, 99]
        side.changed.clear()
        side.remove(first)
        assert list(side.changed) == [100]
        assert side.quantity_at(100) == 0

    @given(data=st.data())
    def test_any_sequence_gives_what_the_plain_side_gives(self, kind: Callable[[int], Side], data: Any) -> None:
        """Also of the plain side with itself: both are driven through the same words."""
        sign = data.draw(st.sampled_from((1, -1)))
        side, plain = kind(sign), PlainSide(sign)
        pairs: list[tuple[Order, Order]] = []
        actions = st.tuples(st.sampled_from("aaafrm"), st.integers(95, 105), st.integers(1, 9))
        for number, (action, price, amount) in enumerate(data.draw(st.lists(actions, max_size=40))):
            if action == "a" or not pairs:
                pair = make_order(number, sign, price, amount), make_order(number, sign, price, amount)
                side.add(pair[0])
                plain.add(pair[1])
                pairs.append(pair)
            elif action == "m":
                # A taker of a few units, as the matching does it: best price first, oldest first.
                while amount and len(side):
                    ours, theirs = in_priority(side)[0], plain.in_priority()[0]
                    assert ours.id == theirs.id
                    quantity = min(amount, ours.remaining)
                    side.fill(ours, quantity)
                    plain.fill(theirs, quantity)
                    amount -= quantity
            else:
                ours, theirs = pairs[price % len(pairs)]
                quantity = min(amount, ours.remaining)
                if action == "f":
                    side.fill(ours, quantity)
                    plain.fill(theirs, quantity)
                else:
                    side.remove(ours)
                    plain.remove(theirs)
                    pairs.remove((ours, theirs))
            pairs = [pair for pair in pairs if pair[0].remaining]
            assert [o.id for o in in_priority(side)] == [o.id for o in plain.in_priority()]
            assert side.top(100) == plain.top(100)
            assert side.best == plain.best
            assert len(side) == len(plain)
            assert list(side.changed) == list(plain.changed)


def test_the_mid_of_a_book() -> None:
    book = OrderBook()
    assert (book.best_bid, book.best_ask, book.double_mid) == (None, None, None)
    book.side(1).add(make_order(1, 1, 100, 1))
    assert (book.best_bid, book.double_mid) == (100, None)
    book.side(-1).add(make_order(2, -1, 103, 1))
    assert (book.best_ask, book.double_mid) == (103, 203)
    assert book.bids.best_level() is book.bids.levels[100]
