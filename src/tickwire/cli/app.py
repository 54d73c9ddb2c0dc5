"""The application that the commands are registered with, and the entry point of the `tickwire` script.

Commands live in modules of their own beside this one and are loaded when they are called, so that `tickwire --help`
stays quick.
"""

import os
import sys

from cyclopts import App

from tickwire import __version__

__all__ = ["app", "main"]

app = App(
    name="tickwire",
    help="A derivatives exchange's real-time API (stream, REST and the exchange itself) on your own machine.",
    help_epilogue="""Examples:

    tickwire serve

    tickwire watch ticker.BTCUSDT.PERP

    tickwire order buy BTCUSDT.PERP 0.01
""",
    version=__version__,
)
for _name, _place, _help in (
    ("serve", "tickwire.cli.serve:serve_app", "Start the exchange: REST, stream and documents on one port."),
    ("watch", "tickwire.cli.watch:watch_app", "Follow topics of the stream in the terminal."),
    ("order", "tickwire.cli.order:order_app", "Place an order."),
    ("cancel", "tickwire.cli.order:cancel_app", "Cancel open orders."),
    ("orders", "tickwire.cli.account:orders_app", "Show the open orders."),
    ("positions", "tickwire.cli.account:positions_app", "Show the positions."),
    ("leverage", "tickwire.cli.account:leverage_app", "Set leverage and kind of margin of a perpetual."),
    ("margin", "tickwire.cli.account:margin_app", "Add margin to an isolated position, or take some out."),
    ("account", "tickwire.cli.account:account_app", "Show the account: its sums, margins and balances."),
    ("history", "tickwire.cli.account:history_app", "Show past orders and executions."),
    ("bench", "tickwire.cli.bench:bench_app", "Load a server with many readers and measure what they get."),
    ("key", "tickwire.cli.keys:key_app", "Create, list and revoke API keys."),
    ("record", "tickwire.cli.record:record_app", "Keep what the stream sends, frame by frame."),
    ("replay", "tickwire.cli.replay:replay_app", "Serve a recording as if it happened now."),
    ("relay", "tickwire.cli.relay:relay_app", "Serve another server's stream to many local readers."),
    ("import", "tickwire.cli.importing:import_app", "Turn public files of other venues into a recording."),
    ("verify", "tickwire.cli.verify:verify_app", "Replay a data directory's journal and compare what was stored."),
    ("export", "tickwire.cli.export:export_app", "Write executions, orders, balances and candles as Parquet or CSV."),
    ("completion", "tickwire.cli.completion:completion_app", "Print or install a script that completes commands."),
    ("config", "tickwire.cli.serve:config_app", "Print every setting with its value and meaning."),
):
    # The line for the list of commands; it would replace what the command that is called has to say for itself.
    app.command(_place, name=_name, help=None if _name in sys.argv[1:2] else _help)


def main() -> None:
    """Run the command named by `sys.argv` and leave with its exit code."""
    try:
        app()
    except ValueError as error:
        from tickwire.service.settings import SettingsError

        if not isinstance(error, SettingsError):
            raise
        print(f"tickwire: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of the pipe has gone, as `head` does: nothing is wrong. Python would complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
