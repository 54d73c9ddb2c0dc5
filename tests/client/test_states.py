from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tickwire.client.frames import BookRow, TickerRow
from tickwire.client.replies import Candle
from tickwire.client.states import (
    ENDED,
    BookState,
    Inconsistent,
    KeyedState,
    KlineState,
    TickerState,
    closed_position,
    fill_ticker,
)
from tickwire.wire import rows

FIELDS = [name for name in rows.Ticker.__struct_fields__ if name != "symbol"]


def ticker(**fields: Any) -> Any:
    return TickerRow("X", **fields)


values = st.sampled_from([UNSET, None, "1", "2"])
partial = st.fixed_dictionaries(dict.fromkeys(FIELDS, values))


@given(st.lists(partial, max_size=5))
def test_a_partial_ticker_is_filled_field_by_field(parts: list[dict[str, Any]]) -> None:
    state = TickerState("X")
    plain: dict[str, Any] = dict.fromkeys(FIELDS)
    for part in parts:
        plain |= {name: value for name, value in part.items() if value is not UNSET}
        ((_, shown),) = state.update([ticker(**part)], "")
        assert {name: getattr(shown, name) for name in FIELDS} == plain
        assert state.current() == [("X", shown)]


def test_every_field_of_a_ticker_is_filled() -> None:
    whole = rows.Ticker("X", *[str(n) for n in range(len(FIELDS))])
    row = ticker()
    fill_ticker(row, whole)
    assert [getattr(row, name) for name in FIELDS] == [str(n) for n in range(len(FIELDS))]


def test_a_snapshot_of_a_ticker_forgets_the_one_before() -> None:
    state = TickerState("X")
    assert state.current() == []
    state.update([ticker(bid_price="1")], "")
    ((_, shown),) = state.snapshot([ticker(ask_price="2")], "")
    assert (shown.bid_price, shown.ask_price) == (None, "2")
    with pytest.raises(Inconsistent, match="expected rows of X, got one of Y"):
        state.update([msgspec.structs.replace(ticker(), symbol="Y")], "")


def test_candles_by_their_start() -> None:
    state = KlineState()
    first, second = Candle("1", "1", "1", "1", "1", "1", "1"), Candle("2", "1", "1", "1", "1", "1", "1")
    assert state.snapshot([first], "") == [("1", first)]
    assert state.update([first, second], "") == [("1", first), ("2", second)]
    assert state.current() == [("2", second)]


def book(
    bids: Any = (), asks: Any = (), seq: int | None = None, prev_seq: int | None = None, symbol: str = "X"
) -> BookRow:
    return BookRow(symbol=symbol, bids=list(bids), asks=list(asks), seq=seq, prev_seq=prev_seq)


def test_a_book_from_pictures_and_unnumbered_changes() -> None:
    state = BookState("X")
    state.snapshot([book([("1", "1")], [("2", "1")])], "5")
    ((_, shown),) = state.update([book([("1.5", "3")])], "6")
    assert shown.top(5).bids == [("1.5", "3"), ("1", "1")]
    assert (shown.ts, shown.seq) == ("6", None)
    assert state.current() == [("X", shown)]


def test_numbered_changes_must_follow_one_another() -> None:
    state = BookState("X")
    state.snapshot([book([("1", "1")], [("2", "1")], 10, 10)], "5")
    state.update([book([("1", "2")], (), 11, 10), book([("1", "3")], (), 12, 11)], "6")
    assert state.book.top(1).bids == [("1", "3")]
    # What comes twice or late changes nothing.
    state.update([book([("1", "2")], (), 11, 10), book([("1", "9")], (), 12, 11)], "6")
    assert state.book.top(1).bids == [("1", "3")]
    assert state.repeated == 2
    with pytest.raises(Inconsistent, match="expected the change after 12, got the one after 13"):
        state.update([book((), (), 14, 13)], "7")


def test_what_is_no_book() -> None:
    state = BookState("X")
    with pytest.raises(Inconsistent, match=r"expected the bid below the ask, got 2 and 1\.5"):
        state.snapshot([book([("2", "1")], [("1.5", "1")])], "5")
    with pytest.raises(Inconsistent, match="expected one row with the whole book, got 2"):
        state.snapshot([book(), book()], "5")
    with pytest.raises(Inconsistent, match="expected rows of X, got one of Y"):
        state.snapshot([book(symbol="Y")], "5")
    state.snapshot([book([("1", "1")], [("2", "1")])], "5")
    with pytest.raises(Inconsistent, match="expected rows of X, got one of Y"):
        state.update([book(symbol="Y")], "5")


def position(symbol: str, quantity: str = "1") -> rows.Position:
    nothing: list[Any] = [None] * (len(rows.Position.__struct_fields__) - 9)
    return rows.Position(symbol, 0, 10, "CROSS", [], 0, "LONG", quantity, quantity, *nothing)


def test_rows_by_key_and_what_is_missing_in_a_snapshot() -> None:
    state = KeyedState(rows.Position, "symbol", gone=closed_position)
    a, b = position("A"), position("B")
    assert state.snapshot([a, b], "") == [("A", a), ("B", b)]
    more = position("B", "2")
    assert state.update([more], "") == [("B", more)]
    assert state.current() == [("A", a), ("B", more)]
    (gone, kept) = state.snapshot([more], "")
    assert gone[0] == "A"
    assert (gone[1].position_side, gone[1].position_qty, gone[1].leverage) == (None, "0", 10)
    assert kept == ("B", more)
    assert state.missing == {"A": a}
    assert state.current() == [("B", more)]


def test_a_state_of_one_row() -> None:
    state = KeyedState(rows.AccountInfo)
    first, second = rows.AccountInfo("1", "0", "1", "0", "1"), rows.AccountInfo("2", "0", "2", "0", "2")
    assert state.snapshot([first], "") == [("", first)]
    assert state.update([second], "") == [("", second)]
    assert state.current() == [("", second)]


@pytest.mark.parametrize("status", ["FILLED", "CANCELED", "REJECTED"])
def test_rows_that_end_are_shown_and_forgotten(status: Any) -> None:
    state = KeyedState(rows.Order, "order_id", keep=lambda order: order.status not in ENDED)
    order = rows.Order("1", "X", "BUY", "LIMIT", "1", None, "1", None, "NEW", "GTC", None, None, "1")
    ended = msgspec.structs.replace(order, status=status)
    state.update([order], "")
    assert state.update([ended], "") == [("1", ended)]
    assert state.current() == []
