"""Pages of the history of orders and executions, newest first, as the JSON that the client gets.

Rows are ordered by order id, executions of one order by execution id. The cursors of both queries are order ids:
``after`` asks for what is older than that order, ``before`` for what is newer, and then for the rows next to the
cursor. So that a client that goes on from the order id of a page's last (or first) row loses and repeats nothing:

* a page ends only between two orders. It holds all executions of each of its orders, and may so exceed ``count``;
* a funding payment belongs to no order and can't be a cursor, so a page does not end with one while there is an order
  to go on to. A query of nothing but funding payments has no cursors; it is paged by ``endTime``.

``hasPrev`` and ``hasNext`` say whether the same filters match newer or older rows than the page's.
"""

import copy
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from tickwire.journal.database import failure, open_reader

__all__ = ["DEFAULT_COUNT", "History", "HistoryPage"]

DEFAULT_COUNT = 64

_FUNDING = "FUNDING"


class _Table(msgspec.Struct, frozen=True):
    """Where one query reads. ``{}`` in ``order`` is ASC or DESC."""

    name: str
    exec_type: str
    time: str
    order: str


_ORDERS = _Table("orders", "NULL", "order_time", "order_id {0}")
_EXECUTIONS = _Table("executions", "exec_type", "transact_time", "order_id {0}, exec_id {0}")

# One row of a page: order id and JSON.
_Row = tuple[int, bytes]


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """What to show. Every filter that is ``None`` lets all through; ``order_id`` and ``exec_type`` are for executions.

    ``before`` and ``after`` are order ids; ``start`` and ``end`` are inclusive, in ns since the epoch, and bound the
    time of an order's placing and of an execution's happening.
    """

    count: int = DEFAULT_COUNT
    before: int | None = None
    after: int | None = None
    perpetual: bool | None = None
    symbol: str | None = None
    start: int | None = None
    end: int | None = None
    order_id: int | None = None
    exec_type: str | None = None


class History:
    """The queries, on a connection of their own that only reads; for the loop's thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_reader(path)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def orders(self, account: str, page: HistoryPage) -> bytes:
        """A page of orders as ``{"history":[...],"hasPrev":...,"hasNext":...}``. Raises ``StoreError``."""
        return self._reply(_ORDERS, _Conditions(_ORDERS, account, page), page)

    def executions(self, account: str, page: HistoryPage) -> bytes:
        """A page of executions, likewise."""
        conditions = _Conditions(_EXECUTIONS, account, page)
        conditions.add("exec_type = ?", page.exec_type)
        if page.order_id is not None:
            # A funding payment carries the id of an order that it has nothing to do with.
            conditions.add("order_id = ?", page.order_id)
            conditions.add("exec_type <> ?", _FUNDING)
        return self._reply(_EXECUTIONS, conditions, page)

    def _reply(self, table: _Table, conditions: "_Conditions", page: HistoryPage) -> bytes:
        try:
            rows, has_prev, has_next = self._page(table, conditions, page)
        except sqlite3.Error as error:
            raise failure(self._path, error) from None
        return b'{"history":[%b],"hasPrev":%b,"hasNext":%b}' % (
            b",".join([row for _, row in rows]),
            b"true" if has_prev else b"false",
            b"true" if has_next else b"false",
        )

    def _page(self, table: _Table, conditions: "_Conditions", page: HistoryPage) -> tuple[list[_Row], bool, bool]:
        after, before = page.after, page.before
        # Only "before" alone starts at the old end: the rows next to the cursor are the ones asked for.
        upwards = before is not None and after is None
        bounded = conditions.plus("order_id < ?", after).plus("order_id > ?", before)
        text = (
            f"SELECT order_id, {table.exec_type}, row {bounded.source(table)}"
            f" ORDER BY {table.order.format('ASC' if upwards else 'DESC')}"
        )
        # Closed at once: an open query keeps the WAL from being begun anew.
        with closing(self._connection.execute(text, bounded.parameters)) as found:
            rows, more = _take(found, page.count, only_funding=page.exec_type == _FUNDING)
        if upwards:
            rows.reverse()
            has_prev = more
        else:
            has_prev = after is not None and self._any(
                table, conditions.plus("order_id > ?", rows[0][0] if rows else after - 1)
            )
        if more and not upwards:
            has_next = True
        else:
            has_next = before is not None and self._any(
                table, conditions.plus("order_id < ?", rows[-1][0] if rows else before + 1)
            )
        return rows, has_prev, has_next

    def _any(self, table: _Table, conditions: "_Conditions") -> bool:
        text = f"SELECT 1 {conditions.source(table)} LIMIT 1"
        return self._connection.execute(text, conditions.parameters).fetchone() is not None


class _Conditions:
    """The conditions of a WHERE clause and their parameters."""

    def __init__(self, table: _Table, account: str, page: HistoryPage) -> None:
        self.terms = ["account = ?"]
        self.parameters: list[str | int] = [account]
        self.add("perpetual = ?", page.perpetual)
        self.add("symbol = ?", page.symbol)
        self.add(f"{table.time} >= ?", page.start)
        self.add(f"{table.time} <= ?", page.end)

    def add(self, term: str, value: str | int | None) -> None:
        """Add a condition on a value, unless it is ``None``."""
        if value is not None:
            self.terms.append(term)
            self.parameters.append(value)

    def plus(self, term: str, value: str | int | None) -> "_Conditions":
        """A copy with one more condition."""
        other = copy.copy(self)
        other.terms, other.parameters = self.terms.copy(), self.parameters.copy()
        other.add(term, value)
        return other

    def source(self, table: _Table) -> str:
        """FROM and WHERE. Without the index's name SQLite may take another way, on which it reads every row whole."""
        return f"FROM {table.name} INDEXED BY {table.name}_by_account WHERE {' AND '.join(self.terms)}"


def _take(found: Iterable[tuple[int, str | None, bytes]], count: int, only_funding: bool) -> tuple[list[_Row], bool]:
    """At least ``count`` rows up to the end of an order, and whether there are more."""
    rows: list[_Row] = []
    current: int | None = None
    may_end = False  # after the rows of the current order id
    for order_id, exec_type, row in found:
        if order_id != current:
            if len(rows) >= count and may_end:
                return rows, True
            current, may_end = order_id, only_funding
        may_end = may_end or exec_type != _FUNDING
        rows.append((order_id, row))
    return rows, False
