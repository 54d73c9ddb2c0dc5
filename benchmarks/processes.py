"""The processes under test: a tickwire server or a rival, on a core of its own, and what they use."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from benchmarks.clients import Address, call, request
from tickwire.service.discovery import FILE_NAME, ServerInfo, read_info

__all__ = [
    "LOAD_CORE",
    "SERVER_CORE",
    "Process",
    "Server",
    "allow_many_files",
    "load_on_its_core",
    "running",
    "temporary_directory",
]

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _CORES[0], _CORES[-1]

START_SECONDS = 60.0
POLL_SECONDS = 0.005


class Process:
    """A child on a core of its own, by default the server's."""

    def __init__(
        self, arguments: Sequence[str | Path], *, program: str | Path = sys.executable, core: int = SERVER_CORE
    ) -> None:
        """``arguments`` go to ``program``, by default this Python."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        own = os.sched_getaffinity(0)
        # The child inherits it, threads and all.
        os.sched_setaffinity(0, {core})
        try:
            self._process = subprocess.Popen(
                [program, *arguments], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        finally:
            os.sched_setaffinity(0, own)
        self.pid = self._process.pid

    def say(self, line: str) -> None:
        """Write a line to its standard input. Raises ``RuntimeError`` when it has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(f"expected a running child, but it ended with code {self._process.wait()}") from None

    def line(self) -> str:
        """The next line the child prints. Raises ``RuntimeError`` when it has ended instead."""
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        if not text:
            raise RuntimeError(f"expected a running child, but it ended with code {self._process.wait()}")
        return text.rstrip("\n")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def cpu(self) -> float:
        """CPU seconds of all its threads, user and system, so far."""
        # What clock_getcpuclockid(3) gives for a process of ours; /proc/PID/stat counts in steps of 10 ms.
        return time.clock_gettime((~self.pid << 3) | 2)

    def memory(self) -> float:
        """Resident megabytes (10**6 bytes) now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal and wait for that."""
        if self.running:
            self._process.send_signal(number)
        self._process.wait(timeout=START_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Server(Process):
    """``tickwire serve`` on a free port; ready when it has been made."""

    def __init__(self, data: Path, *flags: str) -> None:
        self.data = data
        (data / FILE_NAME).unlink(missing_ok=True)  # of a killed one
        started = time.perf_counter()
        super().__init__(["-m", "tickwire.cli", "serve", "--data", str(data), "--port", "0", *flags])
        # Nothing reads on, and the banner fits into the pipe.
        self.info = self._await_info(started + START_SECONDS)
        parts = urlsplit(self.info.url)
        self.address: Address = (parts.hostname or "", parts.port or 0)
        self.sequence()
        self.start_seconds = time.perf_counter() - started

    def sequence(self) -> int:
        """How many commands it has applied, by its health page."""
        sequence: int = msgspec.json.decode(call(self.address, request("GET", "/_tickwire/health")))["sequence"]
        return sequence

    def _await_info(self, deadline: float) -> ServerInfo:
        while time.perf_counter() < deadline and self.running:
            info = read_info(self.data / FILE_NAME)
            if info is not None:
                return info
            time.sleep(POLL_SECONDS)
        self.stop(signal.SIGKILL)
        raise RuntimeError("expected a server that starts, see its messages above")


@contextlib.contextmanager
def temporary_directory() -> Iterator[Path]:
    """A directory for data, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="tickwire-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def running(data: Path, *flags: str) -> Iterator[Server]:
    """A server for the time of a block."""
    server = Server(data, *flags)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def load_on_its_core() -> Iterator[None]:
    """Keep this process off the server's core for the time of a block."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def allow_many_files(wanted: int) -> None:
    """Raise the soft limit of open files to ``wanted``, as far as the hard one lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
