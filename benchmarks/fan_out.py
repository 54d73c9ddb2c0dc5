"""Ticker frames of some 320 bytes to many readers: the server's CPU for each delivery.

The stream's own transport, hub and outboxes run behind uvicorn with a feed that publishes one topic; every reader is
an open socket that has subscribed to it. In one case a frame comes alone, 20 times a second; in the other 20 frames
come in one turn of the loop, as they do under load. The rival is `websockets` with its `broadcast`, without
compression, for the same frames and the same readers.
"""

import contextlib
import gc
import select
import time
from urllib.parse import urlsplit

from benchmarks.clients import Credentials, StreamConnection
from benchmarks.processes import Process, allow_many_files, load_on_its_core
from benchmarks.report import Row
from benchmarks.servers import KEY, SECRET, TOPIC, TURNS_A_SECOND

__all__ = ["run"]

NAME = "fan_out"
RIVAL = "websockets broadcast"


def _measure(server: str, frames: int, readers: int, seconds: float) -> tuple[float, float]:
    """CPU seconds a delivery, and deliveries a second."""
    process = Process(["-m", "benchmarks.servers", server, str(frames)])
    with contextlib.ExitStack() as stack:
        stack.callback(process.stop)
        parts = urlsplit(process.line())
        address, credentials = (parts.hostname or "", parts.port or 0), Credentials(KEY, SECRET)
        stack.enter_context(load_on_its_core())
        poll = select.epoll(readers)
        stack.callback(poll.close)
        by_number: dict[int, StreamConnection] = {}
        for _ in range(readers):
            connection = StreamConnection(address, credentials)
            stack.callback(connection.close)
            connection.subscribe(TOPIC)
            by_number[connection.fileno()] = connection
            poll.register(connection, select.EPOLLIN)
        gc.collect()
        gc.disable()
        stack.callback(gc.enable)
        begin, cpu, deliveries = time.perf_counter() + seconds / 10, 0.0, 0
        counting = False
        while True:
            for number, _ in poll.poll(5.0):
                deliveries += len(by_number[number].receive())
            now = time.perf_counter()
            if not counting and now >= begin:
                counting, begin, cpu, deliveries = True, now, process.cpu(), 0
            elif counting and now >= begin + seconds:
                return (process.cpu() - cpu) / deliveries, deliveries / (now - begin)


def run(quick: bool) -> list[Row]:
    """10 s a case, alone to 1,000 readers and together to 200; quick 0.3 s and 20 readers."""
    seconds = 0.3 if quick else 10.0
    rows = []
    for frames, readers in ((1, 1_000), (20, 200)):
        readers = 20 if quick else readers
        allow_many_files(2 * readers + 100)
        together = f"{frames} at once to {readers:,} readers, {TURNS_A_SECOND} times a second"
        rival, rival_rate = _measure("broadcast", frames, readers, seconds)
        cpu, rate = _measure("stream", frames, readers, seconds)
        rows += [
            Row(NAME, f"{RIVAL}, {together}", "server CPU a delivery", "us", {"": rival * 1e6}),
            Row(NAME, f"{RIVAL}, {together}", "deliveries", "/s", {"": rival_rate}),
            Row(NAME, f"tickwire, {together}", "server CPU a delivery", "us", {"": cpu * 1e6}, cpu / rival, RIVAL),
            Row(NAME, f"tickwire, {together}", "deliveries", "/s", {"": rate}, rate / rival_rate, RIVAL),
        ]
    return rows
