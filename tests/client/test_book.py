"""The local book, beside a plain one of Decimals that is sorted when it is asked."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.client.book import LocalBook
from tickwire.wire.decimals import DecimalError
from tickwire.wire.rows import Level


class PlainBook:
    def __init__(self) -> None:
        self.bids: dict[Decimal, Level] = {}
        self.asks: dict[Decimal, Level] = {}

    def replace(self, bids: list[Level], asks: list[Level]) -> None:
        self.bids.clear()
        self.asks.clear()
        self.change(bids, asks)

    def change(self, bids: list[Level], asks: list[Level]) -> None:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in levels:
                side.pop(Decimal(price), None) if not Decimal(quantity) else side.update(
                    {Decimal(price): (price, quantity)}
                )

    @property
    def crossed(self) -> bool:
        return bool(self.bids and self.asks) and max(self.bids) >= min(self.asks)

    def top(self, depth: int) -> tuple[list[Level], list[Level]]:
        bids = [self.bids[price] for price in sorted(self.bids, reverse=True)]
        return bids[:depth], [self.asks[price] for price in sorted(self.asks)][:depth]


prices = st.one_of(
    st.integers(0, 30).map(str),
    st.integers(0, 300).map(lambda tenths: f"{tenths // 10}.{tenths % 10}"),
    st.decimals("0", "30", places=4).map(str),
)
quantities = st.one_of(st.sampled_from(["0", "0.00", "1", "2.50"]), st.decimals("0", "9", places=3).map(str))
levels = st.lists(st.tuples(prices, quantities), max_size=8)
steps = st.lists(st.tuples(st.booleans(), levels, levels), max_size=12)


@settings(deadline=None)
@given(steps, st.integers(1, 12))
def test_it_shows_what_the_plain_book_shows(script: list[tuple[bool, list[Level], list[Level]]], depth: int) -> None:
    fast, plain = LocalBook("BTCUSDT"), PlainBook()
    for whole, bids, asks in script:
        for book in (fast, plain):
            (book.replace if whole else book.change)(bids, asks)
        top = fast.top(depth)
        assert (top.bids, top.asks) == plain.top(depth)
        assert fast.crossed is plain.crossed


def test_a_top_is_of_its_moment() -> None:
    book = LocalBook("BTCUSDT")
    book.replace([("1.5", "1"), ("1.4", "2")], [("1.6", "3")])
    book.ts, book.seq = "1765975842095607088", 7
    before = book.top(5)
    book.change([("1.5", "0")], [("1.60", "9"), ("1.61", "1")])
    assert before.bids == [("1.5", "1"), ("1.4", "2")]
    assert (before.best_bid, before.best_ask) == (("1.5", "1"), ("1.6", "3"))
    assert (before.ts, before.seq) == ("1765975842095607088", 7)
    assert book.top(5).asks == [("1.60", "9"), ("1.61", "1")]
    book.replace([], [])
    assert (book.top(5).best_bid, book.top(5).best_ask) == (None, None)


def test_prices_beyond_what_a_float_can_tell_apart() -> None:
    book = LocalBook("BTCUSDT")
    book.change([("74937.1000000000000001", "1"), ("74937.1000000000000002", "2"), ("74937.1", "3")], [])
    assert [quantity for _, quantity in book.top(9).bids] == ["2", "1", "3"]


@pytest.mark.parametrize("price", ["", "x", "1e3", "NaN", "-0", "1.", ".5", "1" * 60, "0." + "1" * 35])
def test_what_is_no_price(price: str) -> None:
    with pytest.raises(DecimalError):
        LocalBook("BTCUSDT").change([(price, "1")], [])


@pytest.mark.parametrize("quantity", ["x", "-1", "1e3", "NaN", "1.2.3", "+1"])
def test_what_is_no_quantity(quantity: str) -> None:
    with pytest.raises(DecimalError, match="expected a quantity"):
        LocalBook("BTCUSDT").change([], [("1", quantity)])


def test_more_prices_than_are_remembered() -> None:
    book = LocalBook("BTCUSDT")
    for price in range(60_000):
        book.change([(str(price), "1")], [(str(price), "0")])
    assert book.top(1).bids == [("59999", "1")]
    assert len(book._known) <= 50_000
