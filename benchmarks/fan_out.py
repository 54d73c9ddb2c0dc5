"""One ticker frame of some 320 bytes to many readers: the server's CPU for each delivery, and how late it comes.

The stream's own transport, hub and outboxes run behind uvicorn with a feed that publishes one topic 20 times a second;
every reader is an open socket that has subscribed to it. The rival is `websockets` with its `broadcast`, without
compression, at the same rate with the same readers.
"""

import contextlib
import gc
import select
import time
from urllib.parse import urlsplit

from benchmarks.clients import Credentials, StreamConnection
from benchmarks.processes import Process, allow_many_files, load_on_its_core
from benchmarks.report import Row, percentiles
from benchmarks.servers import FRAMES_A_SECOND, KEY, SECRET, TOPIC

__all__ = ["run"]

NAME = "fan_out"
_TS = b'"ts":"'


def _measure(server: str, readers: int, seconds: float) -> tuple[float, list[float]]:
    """CPU seconds a delivery, and the seconds from publishing to reading of each."""
    process = Process(["-m", "benchmarks.servers", server])
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
        begin, cpu = time.perf_counter() + seconds / 10, 0.0
        late: list[float] = []
        counting = False
        while True:
            for number, _ in poll.poll(5.0):
                for payload in by_number[number].receive():
                    at = payload.index(_TS) + len(_TS)
                    late.append(time.time_ns() - int(payload[at : at + 19]))
            now = time.perf_counter()
            if not counting and now >= begin:
                counting, begin, cpu = True, now, process.cpu()
                late.clear()
            elif counting and now >= begin + seconds:
                return (process.cpu() - cpu) / len(late), late


def run(quick: bool) -> list[Row]:
    """1,000 readers for 10 s, quick 20 readers for 0.3 s."""
    readers, seconds = (20, 0.3) if quick else (1_000, 10.0)
    allow_many_files(2 * readers + 100)
    rival_cpu, rival_late = _measure("broadcast", readers, seconds)
    cpu, late = _measure("stream", readers, seconds)
    rival = "websockets broadcast"
    rival_case = f"{rival}, {readers:,} readers, {FRAMES_A_SECOND} frames/s"
    case = f"tickwire's stream, {readers:,} readers, {FRAMES_A_SECOND} frames/s"
    figures, rival_figures = percentiles(late, 1e6), percentiles(rival_late, 1e6)
    return [
        Row(NAME, rival_case, "server CPU a delivery", "us", {"": rival_cpu * 1e6}),
        Row(NAME, rival_case, "published to read", "ms", rival_figures),
        Row(NAME, case, "server CPU a delivery", "us", {"": cpu * 1e6}, cpu / rival_cpu, rival),
        Row(NAME, case, "published to read", "ms", figures, figures["p50"] / rival_figures["p50"], rival),
    ]
