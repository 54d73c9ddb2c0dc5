"""A child of the benchmark ``journal``: applies what was drawn to an engine and journals it, and says how long it took.

``python -m benchmarks.journalled FILE``; which engine it is, ``PYTHONPATH`` decides.
"""

import asyncio
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from benchmarks.flow import Timed
from benchmarks.processes import temporary_directory
from benchmarks.replay import Drawn, prepared
from tickwire.journal.records import Batch
from tickwire.journal.store import Store
from tickwire.service.history import record_history

__all__ = ["Journalled"]

AT_ONCE = 256


class Journalled(msgspec.Struct, frozen=True):
    """CPU seconds of ``count`` commands: of the engine ``alone``, and ``together`` with the journal."""

    count: int
    alone: float
    together: float


def _alone(drawn: Drawn) -> float:
    engine, commands = prepared(drawn)
    begin = time.process_time()
    for moment, command in commands:
        engine.apply(moment, command)
    return time.process_time() - begin


async def _together(drawn: Drawn, directory: Path) -> tuple[int, float]:
    engine, commands = prepared(drawn)
    loop = asyncio.get_running_loop()
    store = Store.open(directory, "process", loop=loop)
    store.recover()
    begin = time.process_time()
    first = 1
    for start in range(0, len(commands), AT_ONCE):
        turn: list[Timed] = commands[start : start + AT_ONCE]
        batch = Batch(first, turn, [], [])
        first += len(turn)
        events = []
        for moment, command in turn:
            events += engine.apply(moment, command).executions
        record_history(batch, events)
        kept: asyncio.Future[None] = loop.create_future()

        def done(error: Exception | None, kept: asyncio.Future[None] = kept) -> None:
            if error is None:
                kept.set_result(None)
            else:
                kept.set_exception(error)

        store.commit(batch, done)
        await kept
    took = time.process_time() - begin
    store.close()
    return len(commands), took


def main(file: Path) -> Journalled:
    """Measure both."""
    drawn = msgspec.msgpack.decode(file.read_bytes(), type=Drawn)
    with temporary_directory() as directory:
        count, together = uvloop.run(_together(drawn, directory))
    return Journalled(count, _alone(drawn), together)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main(Path(sys.argv[1]))))
