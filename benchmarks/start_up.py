"""From the start of the process until `/_tickwire/health` answers.

The first start makes the market's past; the second finds the snapshot of an orderly stop; the third comes after a
kill and has to replay the commands since the last snapshot. The rival is Python with the same imports and nothing
else.
"""

import signal
import subprocess
import sys
import time

from benchmarks.order_to_stream import SYMBOL, Orders
from benchmarks.processes import Server, temporary_directory
from benchmarks.report import Row
from benchmarks.rest_throughput import flood, place_and_cancel

__all__ = ["run"]

NAME = "start_up"


def _imports() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import tickwire.cli.serve, tickwire.service.server"], check=True)
    return time.perf_counter() - started


def run(quick: bool) -> list[Row]:
    """The replay is of what 3 s of orders and the market bring; quick: of what 0.1 s bring."""
    flags = ["--no-limits", *(["--symbols", SYMBOL] if quick else [])]
    imports = _imports()
    rows = [Row(NAME, "Python with the server's imports", "until it ends", "s", {"": imports})]

    def add(case: str, seconds: float, goal: str = "") -> None:
        rows.append(Row(NAME, case, "until it answers", "s", {"": seconds}, seconds / imports, "the imports", goal))

    with temporary_directory() as data:
        server = Server(data, *flags)
        add("first start", server.start_seconds)
        server.stop()
        server = Server(data, *flags)
        add("after an orderly stop", server.start_seconds, "< 3 s")
        before = server.sequence()
        orders = Orders(server)
        flood(server, server.address, lambda: place_and_cancel(orders), 0.1 if quick else 3.0)
        commands = server.sequence() - before
        server.stop(signal.SIGKILL)
        server = Server(data, *flags)
        add(f"after a kill, with {commands:,} commands to replay", server.start_seconds, "< 3 s")
        server.stop()
    return rows
