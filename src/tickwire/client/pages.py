"""Histories longer than one reply: which call comes after a page. No I/O; `rest` makes iterators of these."""

from typing import Literal, Protocol, TypeVar

from tickwire.client import calls
from tickwire.client.calls import Call
from tickwire.client.errors import InvalidReply
from tickwire.client.numbers import Time, time_text
from tickwire.client.replies import Candle
from tickwire.wire import rows

__all__ = ["Pages", "iterate_executions", "iterate_klines", "iterate_orders"]

# The most candles of one call, and the default page of a history: its maximum is documented nowhere.
_MAX_CANDLES = 1000
_PAGE = 64

P = TypeVar("P")
R = TypeVar("R")


class Pages(Protocol[P, R]):
    """The state of one walk through a history."""

    call: Call[P] | None
    """What to call next; ``None`` at the end."""

    def take(self, page: P) -> list[R]:
        """The rows of a page that are new; sets ``call``."""


class _Orders:
    def __init__(self, symbol: str | None, product_type: Literal["SPOT", "PERPETUAL"] | None, times: "_Times") -> None:
        self.call: Call[rows.OrderHistory] | None = None
        self._symbol, self._product_type, self._times = symbol, product_type, times
        self._ask(None)

    def _ask(self, after: str | None) -> None:
        self.call = calls.order_history(
            self._symbol,
            product_type=self._product_type,
            count=_PAGE,
            after=after,
            start=self._times.start,
            end=self._times.end,
        )

    def take(self, page: rows.OrderHistory) -> list[rows.OrderHistoryRow]:
        if page.has_next and page.history:
            self._ask(page.history[-1].order_id)
        else:
            self.call = None
        return page.history


class _Times:
    def __init__(self, start: Time | None, end: Time | None) -> None:
        self.start = time_text("start", start)
        self.end = time_text("end", end)


class _Executions:
    def __init__(
        self,
        symbol: str | None,
        order_id: str | None,
        exec_type: rows.ExecType | None,
        product_type: Literal["SPOT", "PERPETUAL"] | None,
        times: _Times,
    ) -> None:
        self.call: Call[rows.ExecutionHistory] | None = None
        self._symbol, self._order_id, self._exec_type, self._product_type = symbol, order_id, exec_type, product_type
        self._times = times
        self._seen: set[str] = set()  # rows of the page before: pages that are cut by time overlap
        self._ask(None)

    def _ask(self, after: str | None) -> None:
        self.call = calls.execution_history(
            self._symbol,
            order_id=self._order_id,
            exec_type=self._exec_type,
            product_type=self._product_type,
            count=_PAGE,
            after=after,
            start=self._times.start,
            end=self._times.end,
        )

    def take(self, page: rows.ExecutionHistory) -> list[rows.Execution]:
        new = [row for row in page.history if row.exec_id not in self._seen]
        cursor = next((row.order_id for row in reversed(page.history) if row.order_id is not None), None)
        if not page.has_next or not new:
            self.call = None
        elif cursor is not None:
            self._ask(cursor)
        else:
            # Funding payments belong to no order, so they have no cursor: what is older is asked for by time, and the
            # payments of that very time come again.
            self._times.end = page.history[-1].transact_time
            self._seen = {row.exec_id for row in page.history}
            self._ask(None)
        return new


class _Candles:
    def __init__(self, symbol: str, interval: str, times: _Times) -> None:
        self._symbol, self._interval, self._end = symbol, interval, times.end
        self.call: Call[list[Candle]] | None = None
        self._ask(times.start)

    def _ask(self, start: str | None) -> None:
        self.call = calls.klines(self._symbol, self._interval, start=start, end=self._end, limit=_MAX_CANDLES)

    def take(self, page: list[Candle]) -> list[Candle]:
        if len(page) < _MAX_CANDLES:
            self.call = None
        else:
            try:
                self._ask(str(int(page[-1].start_time) + 1))
            except ValueError:
                start = page[-1].start_time[:40]
                raise InvalidReply(f"a candle that makes no sense: it starts at {start!r}", 200) from None
        return page


def iterate_orders(
    symbol: str | None = None,
    *,
    product_type: Literal["SPOT", "PERPETUAL"] | None = None,
    start: Time | None = None,
    end: Time | None = None,
) -> Pages[rows.OrderHistory, rows.OrderHistoryRow]:
    """All orders of the account, newest first, fetched page by page. Arguments as of `order_history`."""
    return _Orders(symbol, product_type, _Times(start, end))


def iterate_executions(
    symbol: str | None = None,
    *,
    order_id: str | None = None,
    exec_type: rows.ExecType | None = None,
    product_type: Literal["SPOT", "PERPETUAL"] | None = None,
    start: Time | None = None,
    end: Time | None = None,
) -> Pages[rows.ExecutionHistory, rows.Execution]:
    """All executions and funding payments, newest first, fetched page by page. Arguments as of `execution_history`."""
    return _Executions(symbol, order_id, exec_type, product_type, _Times(start, end))


def iterate_klines(symbol: str, interval: str, *, start: Time, end: Time | None = None) -> Pages[list[Candle], Candle]:
    """All candles from ``start`` on, oldest first, up to ``end`` or to the one that is open now."""
    return _Candles(symbol, interval, _Times(start, end))
