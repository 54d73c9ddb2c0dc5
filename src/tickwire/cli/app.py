"""The application that the commands are registered with, and the entry point of the `tickwire` script.

Commands live in modules of their own beside this one. Heavy imports belong inside a command, so that
`tickwire --help` stays quick.
"""

from cyclopts import App

from tickwire import __version__

__all__ = ["app", "main"]

app = App(
    name="tickwire",
    help="A derivatives exchange's real-time API (stream, REST and the exchange itself) on your own machine.",
    version=__version__,
)


def main() -> None:
    """Run the command named by `sys.argv` and leave with its exit code."""
    app()
