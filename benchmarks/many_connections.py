"""10,000 connections: their memory, how fast they are opened with a signature check, and a broadcast to all of them.

Memory is what the server's resident set grows by, for each connection that has been opened and does nothing; what the
kernel keeps for a socket comes on top, for everybody alike. Handshakes are counted from the first connect to the last
upgrade, 128 at a time, and by the server's CPU. A broadcast is one 320-byte frame, until the last reader has it.
Rivals do the same, without a signature.
"""

import statistics
import sys

from benchmarks.build import MissingTool
from benchmarks.load import Load
from benchmarks.publishers import started
from benchmarks.report import Row

__all__ = ["run"]

NAME = "many_connections"
RIVALS = ("websockets", "picows", "node ws")
MEMORY_GOAL = 12.0  # kB
HANDSHAKES_GOAL = 3_000  # a second
BROADCASTS = 5


def _measure(name: str, connections: int) -> dict[str, float]:
    sets = [["ticker.T000.PERP"]]
    with started(name, 1, 320) as publisher:
        # What is imported and allocated with the first ones is not any connection's.
        Load(publisher.port, 10, publisher.requests(sets)).close()
        memory, cpu = publisher.memory(), publisher.cpu()
        load = Load(
            publisher.port, connections, publisher.requests(sets), publisher.messages(sets), ready=publisher.ready(1)
        )
        try:
            opened = load.opened
            cpu = publisher.cpu() - cpu
            memory = publisher.memory() - memory
            load.subscribe()
            lasts = []
            for _ in range(BROADCASTS):
                load.measure()
                published = publisher.publish(1.0, 1, 1.0)
                report = load.settle(published * connections)
                if report.frames != connections:
                    raise RuntimeError(f"{name}: expected {connections} frames, got {report.frames}")
                lasts.append(report.largest / 1e6)
            share = opened.cpu / opened.seconds
        finally:
            load.close()
    return {
        "memory": memory * 1e3 / connections,
        "handshakes": connections / opened.seconds,
        "cpu": cpu / connections * 1e6,
        "share": share,
        "last": statistics.median(lasts),
    }


def run(quick: bool) -> list[Row]:
    """10,000 connections, quick 50."""
    connections = 50 if quick else 10_000
    found: dict[str, dict[str, float]] = {}
    for name in ("tickwire", "websockets") if quick else ("tickwire", *RIVALS):
        try:
            found[name] = _measure(name, connections)
        except MissingTool as error:
            print(f"{NAME}: {name} left out: {error}", file=sys.stderr)
    own = found["tickwire"]
    rows = []
    for name, figures in found.items():
        case = f"{name}, {connections:,} connections"
        for measure, key, unit, goal, met in (
            ("memory an idle connection", "memory", "kB", f"< {MEMORY_GOAL:g} kB", own["memory"] < MEMORY_GOAL),
            (
                "handshakes", "handshakes", "/s", f"> {HANDSHAKES_GOAL:,} /s, signed",
                own["handshakes"] > HANDSHAKES_GOAL,
            ),
            ("server CPU a handshake", "cpu", "us", "", None),
            ("one broadcast, to the last receipt", "last", "ms", "", None),
        ):  # fmt: skip
            rival = "" if name == "tickwire" or not own[key] else "tickwire"
            rows.append(
                Row(
                    NAME, case, measure, unit, {"": max(0.0, figures[key])},
                    max(0.0, figures[key]) / own[key] if rival else None, rival,
                    "" if name != "tickwire" else goal, None if name != "tickwire" or quick else met,
                    f"load generator at {figures['share']:.0%} of its core" if key == "handshakes" else "",
                )
            )  # fmt: skip
    return rows
