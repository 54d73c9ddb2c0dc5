"""Signed orders through REST as fast as the server takes them: requests a second, and its CPU for each.

Some keep-alive connections, each with one request under way at a time, place a LIMIT order far from the market and
then cancel it, or place LIMIT IOC orders that find nobody. Every request is signed and checked, every order and
execution is kept in the journal's history. Rivals: the same requests to an ASGI application that does nothing, behind
the same HTTP server, which is the least that one can cost here.
"""

import contextlib
import gc
import select
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from benchmarks.clients import Address, Credentials, HttpConnection, Reply, request
from benchmarks.order_to_stream import ORDER_PATH, SYMBOL, Orders
from benchmarks.processes import Process, load_on_its_core, running, temporary_directory
from benchmarks.report import Row, percentiles

__all__ = ["flood", "place_and_cancel", "run"]

NAME = "rest_throughput"
CONNECTIONS = 8
GOAL = "2,000 /s"

Next = Callable[[Reply | None], bytes]
"""The request that follows a reply on one connection; the first follows none."""


class Measured(msgspec.Struct):
    """What a run of some seconds brought."""

    requests_a_second: float
    cpu: float  # seconds of the server's CPU a request
    share: float  # of one core
    times: list[float]  # seconds from request to reply


def flood(process: Process, address: Address, make: Callable[[], Next], seconds: float) -> Measured:
    """Keep every connection busy for ``seconds``, after a tenth as long that is not counted."""
    connections = {HttpConnection(address): make() for _ in range(CONNECTIONS)}
    with contextlib.ExitStack() as stack, load_on_its_core():
        for connection in connections:
            stack.callback(connection.close)
        poll = select.epoll(CONNECTIONS)
        stack.callback(poll.close)
        by_number = {connection.fileno(): (connection, following) for connection, following in connections.items()}
        sent = {}
        times: list[float] = []
        gc.collect()
        gc.disable()
        stack.callback(gc.enable)
        for number, (connection, following) in by_number.items():
            poll.register(number, select.EPOLLIN)
            sent[number] = time.perf_counter()
            connection.send(following(None))
        now = time.perf_counter()
        begin, cpu = now + seconds / 10, process.cpu()
        counting = False
        while True:
            for number, _ in poll.poll(5.0):
                connection, following = by_number[number]
                reply = connection.receive()
                if reply is None:
                    continue
                if reply.status != 200:
                    raise RuntimeError(f"expected an accepted request, got {reply.status} {reply.body!r}")
                now = time.perf_counter()
                times.append(now - sent[number])
                sent[number] = now
                connection.send(following(reply))
            if not counting and now >= begin:
                counting, begin, cpu = True, now, process.cpu()
                times.clear()
            elif counting and now >= begin + seconds:
                break
        used, elapsed, count = process.cpu() - cpu, now - begin, len(times)
    return Measured(count / elapsed, used / count, used / elapsed, times)


def place_and_cancel(orders: Orders) -> Next:
    """An order, its cancellation, and so on."""
    placed = False

    def following(reply: Reply | None) -> bytes:
        nonlocal placed
        placed = not placed
        if placed or reply is None:
            return orders.place()
        return orders.cancel(msgspec.json.decode(reply.body)["order"]["orderId"])

    return following


def _rows(case: str, measured: Measured, nothing: Measured | None, goal: str = "") -> list[Row]:
    def row(measure: str, unit: str, figures: dict[str, float], base: dict[str, float] | None, goal: str = "") -> Row:
        if base is None:
            return Row(NAME, case, measure, unit, figures)
        name = next(iter(figures))
        return Row(NAME, case, measure, unit, figures, figures[name] / base[name], "nothing", goal)

    def base(figures: Callable[[Measured], dict[str, float]]) -> dict[str, float] | None:
        return None if nothing is None else figures(nothing)

    def rate(of: Measured) -> dict[str, float]:
        return {"": of.requests_a_second}

    def cpu(of: Measured) -> dict[str, float]:
        return {"": of.cpu * 1e6}

    def latency(of: Measured) -> dict[str, float]:
        return percentiles(of.times, 1e-3)

    return [
        row("requests", "/s", rate(measured), base(rate), goal),
        row("server CPU a request", "us", cpu(measured), base(cpu)),
        row("request to reply", "ms", latency(measured), base(latency)),
    ]


def run(quick: bool) -> list[Row]:
    """10 s a case, quick 0.3 s."""
    seconds = 0.3 if quick else 10.0
    process = Process(["-m", "benchmarks.servers", "nothing"])
    try:
        parts = urlsplit(process.line())
        body = msgspec.json.encode(
            {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.001", "price": "70000"}
        )
        credentials = Credentials("benchmark-key", "secret")

        def constant() -> Next:
            return lambda _: request("POST", ORDER_PATH, body, credentials)

        nothing = flood(process, (parts.hostname or "", parts.port or 0), constant, seconds)
    finally:
        process.stop()
    rows = _rows("application that does nothing", nothing, None)
    flags = ["--no-limits", *(["--symbols", SYMBOL] if quick else [])]
    with temporary_directory() as data, running(data, *flags) as server:
        orders = Orders(server)
        resting = flood(server, server.address, lambda: place_and_cancel(orders), seconds)
        rows += _rows(f"place and cancel, {CONNECTIONS} connections", resting, nothing, GOAL)
        immediate = Orders(server, time_in_force="IOC")
        passing = flood(server, server.address, lambda: lambda _: immediate.place(), seconds)
        rows += _rows(f"immediate or cancel, {CONNECTIONS} connections", passing, nothing, GOAL)
    return rows
