"""What the projector costs a command, by what is watched.

The commands are those of the simulated market with all default instruments, recorded once and replayed for each case:
nothing watched; one account with all its topics; 200 accounts with all their topics, each with a position, so that
every price concerns them; every topic of every market. The rival is the engine alone on the same commands.
"""

import gc
import time

from benchmarks.flow import START, SYMBOL, default_instruments
from benchmarks.idle_server import all_topics
from benchmarks.report import Row, percentiles
from tickwire.exchange.commands import Command, CreateAccount, Deposit, OrderType, PlaceOrder
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.instruments import MONEY_UNIT, Instrument
from tickwire.exchange.projection import Projector
from tickwire.market.history import backfill
from tickwire.market.simulation import MarketSimulation
from tickwire.wire.intervals import SECOND
from tickwire.wire.topics import TopicKey, parse_topic

__all__ = ["run"]

NAME = "projection"
Recording = list[tuple[int, Command]]


def _record(instruments: dict[str, Instrument], accounts: int, seconds: float) -> tuple[Recording, int]:
    """``seconds`` of the market, and how many commands set it up; ``accounts`` clients hold a position in it."""
    engine, commands = Engine(instruments), Recording()
    now = START

    def door(command: Command) -> Events:
        commands.append((now, command))
        return engine.apply(now, command)

    for command in backfill(instruments, 1, now):
        door(command)
    simulation = MarketSimulation(instruments, 1)
    due = simulation.start(engine, now, door)
    for number in range(accounts):
        name = f"client-{number}"
        door(CreateAccount(name))
        door(Deposit(name, "USDT", 100_000 * MONEY_UNIT))
        # Far fewer than would move the price; the makers fill up between two of them.
        door(PlaceOrder(name, SYMBOL, 1 if number % 2 else -1, OrderType.MARKET, quantity=1_000))
        now = due
        due = simulation.step(now)
    prepared = len(commands)
    end = now + int(seconds * SECOND)
    while due < end:
        now = due
        due = simulation.step(now)
    return commands, prepared


def _replay(
    instruments: dict[str, Instrument], recording: Recording, prepared: int, topics: list[str], accounts: int
) -> tuple[float, list[float], int]:
    """Seconds in the engine, seconds in the projector for each command, and the frames it gave."""
    engine = Engine(instruments)
    for at, command in recording[:prepared]:
        engine.apply(at, command)
    projector = Projector(engine)
    for topic in map(parse_topic, topics):
        for number in range(accounts if topic.private else 1):
            projector.watch(TopicKey.of(topic, f"client-{number}"))
    gc.collect()
    gc.freeze()
    applying, projecting, frames = 0.0, list[float](), 0
    clock = time.perf_counter
    for at, command in recording[prepared:]:
        begin = clock()
        events = engine.apply(at, command)
        applied = clock()
        given = projector.project(events)
        projected = clock()
        applying += applied - begin
        projecting.append(projected - applied)
        frames += len(given)
    gc.unfreeze()
    return applying, projecting, frames


def run(quick: bool) -> list[Row]:
    """60 s of the market, quick half a second of one symbol and 5 accounts instead of 200."""
    accounts, seconds = (5, 0.5) if quick else (200, 60.0)
    instruments = default_instruments()
    if quick:
        instruments = {SYMBOL: instruments[SYMBOL]}
    recording, prepared = _record(instruments, accounts, seconds)
    topics = all_topics(list(instruments))
    private = [topic for topic in topics if parse_topic(topic).private]
    market = [topic for topic in topics if not parse_topic(topic).private]
    cases = {
        "nothing watched": ([], 0),
        "one account": (private, 1),
        f"{accounts} accounts": (private, accounts),
        f"all {len(market)} market topics": (market, 0),
    }
    rows = []
    for case, (watched, count) in cases.items():
        applying, projecting, frames = _replay(instruments, recording, prepared, watched, count)
        mean = sum(projecting) / len(projecting)
        rows += [
            Row(
                NAME, case, "a command, mean", "us", {"": mean * 1e6}, sum(projecting) / applying, "the engine alone",
            ),
            Row(NAME, case, "a command", "us", percentiles(projecting, 1e-6)),
            Row(NAME, case, "frames a command", "", {"": frames / len(projecting)}),
        ]  # fmt: skip
    return rows
