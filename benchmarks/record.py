"""Recording: the frames a second that one core can keep, files, checksums and topic states included, and its memory.

A replay of a made-up recording sends frames as fast as they are taken; `tickwire record` keeps them on the other core.
The figure is frames by CPU seconds, from the subscription to the last Parquet file. The rival is a script with the
`websockets` client that writes each frame with its time as a line of plain text: no compression, no topics, no state.
"""

import resource
import signal
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.clients import Address, call, request
from benchmarks.processes import LOAD_CORE, Process, temporary_directory
from benchmarks.report import Row
from tickwire.record.format import CONNECTED, FORMAT, FRAME, Header
from tickwire.record.reader import Recording
from tickwire.record.writer import RecordingWriter
from tickwire.wire.envelope import data_frame

__all__ = ["run"]

NAME = "record"
GOAL = 50_000.0
KEY, SECRET = "benchmark-key", "benchmark-secret"
START = 1_765_975_842_000_000_000
TICKER, BOOK = "ticker.BTCUSDT.PERP", "orderbook.BTCUSDT.PERP"
RIVAL = "websockets to a text file"
PATIENCE = 120.0


def _frame(topic: str, number: int) -> bytes:
    time_ns = START + number * 1_000
    if topic == TICKER:
        row: object = {
            "symbol": "BTCUSDT.PERP", "volume24h": f"{18394 + number}.250731", "turnover24h": "1378551217.40512",
            "priceChange24h": "-412.7", "bidPrice": f"{74937 + number % 100}.0", "askPrice": "75037.1",
            "lastPrice": f"{74937 + number % 77}.1", "markPrice": "74935.8", "fundingRate": "0.0001",
        }  # fmt: skip
        return data_frame(topic, time_ns, "UPDATE" if number else "SNAPSHOT", (row,))
    levels = [[f"{74937 - level}.{number % 10}", f"0.{number * 7919 % 1_000_000:06}"] for level in range(50)]
    return data_frame(topic, time_ns, "SNAPSHOT", ({"symbol": "BTCUSDT.PERP", "bids": levels, "asks": levels},))


def _write_source(directory: Path, topic: str, frames: int) -> None:
    with RecordingWriter(directory, Header(FORMAT, "0", "benchmark", (topic,), START)) as writer:
        writer.append(START, CONNECTED, 1, "", b"benchmark")
        for number in range(frames):
            # The second one comes after what a replay looks at before it begins, so that all of them are played.
            received = START + number * 1_000 + (10_000_000_000 if number else 0)
            writer.append(received, FRAME, 1, topic, _frame(topic, number))


def _health(address: Address) -> dict[str, object]:
    found: dict[str, object] = msgspec.json.decode(call(address, request("GET", "/_tickwire/health")))
    return found


def _keep(source: Path, reader: list[str | Path]) -> tuple[float, float]:
    """CPU seconds that a reader needs for all frames of a source, and its peak of memory in MB."""
    replay = Process(
        ["-m", "tickwire.cli", "replay", source, "--port", "0", "--speed", "max", "--no-limits",
         "--demo-key", KEY, "--demo-secret", SECRET]
    )  # fmt: skip
    while "REST" not in (line := replay.line()):
        pass
    url = line.split()[1].removesuffix("/api/v1")
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = Process([*reader, "--url", url, "--key", KEY, "--secret", SECRET], core=LOAD_CORE)
    deadline = time.monotonic() + PATIENCE
    try:
        while not _health(address)["subscriptions"]:
            time.sleep(0.01)
        begin, peak = process.cpu(), process.memory()
        while _health(address)["playing"]:
            if time.monotonic() > deadline or not process.running:
                raise RuntimeError("expected a reader that takes all frames, and soon")
            peak = max(peak, process.memory())
            time.sleep(0.05)
        time.sleep(0.3)  # what is in the sockets
        peak = max(peak, process.memory())
    finally:
        process.stop(signal.SIGINT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        replay.stop(signal.SIGINT)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - begin, peak


def run(quick: bool) -> list[Row]:
    """400,000 ticker frames and 60,000 books; quick 3,000 and 500."""
    rows = []
    for topic, case, frames in ((TICKER, "ticker", 400_000), (BOOK, "book of 50 levels", 60_000)):
        count = (3_000 if topic == TICKER else 500) if quick else frames
        with temporary_directory() as directory:
            _write_source(directory / "source", topic, count)
            size = len(_frame(topic, 1))
            plain, _ = _keep(
                directory / "source", ["-m", "benchmarks.rivals.lines", topic, "--to", directory / "lines"]
            )
            cpu, peak = _keep(
                directory / "source",
                ["-m", "tickwire.cli", "record", topic, "--no-rest", "--to", directory / "kept"],
            )
            kept = Recording(directory / "kept").check().frames
            if kept < count:
                raise RuntimeError(f"expected {count} recorded frames, got {kept}")
            with (directory / "lines").open("rb") as file:
                lines = sum(1 for _ in file)
            if lines < count:
                raise RuntimeError(f"expected {count} lines, got {lines}")
            on_disk = sum(path.stat().st_size for path in (directory / "kept").iterdir())
        rate, rival = count / cpu, count / plain
        case = f"{case}, {size} bytes"
        rows += [
            Row(
                NAME, case, "frames a CPU second", "/s", {"": rate}, rate / rival, RIVAL,
                f">= {GOAL:,.0f} /s" if topic == TICKER else "", rate >= GOAL if topic == TICKER else None,
            ),
            Row(NAME, case, "peak memory", "MB", {"": peak}),
            Row(NAME, case, "on the disk", "bytes a frame", {"": on_disk / count}, on_disk / count / size, "its frame"),
        ]  # fmt: skip
    return rows


if __name__ == "__main__":
    print(run("--quick" in sys.argv))
