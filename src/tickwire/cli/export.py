"""`tickwire export`: write a data directory's executions, orders, balances and candles for other tools."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.progress import TaskID

from tickwire.cli.verify import DEFAULT_DATA, progress_bar

__all__ = ["export_app"]

export_app = App(
    name="export",
    help="""Write executions, orders, balances and candles of a data directory as files for other tools.

One file a table. Columns have the names of the API; decimals are texts, times nanoseconds since 1970 (in Parquet a
timestamp in UTC). Parquet needs pyarrow: pip install 'tickwire[parquet]'. A server may be running on the directory:
what is written is of one moment.
""",
    help_epilogue="""Examples:

    tickwire export --to csv

    tickwire export --to parquet --out exported --tables executions,candles

    tickwire export --data /var/lib/tickwire --to parquet --json
""",
)


@export_app.default
def export_command(
    *,
    to: Annotated[Literal["parquet", "csv"], Parameter(help="Format of the files.")],
    data: Annotated[Path, Parameter(help="Data directory.")] = DEFAULT_DATA,
    out: Annotated[Path, Parameter(help="Directory for the files; made where there is none.")] = Path(
        "tickwire-export"
    ),
    tables: Annotated[str, Parameter(help="Comma-separated tables to write.")] = "executions,orders,balances,candles",
    as_json: Annotated[bool, Parameter(name="--json", help="Print files and rows as JSON.", negative="")] = False,
) -> None:
    """Export a data directory."""
    from tickwire.exchange.snapshot import SnapshotError
    from tickwire.journal.database import StoreError
    from tickwire.service.export import ExportError, export
    from tickwire.service.rules import RulesError

    wanted = [name.strip() for name in tables.split(",") if name.strip()]
    try:
        with progress_bar("{task.description}") as bar:
            tasks: dict[str, TaskID] = {}

            def progress(table: str, done: int, total: int) -> None:
                if table not in tasks:
                    tasks[table] = bar.add_task(f"{table:<10}", total=total)
                bar.update(tasks[table], completed=done)

            written = export(data, out, to, wanted, progress)
    except (ExportError, StoreError, RulesError, SnapshotError) as error:
        print(f"tickwire export: {error}", file=sys.stderr)
        sys.exit(1)
    if as_json:
        print(json.dumps({str(path): count for path, count in written.items()}))
        return
    for path, count in written.items():
        print(f"{path}: {count:,} rows")
