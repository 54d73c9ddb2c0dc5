"""`tickwire verify`: replay a data directory's journal and compare it with what was stored beside it."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

__all__ = ["progress_bar", "verify_app"]

DEFAULT_DATA = Path("tickwire-data")

verify_app = App(
    name="verify",
    help="""Replay the journal of a data directory and compare it with all that was stored beside it.

From the oldest snapshot that is kept, every command is applied again: the state must have the hash of each later
snapshot, the executions must be those of the history, and the sums must add up: wallets, profits and fees are what was
deposited, as many contracts are short as long, no book is crossed. Exit code 0 when all is well, 1 when not.

Nothing is changed. No server may be running on the directory; a copy of it can be verified as well. How far back the
journal goes is set by --journal-retention of tickwire serve.
""",
    help_epilogue="""Examples:

    tickwire verify

    tickwire verify --data /var/lib/tickwire --json
""",
)


def progress_bar(description: str) -> Progress:
    """A bar on stderr; nothing but its end where that is no terminal."""
    return Progress(
        TextColumn(description),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


@verify_app.default
def verify_command(
    *,
    data: Annotated[Path, Parameter(help="Data directory.")] = DEFAULT_DATA,
    as_json: Annotated[bool, Parameter(name="--json", help="Print one JSON object.", negative="")] = False,
) -> None:
    """Verify a data directory."""
    from tickwire.journal.database import StoreError
    from tickwire.service.rules import RulesError
    from tickwire.service.verify import verify

    try:
        with progress_bar("replaying") as bar:
            task = bar.add_task("replay", total=0)
            report = verify(data, lambda done, total: bar.update(task, completed=done, total=total))
    except (StoreError, RulesError) as error:
        print(f"tickwire verify: {error}", file=sys.stderr)
        sys.exit(1)
    if as_json:
        print(json.dumps(msgspec.to_builtins(report) | {"good": report.good}, indent=2))
    else:
        end = datetime.fromtimestamp(int(report.time) / 1e9, UTC).isoformat(timespec="seconds")
        snapshots = ", ".join(f"{s.sequence} {'good' if s.matches else 'WRONG'}" for s in report.snapshots) or "none"
        print(
            f"replayed    {report.replayed_commands:,} commands, sequence {report.replayed_from} to {report.sequence}"
        )
        print(f"state       {report.state_hash or 'none'} at {end}")
        print(f"snapshots   {snapshots}")
        print(f"accounts    {report.accounts} of clients, {report.house_accounts} of the house")
        print(f"open        {report.open_orders:,} orders, {report.positions:,} positions")
        print(
            f"history     {report.order_history:,} orders ({report.orders_compared:,} compared),"
            f" {report.execution_history:,} executions ({report.executions_compared:,} compared)"
        )
        for asset, sums in report.money.items():
            terms = f"wallets {sums['wallets']} + profits {sums['unrealized']} + fees {sums['fees']}"
            print(f"{asset:<11} {terms} = deposits {sums['deposits']}")
        for problem in report.problems:
            print(f"problem     {problem}")
        print(f"{data}: {'good' if report.good else 'NOT good'}")
    sys.exit(0 if report.good else 1)
