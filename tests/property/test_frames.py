"""Determinism as a reader sees it: the same seed and the same commands give the same frames, byte for byte."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tickwire.exchange.commands import (
    AdjustMargin,
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    CreateAccount,
    Deposit,
    OrderType,
    PlaceOrder,
    SetLeverage,
    Side,
    Tick,
    TimeInForce,
)
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.instruments import MONEY_UNIT, Instrument, load_instruments
from tickwire.exchange.projection import Frame, Projector
from tickwire.market.history import backfill
from tickwire.market.simulation import MarketSimulation
from tickwire.wire.intervals import INTERVALS, MINUTE, SECOND
from tickwire.wire.topics import TopicKey, parse_topic

# Twenty seconds before the end of a minute.
START = 1_765_975_860_000_000_000 - 20 * SECOND
SYMBOLS = ("BTCUSDT.PERP", "ETHUSDT.PERP", "BTCUSDT")
TRADER = "trader"
TOPICS = (
    *(f"{kind}.{symbol}" for symbol in SYMBOLS for kind in ("ticker", "orderbook", "orderbook.delta")),
    *(f"kline.{interval}.{symbol}" for symbol in SYMBOLS for interval in INTERVALS),
    "account", "account.margin", "account.balance", "account.position", "account.order", "account.execution",
)  # fmt: skip


def instruments() -> dict[str, Instrument]:
    text = (resources.files("tickwire.exchange") / "instruments.toml").read_text("utf-8")
    return {symbol: found for symbol, found in load_instruments(text).items() if symbol in SYMBOLS}


class Exchange:
    """Engine and projector under one clock; what they are told and what they say is noted."""

    def __init__(self) -> None:
        self.engine = Engine(instruments())
        self.projector = Projector(self.engine)
        self.now = START
        self.commands: list[tuple[int, Command]] = []
        self.frames: list[Frame] = []

    def apply(self, command: Command) -> Events:
        self.commands.append((self.now, command))
        events = self.engine.apply(self.now, command)
        self.frames += self.projector.project(events)
        return events

    def watch_everything(self) -> None:
        for topic in TOPICS:
            key = TopicKey.of(parse_topic(topic), TRADER)
            self.frames.append((key, self.projector.watch(key)))

    def payloads(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for key, payload in self.frames if key.topic.name == topic]

    def digest(self) -> str:
        found = hashlib.sha256(self.engine.dump())
        for key, payload in self.frames:
            found.update(key.topic.name.encode() + payload)
        return found.hexdigest()


def client(exchange: Exchange) -> dict[int, Callable[[], object]]:
    """What a client does, by the second at which it does it."""
    orders: dict[str, int] = {}

    def place(name: str, symbol: str, side: Side, kind: OrderType = OrderType.MARKET, **more: Any) -> None:
        order = exchange.apply(PlaceOrder(TRADER, symbol, side, kind, **more)).order
        assert order is not None, name
        orders[name] = order.id

    def last(symbol: str) -> int:
        price = exchange.engine.markets[symbol].last_price
        assert price is not None
        return price

    btc, eth, spot = SYMBOLS
    limit, stop = OrderType.LIMIT, OrderType.STOP_MARKET
    return {
        2: lambda: exchange.apply(SetLeverage(TRADER, btc, 20, isolated=True)),
        4: lambda: place("long", btc, Side.BUY, quantity=200_000),
        6: lambda: exchange.apply(AmendOrder(TRADER, btc, orders["long"], last(btc) * 11 // 10, last(btc) * 9 // 10)),
        8: lambda: exchange.apply(AdjustMargin(TRADER, btc, 50 * MONEY_UNIT)),
        10: lambda: place("resting", btc, Side.BUY, limit, quantity=100_000, price=last(btc) * 99 // 100),
        12: lambda: place("short", eth, Side.SELL, amount=5_000 * MONEY_UNIT),
        15: lambda: place("stop", eth, Side.BUY, stop, quantity=100_000, trigger_price=last(eth) * 101 // 100),
        21: lambda: exchange.apply(CancelOrder(TRADER, btc, orders["resting"])),
        25: lambda: place("coins", spot, Side.BUY, quantity=50_000),
        30: lambda: place("ioc", btc, Side.SELL, limit, quantity=1_000_000, price=last(btc),
                          time_in_force=TimeInForce.IOC),
        40: lambda: place("out", spot, Side.SELL, quantity=20_000),
        45: lambda: exchange.apply(PlaceOrder(TRADER, btc, Side.BUY, limit, quantity=10**12, price=last(btc))),
        50: lambda: exchange.apply(CancelAll(TRADER)),
    }  # fmt: skip


def run(seed: int, seconds: int) -> Exchange:
    """The simulated market and one client, with every topic watched."""
    exchange = Exchange()
    exchange.apply(CreateAccount(TRADER))
    exchange.apply(Deposit(TRADER, "USDT", 100_000 * MONEY_UNIT))
    for command in backfill(instruments(), seed, START):
        exchange.apply(command)
    simulation = MarketSimulation(instruments(), seed)
    due = simulation.start(exchange.engine, START, exchange.apply)
    exchange.watch_everything()
    acts = client(exchange)
    for second in range(seconds):
        end = START + second * SECOND
        # What is due before it, in the order of time: the market's events and what the projector holds back.
        while True:
            held = exchange.projector.next_due
            next_due = due if held is None else min(due, held)
            if next_due >= end:
                break
            exchange.now = max(exchange.now, next_due)
            if next_due == due:
                due = simulation.step(exchange.now)
            else:
                exchange.apply(Tick())
        exchange.now = end
        exchange.apply(Tick())
        if second in acts:
            acts[second]()
    return exchange


def replay(commands: Sequence[tuple[int, Command]], watch_after: int) -> Exchange:
    """A fresh exchange that is told what another one was told."""
    exchange = Exchange()
    for number, (time, command) in enumerate(commands):
        if number == watch_after:
            exchange.watch_everything()
        exchange.now = time
        exchange.apply(command)
    return exchange


@pytest.fixture(scope="module")
def minute() -> Exchange:
    return run(seed=7, seconds=60)


def test_the_same_seed_and_commands_give_the_same_frames(minute: Exchange) -> None:
    again = run(seed=7, seconds=60)
    assert again.commands == minute.commands
    for number, (frame, other) in enumerate(zip(minute.frames, again.frames, strict=False)):
        assert frame == other, f"frame {number} differs"
    assert len(again.frames) == len(minute.frames)
    assert again.digest() == minute.digest()


def test_another_process_gives_them_too() -> None:
    # The order of a set of texts changes with the process: nothing may rest on it.
    program = "from tests.property.test_frames import run; print(run(seed=7, seconds=22).digest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2", "3")
    }
    assert digests == {run(seed=7, seconds=22).digest() + "\n"}


def test_a_replay_of_the_commands_gives_the_same_frames(minute: Exchange) -> None:
    # Watched from the moment on at which the first one was: the first second's Tick.
    first = next(number for number, (_, command) in enumerate(minute.commands) if isinstance(command, Tick))
    again = replay(minute.commands, first)
    assert again.frames == minute.frames
    assert again.digest() == minute.digest()


def test_another_seed_gives_another_market() -> None:
    assert run(seed=8, seconds=3).digest() != run(seed=9, seconds=3).digest()


def test_what_is_watched_changes_nothing_but_who_is_told(minute: Exchange) -> None:
    # Ticks for what the projector held back are commands too, so the commands are those of the first run.
    unwatched = replay(minute.commands, len(minute.commands))
    assert unwatched.frames == []
    assert unwatched.engine.dump() == minute.engine.dump()


def test_every_topic_had_something_to_say(minute: Exchange) -> None:
    for topic in TOPICS:
        frames = minute.payloads(topic)
        assert frames[0]["data"][0]["actionType"] == "SNAPSHOT"
        assert len(frames) > 3, topic
        times = [int(frame["ts"]) for frame in frames]
        assert times == sorted(times)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_candle_is_pushed_once_more_at_its_close_and_then_the_next_one_opens(minute: Exchange, symbol: str) -> None:
    rows = [frame["data"][0]["rows"][0] for frame in minute.payloads(f"kline.1.{symbol}")]
    starts = [int(row[0]) for row in rows]
    boundary = next(number for number, start in enumerate(starts) if start > starts[0])
    closed, opened = rows[boundary - 1], rows[boundary]
    assert starts[boundary] - starts[0] == MINUTE
    assert starts == sorted(starts)
    # Both at once, the first thing in the new minute.
    frames = minute.payloads(f"kline.1.{symbol}")
    assert frames[boundary - 1]["ts"] == frames[boundary]["ts"] == str(starts[0] + MINUTE)
    assert rows[boundary - 2] == closed
    assert opened[1:] == [closed[4]] * 4 + ["0", "0"]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_deltas_of_a_minute_have_no_gap(minute: Exchange, symbol: str) -> None:
    rows = [frame["data"][0]["rows"][0] for frame in minute.payloads(f"orderbook.delta.{symbol}")]
    assert len(rows) > 100
    assert all(later["prevSeq"] == earlier["seq"] for earlier, later in pairwise(rows))


def test_a_whole_book_comes_at_most_every_20_milliseconds(minute: Exchange) -> None:
    times = [int(frame["ts"]) for frame in minute.payloads("orderbook.BTCUSDT.PERP")]
    assert min(later - earlier for earlier, later in pairwise(times)) >= 20_000_000
