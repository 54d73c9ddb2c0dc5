"""``python -m benchmarks [names] [--quick] [--json FILE]``."""

import argparse
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import msgspec

from benchmarks.report import Row, environment, table

__all__ = ["NAMES", "main"]

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
    "fan_out",
)


def main(arguments: list[str]) -> int:
    """Run what is asked for, one after the other, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="benchmarks to run; all without any")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that they work, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    parser.add_argument("--list", action="store_true", help="say what each benchmark measures")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"expected some of {', '.join(NAMES)}, got {', '.join(unknown)}")
    if options.list:
        for name in NAMES:
            print(f"{name}\n    {(_module(name).__doc__ or '').strip().replace(chr(10), chr(10) + '    ')}\n")
        return 0
    load_before = os.getloadavg()[0]
    rows: list[Row] = []
    for name in options.names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += _module(name).run(options.quick)
    where = environment(load_before)
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode({"environment": where, "rows": rows})))
    print(table(rows, where))
    return 0


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.{name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
