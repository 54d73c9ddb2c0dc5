"""`tickwire export`: executions, orders, balances and candles as files for other tools.

All of it is of one moment, also while a server runs on the directory. Decimals are texts, as on the wire, so that no
reader rounds them; times are nanoseconds since the epoch.
"""

import csv
import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from tickwire.exchange import views
from tickwire.exchange.engine import Engine
from tickwire.exchange.order_rows import money_text
from tickwire.journal.archive import Archive
from tickwire.service.replay import Replay
from tickwire.service.rules import Rules
from tickwire.service.settings import Settings
from tickwire.wire import rows
from tickwire.wire.intervals import INTERVALS

__all__ = ["TABLES", "ExportError", "Format", "export"]

Format = Literal["parquet", "csv"]
TABLES = ("executions", "orders", "balances", "candles")
# Called with a table's name, how many of its rows are written, and how many it has.
Progress = Callable[[str, int, int], None]
Kind = Literal["text", "integer", "time", "flag"]

# Rows that are in memory at a time, and a row group of a Parquet file.
_CHUNK = 50_000

_log = logging.getLogger("tickwire")


class ExportError(Exception):
    """The files can't be written; the message says why."""


class Column(msgspec.Struct, frozen=True):
    """A column; where the value comes from a row of the contract, the name is that of the wire."""

    name: str
    kind: Kind


class Table(msgspec.Struct, frozen=True):
    """A table with its rows, which are made as they are read."""

    name: str
    columns: list[Column]
    count: int
    rows: Iterator[tuple[Any, ...]]


class _Writer(Protocol):
    def write(self, chunk: list[tuple[Any, ...]]) -> None: ...

    def close(self) -> None: ...


def export(directory: Path, out: Path, format: Format, tables: list[str], progress: Progress) -> dict[Path, int]:
    """Write the tables into ``out``, one file each; the files with their numbers of rows.

    Raises ``ExportError``, ``StoreError`` when the journal can't be read, ``RulesError`` and ``SnapshotError``.
    """
    unknown = [name for name in tables if name not in TABLES]
    if unknown or not tables:
        raise ExportError(f"--tables: expected some of {', '.join(TABLES)}, got {', '.join(unknown) or 'none'}")
    make = _parquet_writer() if format == "parquet" else _CsvWriter
    written = {}
    try:
        out.mkdir(parents=True, exist_ok=True)
        with Archive(directory) as archive:
            for table in _tables(archive, tables):
                path = out / f"{table.name}.{format}"
                # Under another name until it is complete: a file that is there is a whole one.
                aside = path.with_name(f".{path.name}.partial")
                try:
                    written[path] = _write(table, make(aside, table.columns), progress)
                    aside.replace(path)
                finally:
                    aside.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"{error.filename or out}: can't be written: {error.strerror}") from None
    return written


def _write(table: Table, writer: _Writer, progress: Progress) -> int:
    done = 0
    try:
        while chunk := list(islice(table.rows, _CHUNK)):
            writer.write(chunk)
            done += len(chunk)
            progress(table.name, done, table.count)
    finally:
        writer.close()
    return done


def _tables(archive: Archive, wanted: list[str]) -> Iterator[Table]:
    if "executions" in wanted:
        records = ((record.account, record.row) for record in archive.executions())
        yield _history("executions", rows.Execution, archive.execution_count(), records)
    if "orders" in wanted:
        records = ((record.account, record.row) for record in archive.orders())
        yield _history("orders", rows.OrderHistoryRow, archive.order_count(), records)
    if "balances" in wanted or "candles" in wanted:
        engine = _engine(archive)
        if "balances" in wanted:
            found = list(_balances(engine))
            yield Table("balances", _BALANCE_COLUMNS, len(found), iter(found))
        if "candles" in wanted:
            count = sum(
                len(market.candles.series[interval]) + (market.candles.minute is not None)
                for market in engine.markets.values()
                for interval in INTERVALS
            )
            yield Table("candles", _CANDLE_COLUMNS, count, _candles(engine))


def _engine(archive: Archive) -> Engine:
    """The newest state."""
    recovery = archive.recover(_log.warning)
    replay = Replay(recovery, Rules.of(Settings()))
    for batch in recovery.batches:
        replay.run(batch)
    return replay.engine


def _history(name: str, row: type[rows.Row], count: int, records: Iterator[tuple[str, bytes]]) -> Table:
    """The stored rows of the contract, each behind its account."""
    decode = msgspec.json.Decoder(row).decode
    columns = [Column("account", "text")]
    for field in msgspec.structs.fields(row):
        kind: Kind = "text"
        if field.encode_name.endswith("Time"):
            kind = "time"
        elif field.encode_name == "initLeverage":
            kind = "integer"
        columns.append(Column(field.encode_name, kind))
    times = [place for place, column in enumerate(columns) if column.kind == "time"]

    def values() -> Iterator[tuple[Any, ...]]:
        for account, data in records:
            found = [account, *msgspec.structs.astuple(decode(data))]
            for place in times:
                if found[place] is not None:
                    found[place] = int(found[place])
            yield tuple(found)

    return Table(name, columns, count, values())


_BALANCE_COLUMNS = [
    Column("account", "text"),
    Column("house", "flag"),
    *(Column(field.encode_name, "text") for field in msgspec.structs.fields(rows.Balance)),
]
_CANDLE_COLUMNS = [
    Column("symbol", "text"),
    Column("interval", "text"),
    Column("startTime", "time"),
    *(Column(name, "text") for name in ("open", "high", "low", "close", "volume", "turnover")),
    Column("closed", "flag"),
]


def _balances(engine: Engine) -> Iterator[tuple[Any, ...]]:
    for name, account in engine.accounts.items():
        for balance in views.balances(engine, name):
            yield (name, account.house, *msgspec.structs.astuple(balance))


def _candles(engine: Engine) -> Iterator[tuple[Any, ...]]:
    for symbol, market in engine.markets.items():
        price, quantity = market.instrument.price_text, market.instrument.quantity_text
        for interval in INTERVALS:
            closed = len(market.candles.series[interval])
            for place, candle in enumerate(market.candles.between(interval, None, None, closed + 1)):
                yield (
                    symbol, interval, candle.start, price(candle.open), price(candle.high), price(candle.low),
                    price(candle.close), quantity(candle.volume), money_text(candle.turnover), place < closed,
                )  # fmt: skip


class _CsvWriter:
    """Comma-separated, with a header; nothing for null, ``true`` and ``false`` for flags."""

    def __init__(self, path: Path, columns: list[Column]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow([column.name for column in columns])
        self._flags = [place for place, column in enumerate(columns) if column.kind == "flag"]

    def write(self, chunk: list[tuple[Any, ...]]) -> None:
        if not self._flags:
            self._writer.writerows(chunk)
            return
        for row in chunk:
            values = list(row)
            for place in self._flags:
                values[place] = "true" if values[place] else "false"
            self._writer.writerow(values)

    def close(self) -> None:
        self._file.close()


def _parquet_writer() -> Callable[[Path, list[Column]], _Writer]:
    """What makes a writer of Parquet files. Raises ``ExportError`` where pyarrow is not installed."""
    try:
        # Not by import statements: what the types are must not depend on whether it is installed.
        pyarrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ExportError(
            f"Parquet needs pyarrow, which is not installed: {sys.executable} -m pip install 'tickwire[parquet]'"
            " (or pyarrow alone), or use --to csv"
        ) from None
    types = {
        "text": pyarrow.string(),
        "integer": pyarrow.int64(),
        "time": pyarrow.timestamp("ns", tz="UTC"),
        "flag": pyarrow.bool_(),
    }

    class ParquetWriter:
        def __init__(self, path: Path, columns: list[Column]) -> None:
            self._schema = pyarrow.schema([(column.name, types[column.kind]) for column in columns])
            self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

        def write(self, chunk: list[tuple[Any, ...]]) -> None:
            arrays = [
                pyarrow.array(values, field.type)
                for values, field in zip(zip(*chunk, strict=True), self._schema, strict=True)
            ]
            self._writer.write_table(pyarrow.table(arrays, schema=self._schema))

        def close(self) -> None:
            self._writer.close()

    return ParquetWriter
