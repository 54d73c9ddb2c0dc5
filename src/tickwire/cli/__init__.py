"""The `tickwire` command: reads arguments and prints results; what a command does is elsewhere."""

from tickwire.cli.app import main

__all__ = ["main"]
