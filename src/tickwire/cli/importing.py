"""`tickwire import`: turn public files of other venues into a recording."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from tickwire.cli.verify import progress_bar
from tickwire.wire.intervals import INTERVALS
from tickwire.wire.topics import TopicError, parse_topic

__all__ = ["import_app"]

import_app = App(
    name="import",
    help="""Turn public trade and book files of other venues into a recording that tickwire replay serves.

tardis-csv takes trades, incremental_book_L2, book_snapshot_5 and _25 and derivative_ticker of tardis.dev; binance-csv
takes trades, aggTrades, klines, bookTicker and bookDepth of Binance's public data. Files may be plain, .gz or .zip.
Several of one symbol are merged by time. Trades become candles and the ticker's last price, quotes and books its best
prices, books orderbook or orderbook.delta. Needs pyarrow: pip install 'tickwire[parquet]'.
""",
    help_epilogue="""Examples:

    tickwire import --format tardis-csv trades.csv.gz book.csv.gz --to history --symbol BTCUSDT.PERP

    tickwire import --format binance-csv BTCUSDT-aggTrades-2024-01-01.zip --to history --symbol BTCUSDT.PERP

    tickwire import --format binance-csv BTCUSDT-1m-2024-01.zip --to history --symbol BTCUSDT --skip-bad

    tickwire replay history --speed 60
""",
)


@import_app.default
def import_command(
    *files: Path,
    format: Annotated[Literal["tardis-csv", "binance-csv"], Parameter(help="Where the files come from.")],
    to: Annotated[Path, Parameter(help="Directory of the recording; made where there is none.")],
    symbol: Annotated[str, Parameter(help="Symbol that the files are replayed as, such as BTCUSDT.PERP.")],
    intervals: Annotated[str, Parameter(help="Comma-separated intervals of candles.")] = "1,5,15,60,1D",
    skip_bad: Annotated[
        bool, Parameter(help="Pass over rows that can't be used, and count them.", negative="")
    ] = False,
    as_json: Annotated[bool, Parameter(name="--json", help="Print the result as JSON.", negative="")] = False,
) -> None:
    """Import files."""
    from tickwire.record.format import RecordingError
    from tickwire.record.import_events import BadFile
    from tickwire.record.importer import import_files

    try:
        if not files:
            raise ValueError("expected a file, such as: tickwire import --format tardis-csv trades.csv.gz ...")
        try:
            parse_topic(f"ticker.{symbol}")
        except TopicError as error:
            raise ValueError(f"--symbol: {error}") from None
        wanted = [name.strip() for name in intervals.split(",") if name.strip()]
        unknown = [name for name in wanted if name not in INTERVALS]
        if unknown or not wanted:
            raise ValueError(
                f"--intervals: expected some of {', '.join(INTERVALS)}, got {', '.join(unknown) or 'none'}"
            )
        size = sum(path.stat().st_size for path in files if path.exists())
        with progress_bar("import") as bar:
            task = bar.add_task("import", total=size)
            imported = import_files(
                format, files, to, symbol, intervals=wanted, skip_bad=skip_bad,
                progress=lambda done: bar.update(task, completed=done),
            )  # fmt: skip
    except (BadFile, RecordingError, ValueError) as error:
        print(f"tickwire import: {error}", file=sys.stderr)
        sys.exit(1)
    skipped = sum(imported.skipped.values())
    if as_json:
        result = {"events": imported.rows, "frames": imported.frames, "skipped": imported.skipped}
        print(json.dumps({"directory": str(to), **result}))
        return
    print(f"{to}: {imported.frames:,} frames of {imported.rows:,} events")
    for text in imported.first_skipped.values():
        print(f"skipped, the first: {text}", file=sys.stderr)
    if skipped:
        print(f"skipped {skipped:,} rows that can't be used", file=sys.stderr)
