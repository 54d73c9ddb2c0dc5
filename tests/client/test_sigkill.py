"""A server that is killed and started again fifty times, under a client that must miss nothing."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from tests.contract.support import PATIENCE, PERPETUAL, environment

from tickwire.client import ClientError, RestClient
from tickwire.client.book import OrderBook
from tickwire.client.client import Client
from tickwire.client.connection import ConnectionSettings
from tickwire.client.events import Connected, Event, Gap, Reconnecting
from tickwire.client.policy import BackOff
from tickwire.client.streams import Stream
from tickwire.wire import rows

KILLS = 50
SETTINGS = ConnectionSettings(back_off=BackOff(first=0.02, longest=0.1))


class MortalServer:
    """A real `tickwire serve` on one port and one directory, and its end by SIGKILL."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._directory = directory
        flags = ["--port", str(port), "--data", str(directory), "--no-market", "--no-limits", "--symbols", PERPETUAL]
        script = Path(__file__).with_name("forked.py")
        self._parent = subprocess.Popen(
            [sys.executable, str(script), *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(directory.parent),
        )
        self._child: int | None = None

    def _start(self) -> None:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write("start\n")
        self._parent.stdin.flush()
        for line in self._parent.stdout:  # also the server's own lines
            if line.strip().isdecimal():
                self._child = int(line)
                return

    async def start(self) -> None:
        await asyncio.to_thread(self._start)
        deadline = time.monotonic() + PATIENCE
        async with httpx.AsyncClient(base_url=self.url) as http:
            while True:
                try:
                    (await http.get("/api/v1/public/ping")).raise_for_status()
                    return
                except httpx.TransportError:
                    assert time.monotonic() < deadline, "the server has not come back"
                    await asyncio.sleep(0.01)

    def kill(self) -> None:
        assert self._child is not None
        os.kill(self._child, signal.SIGKILL)
        self._child = None

    def key(self, account: str) -> tuple[str, str]:
        token = json.loads((self._directory / "server.json").read_bytes())["control_token"]
        reply = httpx.post(f"{self.url}/_tickwire/keys", json={"account": account}, headers={"x-tickwire-token": token})
        reply.raise_for_status()
        return reply.json()["key"], reply.json()["secret"]

    def __enter__(self) -> "MortalServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self.kill()
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(PATIENCE)
        self._parent.stdout.close()


async def trade(ours: RestClient, theirs: RestClient, stop: asyncio.Event, done: list[int]) -> None:
    """Orders of all kinds, for as long as the test runs; what fails for want of a server is left alone."""
    chance = random.Random(7)
    while not stop.is_set():
        try:
            price = str(chance.randint(990, 1010))
            await theirs.place_order(PERPETUAL, chance.choice(["BUY", "SELL"]), "0.02", price=price)
            side = chance.choice(["BUY", "SELL"])
            order = await ours.place_order(PERPETUAL, side, "0.01", price=str(chance.randint(990, 1010)))
            done.append(1)
            if chance.random() < 0.5 and order.status in ("NEW", "PARTIALLY_FILLED"):
                await ours.cancel_order(PERPETUAL, order.order_id)
            if len(done) % 20 == 0:
                for open_order in await theirs.open_orders():
                    await theirs.cancel_order(PERPETUAL, open_order.order_id)
        except ClientError:
            await asyncio.sleep(0.01)


async def collect(stream: Stream[Any], into: list[Any]) -> None:
    async for item in stream:
        into.append(item)  # noqa: PERF401


async def eventually(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (it is about many lists)
            await asyncio.sleep(0.01)


async def test_fifty_kills_and_nothing_missed(tmp_path: Path) -> None:
    chance = random.Random(1)
    executions: list[rows.Execution] = []
    orders: list[rows.Order] = []
    positions: list[rows.Position] = []
    balances: list[rows.Balance] = []
    books: list[OrderBook] = []
    events: list[Event] = []
    done: list[int] = []
    stop = asyncio.Event()
    with MortalServer(tmp_path / "data") as server:
        await server.start()
        ours, theirs = server.key("ours"), server.key("theirs")
        async with (
            Client(server.url, *ours, settings=SETTINGS) as client,
            RestClient(server.url, *ours) as our_rest,
            RestClient(server.url, *theirs) as their_rest,
            client.executions() as execution_stream,
            client.orders() as order_stream,
        ):
            streams: list[tuple[Stream[Any], list[Any]]] = [
                (execution_stream, executions),
                (order_stream, orders),
                (client.positions(), positions),
                (client.balances(), balances),
                (client.order_book(PERPETUAL, 50, changes=True), books),
                (client.events(), events),
            ]
            readers = [asyncio.create_task(collect(*stream)) for stream in streams]
            trader = asyncio.create_task(trade(our_rest, their_rest, stop, done))
            for _ in range(KILLS):
                before = len(done)
                await eventually(lambda before=before: len(done) > before and client.connected)
                await asyncio.sleep(chance.random() * 0.15)
                server.kill()
                await server.start()
            before = len(done)
            await eventually(lambda: len(done) > before)
            stop.set()
            await trader
            history = [row async for row in client.rest.iterate_executions()]
            await eventually(lambda: {row.exec_id for row in executions} >= {row.exec_id for row in history})
            rest_orders = {row.order_id: row async for row in client.rest.iterate_orders()}
            rest_positions = await client.rest.positions()
            rest_balances = await client.rest.balances()
            rest_book = await client.rest.order_book(PERPETUAL, 50)
            await eventually(lambda: positions[-1:] == rest_positions[-1:])
            await eventually(lambda: balances[-1:] == rest_balances)
            await eventually(lambda: books and (books[-1].bids, books[-1].asks) == (rest_book.bids, rest_book.asks))
            statuses = {id: row.status for id, row in rest_orders.items()}
            await eventually(lambda: {row.order_id: row.status for row in orders} == statuses)
            counters = client.counters
            for reader in readers:
                assert not reader.done()
                reader.cancel()
    ids = [row.exec_id for row in executions]
    assert len(ids) == len(set(ids)) == len(history)
    times = [int(row.transact_time) for row in executions]
    assert times == sorted(times)
    trades = [row for row in executions if row.exec_type == "TRADE"]
    assert len(trades) > KILLS / 2
    assert sum(isinstance(event, Connected) for event in events) >= KILLS
    assert sum(isinstance(event, Reconnecting) for event in events) >= KILLS
    assert not [event for event in events if isinstance(event, Gap)]
    assert (counters.bad_frames, counters.gaps) == (0, 0)
