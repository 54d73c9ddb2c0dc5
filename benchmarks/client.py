"""The Python client: frames that a second of CPU time reads from a socket, into typed tickers and into a book.

A process on the other core sends frames made before as fast as they are taken: tickers, most of them partial, and the
changes of a book of 100 levels a side. Ours gives each ticker whole and typed, and keeps the book in integers and
checks its numbering; rivals read the same frames into dicts: the `websockets` client and picows with `json.loads` and a
merged dict or sorted floats, and `websockets` in the manner of ccxt, with its unified ticker and its book.

Each is a process of its own on one core; the median of the rounds counts.
"""

import statistics
import sys

from benchmarks.build import MissingTool
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process
from benchmarks.report import Row
from benchmarks.rivals.install import python_with_rivals

__all__ = ["run"]

NAME = "client"
PLAIN = "websockets, json.loads"
GOALS = {"ticker": 300_000, "book": 150_000}
TIMES_THE_PLAIN = 3.0
MEASURES = {"ticker": "ticker frames into typed rows", "book": "changes into a book of 100 levels"}


def _seconds(name: str, kind: str, port: int, count: int) -> float:
    if name == "picows, json.loads":
        program = python_with_rivals()
        reader = Process(
            ["-m", "benchmarks.rivals.picows_client", kind, str(port), str(count)], program=program, core=LOAD_CORE
        )
    else:
        short = {PLAIN: "websockets", "in the manner of ccxt": "ccxt"}.get(name, name)
        arguments = ["-m", "benchmarks.client_readers", short, kind, str(port), str(count)]
        reader = Process(arguments, core=LOAD_CORE)
    try:
        return float(reader.line())
    finally:
        reader.stop()


def _rates(names: list[str], kind: str, count: int, rounds: int) -> dict[str, float]:
    """Frames a CPU second by name; what can't be had is left out, and says why on standard error."""
    feed = Process(["-m", "benchmarks.client_feed", kind, str(count)], core=SERVER_CORE)
    found: dict[str, list[float]] = {name: [] for name in names}
    try:
        port = int(feed.line())
        for _ in range(rounds):
            for name in list(found):
                try:
                    found[name].append((count - 1) / _seconds(name, kind, port, count))
                except MissingTool as error:
                    print(f"{NAME}: {name} left out: {error}", file=sys.stderr)
                    del found[name]
    finally:
        feed.stop()
    return {name: statistics.median(rates) for name, rates in found.items()}


def run(quick: bool) -> list[Row]:
    """Three rounds of 200,000 frames; quick one of 2,000 and without picows."""
    count, rounds = (2_000, 1) if quick else (200_000, 3)
    names = ["tickwire", PLAIN, "in the manner of ccxt"] + ([] if quick else ["picows, json.loads"])
    rows = []
    for kind, measure in MEASURES.items():
        rates = _rates(names, kind, count, rounds)
        for name, rate in rates.items():
            goal, met = "", None
            if name == "tickwire":
                goal = f">= {GOALS[kind]:,}, and {TIMES_THE_PLAIN:g} x the plain client"
                met = rate >= GOALS[kind] and rate >= TIMES_THE_PLAIN * rates[PLAIN]
            rival = "" if name == PLAIN else PLAIN
            ratio = None if name == PLAIN else rate / rates[PLAIN]
            rows.append(Row(NAME, f"{name}, {kind}", measure, "a CPU second", {"": rate}, ratio, rival, goal, met))
    return rows
