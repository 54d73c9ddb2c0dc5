"""Rows of the API as tables for people. Numbers are shown as the server sent them, to the last digit."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tickwire.client.numbers import moment

__all__ = [
    "BALANCES",
    "EXECUTIONS",
    "MARGINS",
    "ORDERS",
    "PAST_ORDERS",
    "POSITIONS",
    "Column",
    "account_fields",
    "fields_table",
    "rows_table",
    "show_fields",
    "show_rows",
]

# Where nobody looks, as in a file or a pipe, nothing is cut or wrapped.
_WIDE = 250


class Column(NamedTuple):
    """One column: its title, where its text is from, and how it is coloured."""

    title: str
    text: Callable[[Any], str | None]
    style: Callable[[str], str] = lambda _: ""
    justify: Any = "right"


def _side(text: str) -> str:
    return {"BUY": "green", "LONG": "green", "SELL": "red", "SHORT": "red"}.get(text, "")


def _profit(text: str) -> str:
    return "red" if text.startswith("-") else "green" if text.strip("0.") else ""


def _faint(_: str) -> str:
    return "dim"


def _time(text: str) -> str:
    when = moment(text)
    return "" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _left(title: str, text: Callable[[Any], str | None], style: Callable[[str], str] = lambda _: "") -> Column:
    return Column(title, text, style, "left")


_ORDER = (
    _left("symbol", lambda row: row.symbol),
    _left("side", lambda row: row.side, _side),
    _left("type", lambda row: row.order_type),
    Column("quantity", lambda row: row.quantity),
    Column("amount", lambda row: row.amount),
    Column("price", lambda row: row.price),
    Column("trigger", lambda row: row.trigger_price),
)
_EXITS = (
    Column("take profit", lambda row: row.take_profit_price),
    Column("stop loss", lambda row: row.stop_loss_price),
)
_ID = _left("order id", lambda row: row.order_id, _faint)

ORDERS = (
    *_ORDER,
    Column("left", lambda row: row.leaves_qty),
    _left("status", lambda row: row.status),
    _left("in force", lambda row: row.time_in_force),
    *_EXITS,
    _ID,
)
PAST_ORDERS = (
    _left("placed", lambda row: _time(row.order_time)),
    *_ORDER,
    Column("filled", lambda row: row.cum_qty),
    Column("average", lambda row: row.avg_price),
    Column("fee", lambda row: row.cum_fee),
    _left("status", lambda row: row.status),
    _left("reason", lambda row: row.order_cancel_reason or row.order_reject_reason),
    *_EXITS,
    _ID,
)
EXECUTIONS = (
    _left("time", lambda row: _time(row.transact_time)),
    _left("what", lambda row: row.exec_type),
    _left("symbol", lambda row: row.symbol),
    _left("side", lambda row: row.side, _side),
    Column("quantity", lambda row: row.last_qty),
    Column("price", lambda row: row.last_price),
    Column("fee", lambda row: row.exec_fee),
    Column("filled", lambda row: row.cum_qty),
    Column("average", lambda row: row.avg_price),
    _left("status", lambda row: row.status),
    _ID,
)
POSITIONS = (
    _left("symbol", lambda row: row.symbol),
    _left("side", lambda row: row.position_side, _side),
    Column("quantity", lambda row: row.position_qty if row.position_side else None),
    Column("entry", lambda row: row.entry_price),
    Column("mark", lambda row: row.mark_price),
    Column("profit", lambda row: row.unrealized_pnl if row.position_side else None, _profit),
    Column("break-even", lambda row: row.break_even_price),
    Column("liquidation", lambda row: row.liquidation_price, lambda _: "yellow"),
    Column("margin", lambda row: row.initial_margin if row.position_side else None),
    Column("leverage", lambda row: f"{row.leverage}x {row.margin_type.lower()}"),
)
MARGINS = (
    _left("currency", lambda row: row.currency),
    Column("balance", lambda row: row.margin_balance),
    Column("profit", lambda row: row.unrealized_pnl, _profit),
    Column("cross free", lambda row: row.cross_margin_available),
    Column("cross positions", lambda row: row.init_position_margin),
    Column("cross orders", lambda row: row.init_margin_reserved),
    Column("isolated free", lambda row: row.isolated_margin_available),
    Column("isolated positions", lambda row: row.reserved_for_isolated_margin_position),
    Column("isolated orders", lambda row: row.reserved_for_isolated_margin),
    Column("margin ratio", lambda row: row.cross_margin_ratio),
)
BALANCES = (
    _left("asset", lambda row: row.asset),
    Column("balance", lambda row: row.balance),
    Column("available", lambda row: row.available_balance),
    Column("withdrawable", lambda row: row.max_withdrawable_amount),
)


def _console() -> Console:
    # highlight: rich would colour numbers by a taste of its own.
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def show_rows(rows: Iterable[Any], columns: Sequence[Column], nothing: str) -> None:
    """Print a table; a column that is empty in every row is left out. ``nothing`` is said when there is no row."""
    rows = list(rows)
    if rows:
        _console().print(rows_table(rows, columns))
    else:
        print(nothing)


def rows_table(rows: Sequence[Any], columns: Sequence[Column], *, whole_ids: bool = True) -> Table:
    """The table of some rows, without the columns that are empty in all of them.

    Where the place is too narrow, order ids give way first: they are wrapped, or cut when they need not be whole.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    cells = [[column.text(row) or "" for column in columns] for row in rows]
    shown = [index for index in range(len(columns)) if any(line[index] for line in cells)]
    for index in shown:
        table.add_column(
            columns[index].title,
            justify=columns[index].justify,
            no_wrap=columns[index] is not _ID,
            overflow="fold" if whole_ids else "ellipsis",
        )
    for line in cells:
        table.add_row(*[Text(line[index], style=columns[index].style(line[index])) for index in shown])
    return table


def show_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one a line; profits are coloured."""
    _console().print(fields_table(fields))


def fields_table(fields: Iterable[tuple[str, str]]) -> Table:
    """The table of names and values."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in fields:
        table.add_row(name, Text(value, style=_profit(value) if "profit" in name else ""))
    return table


def account_fields(sums: Any) -> tuple[tuple[str, str], ...]:
    """An ``AccountInfo`` in words."""
    return (
        ("wallet", sums.total_wallet_balance),
        ("floating profit", sums.total_unrealized_pnl),
        ("margin balance", sums.total_margin_balance),
        ("held by positions and orders", sums.total_margin_reserved),
        ("available", sums.available_balance),
    )
