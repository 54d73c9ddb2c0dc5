"""Rows as tables."""

from typing import Any

import pytest
from rich.console import Console

from tickwire.cli.tables import EXECUTIONS, ORDERS, POSITIONS, fields_table, rows_table, show_rows
from tickwire.wire import rows

ID = "01a20eb1-fa71-7000-8000-000000017513"


def order(**fields: Any) -> rows.Order:
    none: dict[str, Any] = dict.fromkeys(rows.Order.__struct_fields__)
    return rows.Order(
        **none | {"order_id": ID, "symbol": "BTCUSDT.PERP", "side": "BUY", "order_type": "LIMIT"} | fields
    )


def text(table: Any, width: int = 120) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_columns_that_are_empty_everywhere_are_left_out() -> None:
    shown = text(rows_table([order(price="1.0"), order(trigger_price="2.0")], ORDERS))
    assert "price" in shown
    assert "trigger" in shown
    assert "stop loss" not in shown


def test_in_a_narrow_terminal_an_order_id_is_wrapped_and_nothing_is_lost() -> None:
    table = rows_table([order(price="74937.1", quantity="0.01", status="NEW")], ORDERS)
    heading, _, *lines = text(table, 80).splitlines()
    assert len(lines) > 1
    assert "BTCUSDT.PERP" in lines[0]
    assert "74937.1" in lines[0]
    assert "".join(line[heading.index("order id") :].strip() for line in lines) == ID


def test_on_the_screen_it_is_cut() -> None:
    table = rows_table([order(price="74937.1", quantity="0.01", status="NEW")], ORDERS, whole_ids=False)
    (row,) = text(table, 80).splitlines()[2:]
    assert "BTCUSDT.PERP" in row
    assert row.rstrip().endswith("…")


def test_where_nobody_looks_nothing_is_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([order(price="74937.1", quantity="0.01", status="NEW", take_profit_price="1" * 30)], ORDERS, "")
    assert len(capsys.readouterr().out.splitlines()) == 3
    show_rows([], ORDERS, "no open orders")
    assert capsys.readouterr().out == "no open orders\n"


def test_a_symbol_without_a_position_shows_its_leverage_alone() -> None:
    none: dict[str, Any] = dict.fromkeys(rows.Position.__struct_fields__)
    position = rows.Position(
        **none | {"symbol": "S", "leverage": 7, "margin_type": "ISOLATED", "position_qty": "0", "unrealized_pnl": "0"}
    )
    heading, _, row = text(rows_table([position], POSITIONS)).splitlines()
    assert (heading.split(), row.split()) == (["symbol", "leverage"], ["S", "7x", "isolated"])


def test_a_profit_is_coloured_by_its_sign() -> None:
    console = Console(width=40, color_system="standard", force_terminal=True)
    with console.capture() as captured:
        console.print(fields_table((("profit", "1.5"), ("profit", "-1.5"), ("profit", "0.00"), ("wallet", "1"))))
    up, down, none, other = captured.get().splitlines()
    assert "\x1b[32m" in up
    assert "\x1b[31m" in down
    assert "\x1b[3" not in none + other


def test_times_are_of_the_local_zone() -> None:
    none: dict[str, Any] = dict.fromkeys(rows.Execution.__struct_fields__)
    execution = rows.Execution(**none | {"exec_id": "x", "transact_time": "1765975842095607088", "symbol": "S"})
    assert "2025-12-1" in text(rows_table([execution], EXECUTIONS))
