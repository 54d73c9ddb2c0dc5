"""The journal alone, and with the engine in front of it.

Alone: commits a second and the time of each, for the three durabilities. A batch is what one order makes: its command,
its row and one execution. One case commits a batch when the last is done, the other hands over 32 a turn of the loop,
as a busy server does. The rival of both is durability none.

With the engine: commands a second of CPU of the flow of the benchmark ``engine``, journalled in batches of 256, each of
which is kept (durability process) before the next one begins. Of house accounts the journal keeps the commands, of
clients' accounts the rows of their orders and executions too. In a process of its own, on the plain core and, where it
has been compiled, on that; the rival is the engine alone on the same flow.
"""

import asyncio
import time

import msgspec
import uvloop

from benchmarks.compiled import ROOT, child, compiled_core
from benchmarks.flow import START, SYMBOL, Flow, draw
from benchmarks.journalled import Journalled
from benchmarks.processes import load_on_its_core, temporary_directory
from benchmarks.replay import Drawn
from benchmarks.report import Row, percentiles
from tickwire.exchange.commands import PlaceOrder
from tickwire.journal.database import Durability
from tickwire.journal.records import Batch, ExecutionRecord, OrderRecord
from tickwire.journal.store import Store

__all__ = ["run"]

NAME = "journal"
GOAL = 60_000  # commands a second with the engine
DURABILITIES: tuple[Durability, ...] = ("none", "process", "power")
AT_ONCE = (1, 32)


class _Batches:
    """Batches like those of real orders."""

    def __init__(self) -> None:
        flow = Flow(house=False)
        self._command: PlaceOrder = flow.limit_order(nearest=1)
        flow.apply(self._command)
        event = flow.engine.events.executions[0]
        encode = msgspec.json.encode
        self._account, self._row, self._execution = event.account, encode(event.order), encode(event.execution)
        self._next = 1

    def make(self) -> Batch:
        """The next one."""
        number = self._next
        self._next += 1
        order = OrderRecord(self._account, number, SYMBOL, True, START, START, self._row)
        execution = ExecutionRecord(self._account, number, number, SYMBOL, True, "NEW", START, self._execution)
        return Batch(number, [(START, self._command)], [order], [execution])


async def _measure(durability: Durability, at_once: int, seconds: float) -> tuple[float, list[float]]:
    """Commits a second, and the seconds that each took."""
    loop = asyncio.get_running_loop()
    batches, times = _Batches(), list[float]()
    with temporary_directory() as directory:
        store = Store.open(directory, durability, loop=loop)
        store.recover()
        begin = time.perf_counter()
        while (now := time.perf_counter()) < begin + seconds:
            turn: asyncio.Future[None] = loop.create_future()
            left = at_once

            def done(error: Exception | None, started: float = now, turn: asyncio.Future[None] = turn) -> None:
                nonlocal left
                times.append(time.perf_counter() - started)
                left -= 1
                if error is not None:
                    turn.set_exception(error)
                elif not left:
                    turn.set_result(None)

            for _ in range(at_once):
                store.commit(batches.make(), done)
            await turn
        elapsed = time.perf_counter() - begin
        store.close()
    return len(times) / elapsed, times


def _alone(quick: bool) -> list[Row]:
    seconds = 0.05 if quick else 5.0
    rows = []
    with load_on_its_core():
        for at_once in AT_ONCE:
            base: tuple[float, float] | None = None
            for durability in DURABILITIES:
                rate, times = uvloop.run(_measure(durability, at_once, seconds))
                figures = percentiles(times, 1e-3)
                case = f"{durability}, {at_once} at once"
                ratios = (None, None) if base is None else (rate / base[0], figures["p50"] / base[1])
                rival = "" if base is None else DURABILITIES[0]
                rows += [
                    Row(NAME, case, "commits", "/s", {"": rate}, ratios[0], rival),
                    Row(NAME, case, "commit to done", "ms", figures, ratios[1], rival),
                ]
                base = base or (rate, figures["p50"])
    return rows


def _with_engine(quick: bool) -> list[Row]:
    rows = []
    cores = [("", ROOT / "src")]
    if not quick and (package := compiled_core()) is not None:
        cores.append((", compiled", package))
    with temporary_directory() as directory:
        for accounts, house in (("house accounts", True), ("clients' accounts", False)):
            file = directory / "flow"
            file.write_bytes(msgspec.msgpack.encode(Drawn(*draw(house, 500 if quick else 50_000))))
            for core, package in cores:
                found = msgspec.json.decode(child("benchmarks.journalled", file, package), type=Journalled)
                rate = found.count / found.together
                case = f"with the engine{core}, {accounts}"
                ratio = found.alone / found.together
                rows.append(
                    Row(NAME, case, "commands", "/s", {"": rate}, ratio, "engine alone", f"{GOAL:,}", rate >= GOAL)
                )
    return rows


def run(quick: bool) -> list[Row]:
    """5 s a case and 50,000 commands; quick 0.05 s, 500, and nothing is compiled for it."""
    return _alone(quick) + _with_engine(quick)
