"""Paging, against the plainest list that does the same."""

import json
import sqlite3
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.journal.samples import exec_ids, execution, order, order_ids

from tickwire.exchange.commands import Tick
from tickwire.journal import database
from tickwire.journal.history import History, HistoryPage
from tickwire.journal.records import Batch, ExecutionRecord, OrderRecord
from tickwire.journal.store import Store

SYMBOLS = {"BTCUSDT.PERP": True, "ETHUSDT.PERP": True, "BTCUSDT": False}
EXEC_TYPES = ["NEW", "TRADE", "CANCELED", "FUNDING"]


def kept(directory: Path, orders: list[OrderRecord], executions: list[ExecutionRecord]) -> Store:
    """A store that keeps just these."""
    store = Store.open(directory, "none")
    errors: list[Exception | None] = []
    store.commit(Batch(1, [(1, Tick())], orders, executions), errors.append)
    assert errors == [None]
    return store


class Reused:
    """One store for many histories, since making a file takes longer than what is tried with it."""

    def __init__(self, directory: Path) -> None:
        self._store = kept(directory, [], [])
        self._connection = sqlite3.connect(directory / database.FILE_NAME, isolation_level=None)

    def keep(self, orders: list[OrderRecord], executions: list[ExecutionRecord]) -> Store:
        """The store, with just these."""
        self._connection.execute("DELETE FROM orders")
        self._connection.execute("DELETE FROM executions")
        errors: list[Exception | None] = []
        self._store.commit(Batch(self._store.last_sequence + 1, [(1, Tick())], orders, executions), errors.append)
        assert errors == [None]
        return self._store

    def close(self) -> None:
        self._connection.close()
        self._store.close()


@pytest.fixture(scope="module")
def reused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reused]:
    found = Reused(tmp_path_factory.mktemp("history"))
    yield found
    found.close()


# The naive version: one list of rows, newest first, as (order id, exec type, JSON value).

Row = tuple[int, str, Any]


def naive_page(rows: list[Row], page: HistoryPage) -> dict[str, Any]:
    """What a page must be. ``rows`` are those that the filters let through, newest first."""
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row[0])]
    inside = [
        group
        for group in groups
        if (page.after is None or group[0][0] < page.after) and (page.before is None or group[0][0] > page.before)
    ]
    upwards = page.before is not None and page.after is None
    if upwards:
        inside.reverse()
    taken: list[list[Row]] = []
    for group in inside:
        full = sum(map(len, taken)) >= page.count
        if full and (page.exec_type == "FUNDING" or any(row[1] != "FUNDING" for row in taken[-1])):
            break
        taken.append(group)
    if upwards:
        taken.reverse()
    if taken:
        newest, oldest = taken[0][0][0], taken[-1][0][0]
    else:
        newest = page.after - 1 if page.after is not None else 2**63
        oldest = page.before + 1 if page.before is not None else -1
    return {
        "history": [row[2] for group in taken for row in group],
        "hasPrev": any(row[0] > newest for row in rows),
        "hasNext": any(row[0] < oldest for row in rows),
    }


def passes(record: OrderRecord | ExecutionRecord, time: int, page: HistoryPage) -> bool:
    return (
        record.account == "alice"
        and (page.symbol is None or record.symbol == page.symbol)
        and (page.perpetual is None or record.perpetual == page.perpetual)
        and (page.start is None or time >= page.start)
        and (page.end is None or time <= page.end)
    )


def naive_orders(records: list[OrderRecord], page: HistoryPage) -> list[Row]:
    chosen = [record for record in records if passes(record, record.order_time, page)]
    chosen.sort(key=lambda record: -record.order_id)
    return [(record.order_id, "NEW", json.loads(record.row)) for record in chosen]


def naive_executions(records: list[ExecutionRecord], page: HistoryPage) -> list[Row]:
    chosen = [
        record
        for record in records
        if passes(record, record.transact_time, page)
        and (page.exec_type is None or record.exec_type == page.exec_type)
        and (page.order_id is None or (record.order_id == page.order_id and record.exec_type != "FUNDING"))
    ]
    chosen.sort(key=lambda record: (-record.order_id, -record.exec_id))
    return [(record.order_id, record.exec_type, json.loads(record.row)) for record in chosen]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[OrderRecord], list[ExecutionRecord]]:
    """Orders of two accounts, and executions of them in any order of time, with funding payments among them."""
    orders: list[OrderRecord] = []
    executions: list[ExecutionRecord] = []
    for time in range(1, draw(st.integers(1, 30)) + 1):
        what = draw(st.sampled_from(["order", "fill", "fill", "funding"]))
        account = draw(st.sampled_from(["alice", "alice", "bob"]))
        symbol = draw(st.sampled_from(list(SYMBOLS)))
        perpetual = SYMBOLS[symbol]
        exec_id = len(executions) + 1
        if what == "order" or not orders:
            fields = {"symbol": symbol, "perpetual": perpetual}
            orders.append(order(len(orders) + 1, account, order_time=time // 2, transact_time=time, **fields))
            filled = orders[-1]
        else:
            filled = orders[draw(st.integers(0, len(orders) - 1))]
        if what == "funding":
            fields = {"symbol": symbol, "perpetual": perpetual, "exec_type": "FUNDING"}
            executions.append(execution(exec_id, len(orders), account, transact_time=time, **fields))
        else:
            kind = "NEW" if filled is orders[-1] else draw(st.sampled_from(["TRADE", "CANCELED"]))
            fields = {"symbol": filled.symbol, "perpetual": filled.perpetual, "exec_type": kind}
            executions.append(execution(exec_id, filled.order_id, filled.account, transact_time=time, **fields))
    return orders, executions


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


pages = st.builds(
    HistoryPage,
    count=st.integers(1, 8),
    before=maybe(st.integers(0, 32)),
    after=maybe(st.integers(0, 32)),
    perpetual=maybe(st.booleans()),
    symbol=maybe(st.sampled_from(list(SYMBOLS))),
    start=maybe(st.integers(0, 32)),
    end=maybe(st.integers(0, 32)),
    order_id=maybe(st.integers(1, 8)),
    exec_type=maybe(st.sampled_from(EXEC_TYPES)),
)


@settings(deadline=None)
@given(histories(), st.lists(pages, min_size=1, max_size=8))
def test_every_page_is_that_of_the_naive_list(
    reused: Reused,
    history: tuple[list[OrderRecord], list[ExecutionRecord]],
    wanted: list[HistoryPage],
) -> None:
    orders, executions = history
    store = reused.keep(orders, executions)
    for page in wanted:
        assert json.loads(store.order_history("alice", page)) == naive_page(
            naive_orders(orders, page), msgspec.structs.replace(page, exec_type=None)
        )
        assert json.loads(store.execution_history("alice", page)) == naive_page(
            naive_executions(executions, page), page
        )


def walk_down(ask: Any, page: HistoryPage, key: str) -> Iterator[list[int]]:
    """Pages as a client asks for them, from the newest to the oldest: on from the last row that names an order."""
    while True:
        reply = ask(page)
        rows = reply["history"]
        yield [row[key] for row in rows]
        if not reply["hasNext"]:
            return
        page = msgspec.structs.replace(page, after=[row["order"] for row in rows if row["order"] is not None][-1])


def walk_up(ask: Any, page: HistoryPage, key: str) -> Iterator[list[int]]:
    """Pages from the oldest to the newest: on from the first row that names an order."""
    page = msgspec.structs.replace(page, before=0)
    while True:
        reply = ask(page)
        rows = reply["history"]
        yield [row[key] for row in rows]
        if not reply["hasPrev"]:
            return
        page = msgspec.structs.replace(page, before=next(row["order"] for row in rows if row["order"] is not None))


def as_a_client_sees_it(executions: list[ExecutionRecord]) -> list[ExecutionRecord]:
    """The wire's row of a funding payment names no order."""
    return [
        msgspec.structs.replace(record, row=json.dumps({"exec": record.exec_id, "order": None}).encode())
        if record.exec_type == "FUNDING"
        else record
        for record in executions
    ]


@settings(deadline=None)
@given(
    histories(),
    st.builds(
        HistoryPage,
        count=st.integers(1, 5),
        symbol=maybe(st.sampled_from(list(SYMBOLS))),
        start=maybe(st.integers(0, 10)),
        end=maybe(st.integers(10, 32)),
    ),
)
def test_walking_pages_gives_each_row_once_in_both_directions(
    reused: Reused,
    history: tuple[list[OrderRecord], list[ExecutionRecord]],
    page: HistoryPage,
) -> None:
    orders, executions = history[0], as_a_client_sees_it(history[1])
    store = reused.keep(orders, executions)

    def ask_orders(page: HistoryPage) -> Any:
        return json.loads(store.order_history("alice", page))

    def ask_executions(page: HistoryPage) -> Any:
        return json.loads(store.execution_history("alice", page))

    every_order = [value["order"] for _, _, value in naive_orders(orders, page)]
    down = list(walk_down(ask_orders, page, "order"))
    assert [row for rows in down for row in rows] == every_order
    assert all(len(rows) <= page.count for rows in down)
    assert [row for rows in reversed(list(walk_up(ask_orders, page, "order"))) for row in rows] == every_order

    every_execution = [value["exec"] for _, _, value in naive_executions(executions, page)]
    assert [row for rows in walk_down(ask_executions, page, "exec") for row in rows] == every_execution
    up = list(walk_up(ask_executions, page, "exec"))
    assert [row for rows in reversed(up) for row in rows] == every_execution


# The same in examples, for the reader.


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    orders = [order(number) for number in range(1, 11)]
    executions = [execution(number, (number + 2) // 3) for number in range(1, 31)]  # three an order
    store = kept(tmp_path, orders, executions)
    yield store
    store.close()


def flags(reply: bytes) -> tuple[bool, bool]:
    value = json.loads(reply)
    return value["hasPrev"], value["hasNext"]


def test_the_reply_is_the_rows_as_they_were_stored(tmp_path: Path) -> None:
    row = '{"orderId":"a","price":"74937.1","é":null}'.encode()
    store = kept(tmp_path, [order(1, row=row), order(2, row=row)], [])
    reply = b'{"history":[' + row + b"," + row + b'],"hasPrev":false,"hasNext":false}'
    assert store.order_history("alice", HistoryPage()) == reply
    assert store.order_history("bob", HistoryPage()) == b'{"history":[],"hasPrev":false,"hasNext":false}'
    assert store.execution_history("alice", HistoryPage()) == b'{"history":[],"hasPrev":false,"hasNext":false}'


def test_the_first_page_is_the_newest(store: Store) -> None:
    assert order_ids(store, count=3) == [10, 9, 8]
    assert flags(store.order_history("alice", HistoryPage(count=3))) == (False, True)
    assert flags(store.order_history("alice", HistoryPage(count=10))) == (False, False)


def test_after_gives_what_is_older_and_before_what_is_newer_next_to_the_cursor(store: Store) -> None:
    assert order_ids(store, count=3, after=8) == [7, 6, 5]
    assert order_ids(store, count=3, before=3) == [6, 5, 4]
    assert order_ids(store, count=3, after=8, before=3) == [7, 6, 5]
    assert order_ids(store, count=3, after=8, before=6) == [7]
    assert flags(store.order_history("alice", HistoryPage(count=3, before=3))) == (True, True)
    assert flags(store.order_history("alice", HistoryPage(count=3, before=7))) == (False, True)


def test_an_empty_page_still_says_what_lies_beyond_the_cursor(store: Store) -> None:
    assert order_ids(store, after=1) == []
    assert flags(store.order_history("alice", HistoryPage(after=1))) == (True, False)
    assert flags(store.order_history("alice", HistoryPage(before=10))) == (False, True)
    assert flags(store.order_history("alice", HistoryPage(after=5, before=5))) == (True, True)
    # The cursor's own row lies beyond the cursor too.
    assert flags(store.order_history("alice", HistoryPage(before=10, start=10))) == (False, True)
    assert flags(store.order_history("alice", HistoryPage(after=1, end=1))) == (True, False)


def test_a_page_of_executions_holds_its_orders_whole(store: Store) -> None:
    assert exec_ids(store, count=1) == [30, 29, 28]
    assert exec_ids(store, count=4) == [30, 29, 28, 27, 26, 25]
    assert exec_ids(store, count=3, after=10) == [27, 26, 25]
    assert exec_ids(store, count=2, before=1) == [6, 5, 4]
    assert exec_ids(store, order_id=2) == [6, 5, 4]


def test_times_are_inclusive(store: Store) -> None:
    assert order_ids(store, start=4, end=6) == [6, 5, 4]
    assert exec_ids(store, start=29, end=29) == [29]


def test_a_page_does_not_end_with_a_funding_payment(tmp_path: Path) -> None:
    executions = [execution(1, 1)]
    executions += [execution(number, number, exec_type="FUNDING") for number in (2, 3, 4)]
    executions += [execution(5, 5)]
    store = kept(tmp_path, [], executions)
    assert exec_ids(store, count=1) == [5]
    assert exec_ids(store, count=2) == [5, 4, 3, 2, 1]
    assert exec_ids(store, count=1, before=1) == [5, 4, 3, 2]
    assert exec_ids(store, count=2, exec_type="FUNDING") == [4, 3]
    assert exec_ids(store, count=2, exec_type="FUNDING", end=2) == [2]
    assert flags(store.execution_history("alice", HistoryPage(count=2, exec_type="FUNDING"))) == (False, True)


def test_a_funding_payment_is_no_execution_of_the_order_whose_id_it_bears(tmp_path: Path) -> None:
    store = kept(tmp_path, [], [execution(1, 7), execution(2, 7, exec_type="FUNDING")])
    assert exec_ids(store, order_id=7) == [1]


def test_a_filter_is_decided_in_the_index(store: Store, tmp_path: Path) -> None:
    """Or a rare symbol would read every row of a long history, on the event loop."""
    connection = database.open_reader(tmp_path / database.FILE_NAME)
    statements: list[str] = []
    history = History(tmp_path / database.FILE_NAME)
    history._connection.set_trace_callback(statements.append)
    every_filter = HistoryPage(before=1, after=9, perpetual=True, symbol="BTCUSDT.PERP", start=1, end=99)
    history.orders("alice", every_filter)
    history.executions("alice", msgspec.structs.replace(every_filter, exec_type="TRADE"))
    plans = [" ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")) for text in statements]
    assert len(plans) == 6
    for plan in plans:
        assert "SEARCH" in plan
        assert "_by_account (account=? AND order_id" in plan
        assert "TEMP B-TREE" not in plan
