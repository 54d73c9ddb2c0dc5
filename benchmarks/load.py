"""The load generator from Python: many readers in one process of C (``native/load.c``) on the load's core."""

import base64
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.build import compiled
from benchmarks.histogram import Histogram
from benchmarks.processes import LOAD_CORE, Process

__all__ = ["BUSY_SHARE", "Load", "Opened", "Report", "subscription", "upgrade_lines"]

# From this share of its core on the load generator may be what holds the frames up.
BUSY_SHARE = 0.9
SOURCE_ADDRESS_CONNECTIONS = 20_000
_QUIET_SECONDS = 0.2


class Opened(msgspec.Struct):
    """How the connections were opened; ``seconds`` from the first connect to the last upgrade."""

    opened: int
    refused: int
    refusal: str
    seconds: float
    cpu: float


class Report(msgspec.Struct):
    """What was received since ``measure``.

    ``seconds`` ends with the last receipt, ``cpu`` is the generator's own; ``frames`` are data frames, ``deflated`` of
    which were compressed and could not be timed; ``gaps`` are jumps in a topic's numbers by ``missing`` frames in all.
    Times in nanoseconds.
    """

    seconds: float
    cpu: float
    frames: int
    replies: int
    deflated: int
    payload_bytes: int
    wire_bytes: int
    reads: int
    gaps: int
    missing: int
    repeats: int
    closed: int
    timed: int
    largest: int
    smallest: int
    buckets: list[tuple[int, int]]

    @property
    def latency(self) -> Histogram:
        """From the intended time of publishing to receipt, ns."""
        return Histogram(self.buckets, self.largest)

    @property
    def own_share(self) -> float:
        """The generator's share of its core."""
        return self.cpu / self.seconds if self.seconds else 0.0

    @property
    def bottleneck(self) -> str:
        """Says so when the generator may have been what limited the figures; empty otherwise."""
        if self.own_share < BUSY_SHARE:
            return ""
        return f"the load generator is the bottleneck ({self.own_share:.0%} of its core)"


def upgrade_lines(target: str, headers: dict[str, str]) -> bytes:
    """The request that opens a WebSocket."""
    lines = [f"GET {target} HTTP/1.1", "host: benchmark", "upgrade: websocket", "connection: Upgrade"]
    nonce = base64.b64encode(os.urandom(16)).decode()
    lines += ["sec-websocket-version: 13", f"sec-websocket-key: {nonce}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def subscription(topics: Sequence[str], topics_a_frame: int = 50) -> bytes:
    """Masked frames that subscribe to ``topics``; masked with zeros, which leaves the payload as it is."""
    frames = b""
    for start in range(0, len(topics), topics_a_frame):
        payload = msgspec.json.encode({"op": "subscribe", "args": topics[start : start + topics_a_frame]})
        size = len(payload)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        frames += b"\x81" + length + bytes(4) + payload
    return frames


class Load:
    """``count`` readers; all are open when it has been made.

    Reader ``i`` sends request and message number ``i`` modulo their number; it is ready with ``ready`` text frames.
    ``receive_buffer`` is the sockets', in bytes; 0 leaves it to the kernel. ``nap`` is how many microseconds it sleeps
    before it looks again, so that the server need not wake it for each frame; the first
    ``untimed`` readers are counted, but not timed. Raises ``RuntimeError`` when some are
    refused.
    """

    def __init__(
        self,
        port: int,
        count: int,
        requests: Sequence[bytes],
        messages: Sequence[bytes] = (),
        *,
        ready: int = 0,
        topics: int = 1,
        in_flight: int = 128,
        receive_buffer: int = 0,
        nap: int = 0,
        untimed: int = 0,
    ) -> None:
        program = compiled("load")
        with tempfile.TemporaryDirectory(prefix="tickwire-bench-") as directory:
            options = {
                "port": port, "count": count, "ready": ready, "topics": topics, "in_flight": in_flight,
                "per_source": SOURCE_ADDRESS_CONNECTIONS, "receive": receive_buffer, "nap": nap, "untimed": untimed,
                "requests": _write(Path(directory, "requests"), requests),
            }  # fmt: skip
            if messages:
                options["messages"] = _write(Path(directory, "messages"), messages)
            arguments = [f"{name}={value}" for name, value in options.items()]
            self._process = Process(arguments, program=program, core=LOAD_CORE)
            try:
                self.opened = msgspec.json.decode(self._process.line(), type=Opened)
            except BaseException:
                self.close()
                raise
        if self.opened.refused:
            self.close()
            raise RuntimeError(f"expected {count} upgrades, got {self.opened.refused} x {self.opened.refusal!r}")

    def _ask(self, line: str) -> str:
        self._process.say(line)
        return self._process.line()

    def subscribe(self) -> float:
        """Send everybody's message and wait until all are ready; the seconds that took."""
        seconds: float = msgspec.json.decode(self._ask("subscribe"))["seconds"]
        return seconds

    def measure(self) -> None:
        """Count from here."""
        self._ask("measure")

    def report(self) -> Report:
        """What was counted since ``measure``."""
        return msgspec.json.decode(self._ask("report"), type=Report)

    def settle(self, expected: int, seconds: float = 10.0) -> Report:
        """The report once ``expected`` frames are there, or nothing more comes, or ``seconds`` are over."""
        deadline = time.perf_counter() + seconds
        report = self.report()
        while report.frames < expected and time.perf_counter() < deadline:
            time.sleep(_QUIET_SECONDS)
            before, report = report, self.report()
            if report.wire_bytes == before.wire_bytes:
                break
        return report

    def stall(self, count: int) -> None:
        """Stop reading the first ``count`` readers."""
        self._ask(f"stall {count}")

    def resume(self) -> None:
        """Read all of them again."""
        self._ask("resume")

    def close(self) -> None:
        """End the process, and with it all connections."""
        self._process.stop()


def _write(path: Path, entries: Sequence[bytes]) -> Path:
    path.write_bytes(b"".join(len(entry).to_bytes(4, "little") + entry for entry in entries))
    return path
