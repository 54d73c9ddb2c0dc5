"""Walks through histories that are longer than one reply; a server's pages are made here, with ties and all."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.client.calls import Call
from tickwire.client.errors import InvalidReply
from tickwire.client.pages import Pages, iterate_executions, iterate_klines, iterate_orders
from tickwire.client.replies import Candle
from tickwire.wire import rows


def parameters(call: Call[Any]) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(call.target).query).items()}


def walk(pages: Pages[Any, Any], answer: Any) -> list[Any]:
    """Everything that a walk brings from a server that answers so."""
    found: list[Any] = []
    while pages.call is not None:
        found += pages.take(answer(parameters(pages.call)))
    return found


def funding(number: int, time: int) -> rows.Execution:
    """A funding payment, which has no order."""
    return execution(number, time, None, "FUNDING")


def execution(number: int, time: int, order: str | None, kind: Any = "TRADE") -> rows.Execution:
    none: dict[str, Any] = dict.fromkeys(rows.Execution.__struct_fields__)
    return rows.Execution(
        **none | {"exec_id": str(number), "order_id": order, "transact_time": str(time), "exec_type": kind}
    )


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 40), min_size=0, max_size=200).map(sorted), st.integers(1, 7))
def test_funding_payments_are_walked_by_time(times: list[int], symbols: int) -> None:
    """They have no cursor. At most so many fall on one time as there are symbols, fewer than fit on a page."""
    history = [funding(number, time // symbols) for number, time in enumerate(times)]
    for time in {row.transact_time for row in history}:
        together = [row for row in history if row.transact_time == time]
        for row in together[63:]:
            history.remove(row)
    newest_first = history[::-1]

    def answer(query: dict[str, str]) -> rows.ExecutionHistory:
        assert query["execType"] == "FUNDING"
        matching = [row for row in newest_first if int(row.transact_time) <= int(query.get("endTime", 10**9))]
        count = int(query["count"])
        return rows.ExecutionHistory(matching[:count], has_prev=False, has_next=len(matching) > count)

    assert walk(iterate_executions(exec_type="FUNDING"), answer) == newest_first


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 5), max_size=60))
def test_executions_are_walked_by_order(orders: list[int]) -> None:
    """A page ends between two orders; the cursor is the id of the last."""
    history: list[rows.Execution] = []
    for order, count in enumerate(orders):
        history += [execution(order * 10 + n, order, f"{order:04}") for n in range(count)]
        history.append(funding(order * 10 + 9, order))
    newest_first = history[::-1]

    def answer(query: dict[str, str]) -> rows.ExecutionHistory:
        after = int(query.get("after", "9999"))
        matching = [row for row in newest_first if int(row.exec_id) // 10 < after]
        page: list[rows.Execution] = []
        for row in matching:
            if len(page) >= 10 and row.exec_id.endswith("9"):
                break
            page.append(row)
        return rows.ExecutionHistory(page, has_prev=False, has_next=len(page) < len(matching))

    assert walk(iterate_executions(symbol="S", order_id="x"), answer) == newest_first


def test_orders_are_walked_by_the_last_of_a_page() -> None:
    none: dict[str, Any] = dict.fromkeys(rows.OrderHistoryRow.__struct_fields__)
    history = [rows.OrderHistoryRow(**none | {"order_id": f"{number:04}"}) for number in range(200, 0, -1)]

    def answer(query: dict[str, str]) -> rows.OrderHistory:
        assert query["symbol"] == "S"
        assert (query["startTime"], query["endTime"], query["productType"]) == ("1", "2", "SPOT")
        matching = [row for row in history if row.order_id < query.get("after", "9999")]
        count = int(query["count"])
        return rows.OrderHistory(matching[:count], has_prev=False, has_next=len(matching) > count)

    assert walk(iterate_orders("S", product_type="SPOT", start=1, end=2), answer) == history


def test_a_server_that_says_more_and_has_nothing_ends_the_walk() -> None:
    def empty(_: object) -> rows.ExecutionHistory:
        return rows.ExecutionHistory([], has_prev=False, has_next=True)

    assert walk(iterate_executions(), empty) == []
    assert walk(iterate_orders(), lambda _: rows.OrderHistory([], has_prev=False, has_next=True)) == []


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 3001), st.integers(0, 3100))
def test_candles_are_walked_forward(last: int, end: int) -> None:
    candles = [Candle(str(number * 60), *["1"] * 6) for number in range(last)]

    def answer(query: dict[str, str]) -> list[Candle]:
        first, until = int(query["startTime"]), int(query["endTime"])
        found: Iterable[Candle] = (row for row in candles if first <= int(row.start_time) <= until)
        return list(found)[: int(query["limit"])]

    expected = [row for row in candles if 60 <= int(row.start_time) <= end * 60]
    assert walk(iterate_klines("S", "1", start=60, end=end * 60), answer) == expected


def test_a_candle_without_a_start_ends_the_walk_with_an_error() -> None:
    page = [Candle("soon", *["1"] * 6)] * 1000
    with pytest.raises(InvalidReply, match="it starts at 'soon'"):
        walk(iterate_klines("S", "1", start=1), lambda _: page)
