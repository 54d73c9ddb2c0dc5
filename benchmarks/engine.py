"""The engine in a process of its own: commands a second of CPU, the time of each, the memory of a resting order.

A mixed flow in one perpetual, seeded: 60 % limit orders within 50 ticks of the middle (some of which trade), 30 %
cancellations, 10 % market orders, every one with its margin check. Once from house accounts, which keep no history, and
once from clients' accounts, of which every execution is noted (its rows are made when the journal asks for them: see
the benchmark ``journal``). Both on plain Python and on the core that mypyc has compiled, where there is a compiler.

Rivals are the matching engines on PyPI that still install, given the same flow, in an environment of their own. They
match and cancel and that is all: no accounts, no margins, no fees, no history. A ratio is of commands a second, and for
the compiled core of its time to that of plain Python.
"""

import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.build import MissingTool
from benchmarks.compiled import ROOT, child, compiled_core
from benchmarks.flow import MIDDLE, START, Flow, Timed, draw
from benchmarks.processes import temporary_directory
from benchmarks.replay import Drawn, Replayed
from benchmarks.report import Row, percentiles
from benchmarks.rivals.install import python_with_engines
from tickwire.exchange.commands import CancelOrder, OrderType, PlaceOrder
from tickwire.wire.intervals import SECOND

__all__ = ["run"]

NAME = "engine"
GOAL = 150_000  # commands a second
RIVALS = ("lightmatchingengine", "pyorderbook", "order-matching")
RIVAL_SECONDS = 5.0  # after which a slow one is stopped
# How far from the middle a market order may go: as the contract's maximum slippage, 0.25 %.
WORST = MIDDLE // 400


def _replayed(file: Path, package: Path) -> Replayed:
    """What a child says that takes tickwire from ``package``."""
    return msgspec.json.decode(child("benchmarks.replay", file, package), type=Replayed)


def _plain(commands: list[Timed]) -> list[list[Any]]:
    """The flow for rivals. An order's id is its number among the orders, as the engine counts them."""
    flow: list[list[Any]] = []
    placed = 0
    for _, command in commands:
        if isinstance(command, CancelOrder):
            flow.append(["cancel", command.order_id])
        elif isinstance(command, PlaceOrder):
            placed += 1
            if command.type == OrderType.MARKET:
                flow.append(["market", placed, command.side, MIDDLE + command.side * WORST, command.quantity])
            else:
                flow.append(["limit", placed, command.side, command.price, command.quantity])
    return flow


def _rivals(flow: bytes) -> dict[str, float]:
    """Their commands a second; of none where they can't be installed."""
    try:
        python = python_with_engines()
    except MissingTool as error:
        print(f"the rivals are left out: {error}", file=sys.stderr)
        return {}
    rates = {}
    program = Path(__file__).with_name("rivals") / "engines.py"
    for name in RIVALS:
        done = subprocess.run(
            [python, program, name, str(RIVAL_SECONDS)], input=flow, stdout=subprocess.PIPE, check=True
        )
        count, took = msgspec.json.decode(done.stdout, type=tuple[int, float])
        rates[name] = count / took
    return rates


def _memory(count: int) -> tuple[float, float]:
    """Bytes of a resting order in memory, and in a snapshot."""
    flow = Flow(house=False)
    commands = [flow.limit_order(nearest=1) for _ in range(count)]
    empty = len(flow.engine.dump())
    flow.open.clear()
    gc.collect()
    tracemalloc.start()
    try:
        for command in commands:
            flow.engine.apply(START + SECOND, command)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return used / count, (len(flow.engine.dump()) - empty) / count


def run(quick: bool) -> list[Row]:
    """100,000 commands a case. Quick 500, and nothing is compiled or installed for it: plain Python alone."""
    count = 500 if quick else 100_000
    package = None if quick else compiled_core()
    rows: list[Row] = []
    rates: dict[str, float] = {}
    drawn: list[Timed] = []
    with temporary_directory() as directory:
        for case, house in (("house accounts", True), ("clients' accounts", False)):
            opening, drawn = draw(house, count)
            file = directory / "flow"
            file.write_bytes(msgspec.msgpack.encode(Drawn(opening, drawn)))
            plain = _replayed(file, ROOT / "src")
            rates[case] = plain.count / plain.seconds
            rows += _rows(case, plain, None)
            if package is not None:
                compiled = _replayed(file, package)
                if compiled.state != plain.state or not compiled.compiled:
                    raise RuntimeError("the compiled core has come to another state than the plain one")
                rows += _rows(f"{case}, compiled", compiled, plain)
    flow = msgspec.json.encode(_plain(drawn))
    for name, rate in ({} if quick else _rivals(flow)).items():
        ratio = rate / rates["house accounts"]
        rows.append(Row(NAME, f"rival {name}", "commands", "/s", {"": rate}, ratio, "tickwire"))
    memory, stored = _memory(count // 5)
    return [
        *rows,
        Row(NAME, "a resting order", "in memory", "bytes", {"": memory}),
        Row(NAME, "a resting order", "in a snapshot", "bytes", {"": stored}, stored / memory, "in memory"),
    ]


def _rows(case: str, found: Replayed, plain: Replayed | None) -> list[Row]:
    figures = percentiles(found.times, 1e-6)
    rate = found.count / found.seconds
    if plain is None:
        return [
            Row(NAME, case, "commands", "/s", {"": rate}, goal=f"{GOAL:,}", met=rate >= GOAL),
            Row(NAME, case, "a command", "us", figures),
        ]
    faster, sooner = rate * plain.seconds / plain.count, figures["p50"] / percentiles(plain.times, 1e-6)["p50"]
    return [
        Row(NAME, case, "commands", "/s", {"": rate}, faster, "plain Python", f"{GOAL:,}", rate >= GOAL),
        Row(NAME, case, "a command", "us", figures, sooner, "plain Python"),
    ]
