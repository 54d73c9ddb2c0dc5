"""A child of the benchmark ``engine``: applies what was drawn to a fresh engine and says how long it took.

``python -m benchmarks.replay FILE``; which engine it is, the plain or the compiled one, ``PYTHONPATH`` decides.
"""

import gc
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.flow import SETTINGS, SYMBOL, Timed, default_instruments
from tickwire.exchange import engine as engine_module
from tickwire.exchange.engine import Engine
from tickwire.journal.format import state_hash

__all__ = ["Drawn", "Replayed", "prepared", "replay"]


class Drawn(msgspec.Struct, frozen=True):
    """What is applied; ``opening`` and the first tenth of ``commands`` before the clock starts."""

    opening: list[Timed]
    commands: list[Timed]


class Replayed(msgspec.Struct, frozen=True):
    """``seconds`` of CPU for ``count`` commands, the ``times`` of each (s), and the state's hash after all."""

    compiled: bool
    count: int
    seconds: float
    times: list[float]
    state: str


def prepared(drawn: Drawn) -> tuple[Engine, list[Timed]]:
    """A fresh engine that is warm, and the commands that are left."""
    engine = Engine({SYMBOL: default_instruments()[SYMBOL]}, SETTINGS)
    warm_up = len(drawn.commands) // 10
    for moment, command in (*drawn.opening, *drawn.commands[:warm_up]):
        engine.apply(moment, command)
    gc.collect()
    gc.freeze()  # as the server does
    return engine, drawn.commands[warm_up:]


def replay(drawn: Drawn) -> Replayed:
    """Apply all of it twice: once timed as a whole, once command by command."""
    engine, commands = prepared(drawn)
    apply = engine.apply
    begin = time.process_time()
    for moment, command in commands:
        apply(moment, command)
    seconds = time.process_time() - begin
    again, _ = prepared(drawn)
    times = []
    for moment, command in commands:
        start = time.perf_counter()
        again.apply(moment, command)
        times.append(time.perf_counter() - start)
    compiled = not str(engine_module.__file__).endswith(".py")
    return Replayed(compiled, len(commands), seconds, times, state_hash(engine.dump()))


if __name__ == "__main__":
    data = Path(sys.argv[1]).read_bytes()
    sys.stdout.buffer.write(msgspec.json.encode(replay(msgspec.msgpack.decode(data, type=Drawn))))
