import csv
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from tests.contract.support import Server, tickwire
from tests.service.exchange import Exchange, traded

from tickwire.exchange import views
from tickwire.journal.database import FILE_NAME, StoreError
from tickwire.service.export import TABLES, ExportError, Format, export
from tickwire.wire.intervals import INTERVALS

DECIMALS = ["open", "high", "low", "close", "volume", "turnover"]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    return traded(tmp_path_factory.mktemp("traded") / "data")


@pytest.fixture(scope="module")
def directory(exchange: Exchange) -> Path:
    return exchange.store._path.parent


def written(directory: Path, out: Path, format: Format, tables: tuple[str, ...] = TABLES) -> dict[str, int]:
    found = export(directory, out, format, list(tables), lambda table, done, total: None)
    assert {path.parent for path in found} <= {out}
    return {path.name: count for path, count in found.items()}


def read(out: Path, name: str, format: str) -> list[dict[str, Any]]:
    if format == "csv":
        with (out / f"{name}.csv").open(newline="") as file:
            return [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]
    table = pyarrow.parquet.read_table(out / f"{name}.parquet")
    for place, field in enumerate(table.schema):
        if pyarrow.types.is_timestamp(field.type):
            assert (field.type.unit, field.type.tz) == ("ns", "UTC")
            table = table.set_column(place, field.name, table.column(place).cast(pyarrow.int64()))
    return [{key: value if value is None else _text(value) for key, value in row.items()} for row in table.to_pylist()]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_the_history_is_what_rest_shows(directory: Path, tmp_path: Path, format: Format) -> None:
    counts = written(directory, tmp_path / "out", format)
    connection = sqlite3.connect(directory / FILE_NAME)
    for name, key in (("executions", "exec_id"), ("orders", "order_id")):
        stored = connection.execute(f"SELECT account, row FROM {name} ORDER BY {key}").fetchall()
        expected = [{"account": account} | json.loads(row) for account, row in stored]
        found = read(tmp_path / "out", name, format)
        assert found == [{key: None if value is None else str(value) for key, value in row.items()} for row in expected]
        assert counts[f"{name}.{format}"] == len(found) > 100
    connection.close()


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_balances_and_candles_are_those_of_the_newest_state(
    exchange: Exchange, directory: Path, tmp_path: Path, format: Format
) -> None:
    written(directory, tmp_path, format)
    balances = read(tmp_path, "balances", format)
    for name, account in exchange.engine.accounts.items():
        rows = [row for row in balances if row["account"] == name]
        assert [row["balance"] for row in rows] == [view.balance for view in views.balances(exchange.engine, name)]
        assert {row["house"] for row in rows} <= {str(account.house).lower()}
    assert {row["account"] for row in balances} == set(exchange.engine.accounts)

    candles = read(tmp_path, "candles", format)
    for symbol in exchange.engine.markets:
        for interval in INTERVALS:
            rows = [row for row in candles if (row["symbol"], row["interval"]) == (symbol, interval)]
            shown = views.klines(exchange.engine, symbol, interval, None, None, 1000)
            assert [[row["startTime"], *[row[name] for name in DECIMALS]] for row in rows] == [list(k) for k in shown]
            assert [row["closed"] for row in rows] == ["true"] * (len(rows) - 1) + ["false"]


def test_parquet_columns_have_types(directory: Path, tmp_path: Path) -> None:
    written(directory, tmp_path, "parquet")
    types = {field.name: str(field.type) for field in pyarrow.parquet.read_schema(tmp_path / "orders.parquet")}
    assert types["orderTime"] == types["transactTime"] == "timestamp[ns, tz=UTC]"
    assert types["initLeverage"] == "int64"
    assert {types[name] for name in ("account", "orderId", "quantity", "avgPrice", "status")} == {"string"}
    types = {field.name: str(field.type) for field in pyarrow.parquet.read_schema(tmp_path / "candles.parquet")}
    assert (types["startTime"], types["close"], types["closed"]) == ("timestamp[ns, tz=UTC]", "string", "bool")


def test_only_the_tables_that_are_wanted(directory: Path, tmp_path: Path) -> None:
    assert list(written(directory, tmp_path, "csv", ("candles",))) == ["candles.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["candles.csv"]


def test_what_it_can_not_write_is_said(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"--tables: expected some of executions, .*, got trades"):
        written(directory, tmp_path, "csv", ("executions", "trades"))
    with pytest.raises(ExportError, match=r"--tables: expected some of executions, .*, got none"):
        written(directory, tmp_path, "csv", ())
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="file: can't be written: File exists"):
        written(directory, tmp_path / "file", "csv")
    with pytest.raises(StoreError, match="expected a data directory, got no such file"):
        written(tmp_path, tmp_path / "out", "csv")


def test_without_pyarrow_it_says_how_to_install_it_and_csv_works(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # what import finds is an ImportError
    with pytest.raises(ExportError, match=r"-m pip install 'tickwire\[parquet\]' .*, or use --to csv"):
        written(directory, tmp_path, "parquet")
    assert written(directory, tmp_path, "csv")["executions.csv"] > 0


def test_what_can_not_be_read_leaves_no_file(tmp_path: Path) -> None:
    traded(tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / FILE_NAME) as connection:
        connection.execute("UPDATE journal SET commands = x'00'")
    connection.close()
    with pytest.raises(StoreError, match="damaged"):
        written(tmp_path / "data", tmp_path / "out", "csv", ("balances",))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_server_may_be_running(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--symbols", "BTCUSDT.PERP,BTCUSDT", "--no-limits") as server:
        account = server.account()
        orders = [account.buy("0.001") for _ in range(5)]
        done = tickwire(
            "export", "--data", str(tmp_path / "data"), "--to", "csv", "--out", str(tmp_path / "out"), "--json",
            home=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        counts = json.loads(done.stdout)
        assert counts[str(tmp_path / "out" / "orders.csv")] == 5
        found = read(tmp_path / "out", "orders", "csv")
        assert [row["orderId"] for row in found] == [order["orderId"] for order in orders]
        # The server has not noticed.
        assert account.buy("0.001")["status"] == "FILLED"


def test_the_command_lists_its_files(directory: Path, tmp_path: Path) -> None:
    arguments = ("--data", str(directory), "--tables", "executions,candles", "--out", "out", "--to", "parquet")
    done = tickwire("export", *arguments, home=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "out/executions.parquet",
        "out/candles.parquet",
    ]
    assert "candles" in done.stderr  # the progress
    done = tickwire("export", "--data", str(tmp_path), "--to", "csv", home=tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("tickwire export: ")
