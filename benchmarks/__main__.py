"""``python -m benchmarks [names] [--quick] [--json FILE] [--draw DIRECTORY]``; the name ``stream`` stands for six."""

import argparse
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import msgspec

from benchmarks.build import MissingTool
from benchmarks.chart import draw
from benchmarks.curves import CURVES
from benchmarks.report import Row, environment, table

__all__ = ["NAMES", "STREAM", "main"]

NAMES = (
    "order_to_stream",
    "rest_throughput",
    "idle_server",
    "start_up",
    "day",
    "engine",
    "growth",
    "journal",
    "projection",
    "sharing",
    "record",
    "fan_out",
    "many_topics",
    "many_connections",
    "compression",
    "stalled",
    "client",
    "curves",
)
# The stream's figures, and the order's that its readers share: some eight minutes.
STREAM = ("fan_out", "many_topics", "many_connections", "order_to_stream", "compression", "stalled")


def main(arguments: list[str]) -> int:
    """Run what is asked for, one after the other, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="benchmarks to run; all without any")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that they work, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    parser.add_argument("--draw", type=Path, metavar="DIRECTORY", help="draw what `curves` has measured, as SVG")
    parser.add_argument("--list", action="store_true", help="say what each benchmark measures")
    options = parser.parse_args(arguments)
    names = [each for name in options.names for each in (STREAM if name == "stream" else (name,))]
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        parser.error(f"expected some of {', '.join(NAMES)} or stream, got {', '.join(unknown)}")
    if options.list:
        for name in NAMES:
            print(f"{name}\n    {(_module(name).__doc__ or '').strip().replace(chr(10), chr(10) + '    ')}\n")
        return 0
    load_before = os.getloadavg()[0]
    rows: list[Row] = []
    for name in names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            rows += _module(name).run(options.quick)
        except MissingTool as error:
            print(f"{name} left out: {error}", file=sys.stderr)
    where = environment(load_before)
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode({"environment": where, "rows": rows})))
    if options.draw is not None:
        _draw(rows, options.draw)
    print(table(rows, where))
    return 0


def _draw(rows: list[Row], directory: Path) -> None:
    """One file for each of the curves among ``rows``."""
    for curve in CURVES:
        lines: dict[str, list[tuple[float, float]]] = {}
        for row in rows:
            name, _, kind = row.case.partition(": ")
            if row.benchmark == "curves" and kind == curve:
                lines.setdefault(name, []).append((float(row.measure.replace(",", "")), row.figures[""]))
        if lines:
            text = draw(f"Server CPU for each delivery, by {curve}", curve, "microseconds", lines)
            (directory / f"cost-by-{curve.replace(' ', '-')}.svg").write_text(text)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.{name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
