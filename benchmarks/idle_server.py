"""The server with its default market and no client, and with one that reads every topic: CPU share and memory.

The market is all of the default instruments with all their simulated participants. The reader has the 17 topics of
each symbol and the six of its account. The rival of the second case is the first: what the reader costs.
"""

import contextlib
import select
import time

import msgspec

from benchmarks.clients import Credentials, StreamConnection, call, request
from benchmarks.processes import Server, load_on_its_core, running, temporary_directory
from benchmarks.report import Row
from tickwire.wire.intervals import INTERVALS
from tickwire.wire.topics import PRIVATE_KINDS

__all__ = ["all_topics", "run"]

NAME = "idle_server"
TOPICS_A_FRAME = 50
GOAL = "< 30 % of a core, < 300 MB"


def all_topics(symbols: list[str]) -> list[str]:
    """Every topic there is for these symbols, and those of an account."""
    return [
        *sorted(PRIVATE_KINDS),
        *(f"{family}.{symbol}" for symbol in symbols for family in ("ticker", "orderbook", "orderbook.delta")),
        *(f"kline.{interval}.{symbol}" for symbol in symbols for interval in INTERVALS),
    ]


def _watch(server: Server, seconds: float, reader: StreamConnection | None = None) -> tuple[dict[str, float], int, int]:
    """CPU share and memory over ``seconds``, and the frames and bytes that the reader got."""
    frames = size = 0
    begin, cpu = time.perf_counter(), server.cpu()
    while (left := begin + seconds - time.perf_counter()) > 0:
        if reader is None:
            time.sleep(left)
        elif select.select([reader], [], [], left)[0]:
            payloads = reader.receive()
            frames += len(payloads)
            size += sum(map(len, payloads))
    used = (server.cpu() - cpu) / (time.perf_counter() - begin)
    return {"share": used, "memory": server.memory()}, frames, size


def run(quick: bool) -> list[Row]:
    """20 s a case, quick 0.3 s."""
    seconds = 0.3 if quick else 20.0
    flags = ["--symbols", "BTCUSDT.PERP"] if quick else []
    with temporary_directory() as data, running(data, *flags) as server:
        credentials = Credentials(server.info.demo_key, server.info.demo_secret)
        listed = msgspec.json.decode(call(server.address, request("GET", "/api/v1/trade/symbol", b"", credentials)))
        topics = all_topics(listed["spot"] + listed["perpetualSwap"])
        time.sleep(seconds / 10)  # the first moments are busier
        alone, _, _ = _watch(server, seconds)
        with contextlib.closing(StreamConnection(server.address, credentials)) as reader, load_on_its_core():
            for start in range(0, len(topics), TOPICS_A_FRAME):
                reader.subscribe(*topics[start : start + TOPICS_A_FRAME])
            read, frames, size = _watch(server, seconds, reader)
    case = f"one reader of all {len(topics)} topics"
    rows = []
    for name, figures, goal in (("no reader", alone, GOAL), (case, read, "")):
        more = figures is read
        share, memory = figures["share"], figures["memory"]
        rows += [
            Row(
                NAME, name, "server CPU", "% of a core", {"": share * 100},
                share / alone["share"] if more else None, "no reader" if more else "", goal,
            ),
            Row(
                NAME, name, "resident memory", "MB", {"": memory},
                memory / alone["memory"] if more else None, "no reader" if more else "",
            ),
        ]  # fmt: skip
    return [
        *rows,
        Row(NAME, case, "frames", "/s", {"": frames / seconds}),
        Row(NAME, case, "payload", "kB/s", {"": size / seconds / 1e3}),
    ]
