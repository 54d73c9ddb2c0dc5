"""One process of readers: connects them, waits for the word to begin, counts, and tells what it has counted."""

import asyncio
import contextlib
import gc
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import uvloop

from tickwire.cli.load.histogram import Histogram
from tickwire.cli.load.plan import Connected, Failed, Outcome, Plan, Progress, topics_of
from tickwire.cli.load.reader import HANDSHAKE_SECONDS, Reader, Refused, open_reader
from tickwire.cli.load.tally import ReaderState, Tally

__all__ = ["BEGIN", "END", "run_worker"]

BEGIN, END = b"begin", b"end"

# Handshakes under way at once: more would wait in the server's backlog rather than in its handshake.
_AT_ONCE = 32
_PROGRESS_SECONDS = 0.5
# Open files beside the readers.
_OTHER_FILES = 100


def run_worker(plan: Plan, channel: Connection) -> None:
    """The whole life of the process; ``channel`` leads to the one that has started it."""
    # Ctrl-C is for the first process, which then sends END.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError, EOFError):
        try:
            allow_files(len(plan.numbers) + _OTHER_FILES)
            uvloop.run(_Worker(plan, channel).run())
        except Exception as error:
            channel.send_bytes(msgspec.json.encode(Failed(f"{type(error).__name__}: {error}")))


def allow_files(wanted: int) -> None:
    """Raise the limit of open files. Raises ``OSError`` where the system's own is below it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise OSError(f"expected a limit of at least {wanted} open files, got {hard}: see ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Worker:
    def __init__(self, plan: Plan, channel: Connection) -> None:
        self._plan = plan
        self._channel = channel
        self._tally = Tally(plan.server.offset)
        self._readers: list[Reader] = []
        self._handshakes = Histogram()
        self._started = time.perf_counter()
        self._handshake_seconds = 0.0  # of all together, once they are through
        self._told: Counter[str] = Counter()  # errors that were told with the handshakes
        self._measuring = False

    def _tell(self, message: msgspec.Struct) -> None:
        self._channel.send_bytes(msgspec.json.encode(message))

    async def run(self) -> None:
        """Connect, measure between the two words, and leave."""
        begin, end = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def hear() -> None:
            try:
                word = self._channel.recv_bytes()
            except EOFError:  # nobody is left to measure for
                word = END
                loop.remove_reader(self._channel.fileno())
            (begin if word == BEGIN else end).set()

        loop.add_reader(self._channel.fileno(), hear)
        progress = asyncio.create_task(self._report_progress())
        connecting = asyncio.create_task(self._connect_all())
        ended = asyncio.create_task(end.wait())
        await asyncio.wait((connecting, ended), return_when=asyncio.FIRST_COMPLETED)
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
        self._tell_connected()
        if not ended.done():
            begun = asyncio.create_task(begin.wait())
            await asyncio.wait((begun, ended), return_when=asyncio.FIRST_COMPLETED)
        outcome = await self._measure(end)
        progress.cancel()
        self._tell(outcome)
        for reader in self._readers:
            reader.leave()

    async def _report_progress(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            ready = sum(reader.state.missing == 0 for reader in self._readers)
            frames, size = (self._tally.frames, self._tally.bytes) if self._measuring else (0, 0)
            self._tell(Progress(len(self._readers), ready, frames, size))

    async def _connect_all(self) -> None:
        plan, numbers = self._plan, self._plan.numbers
        started = self._started = time.perf_counter()
        waiting = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for index, number in enumerate(numbers):
                if plan.connect_rate:
                    await asyncio.sleep(started + index * plan.step / plan.connect_rate - time.perf_counter())
                await waiting.acquire()
                tasks.create_task(self._connect(number, waiting.release))
        self._handshake_seconds = time.perf_counter() - started
        # Only now, so that handshakes are measured without the frames of those who came before.
        async with asyncio.TaskGroup() as tasks:
            for reader in self._readers:
                reader.subscribe()
                tasks.create_task(self._await_first_frames(reader))

    def _tell_connected(self) -> None:
        handshakes = self._handshakes
        ready = sum(reader.state.missing == 0 for reader in self._readers)
        self._told.update(self._tally.errors)
        seconds = self._handshake_seconds or time.perf_counter() - self._started
        self._tell(Connected(ready, seconds, handshakes.trimmed(), handshakes.largest, dict(self._told)))

    async def _connect(self, number: int, connected: Callable[[], None]) -> None:
        group, topics = topics_of(self._plan, number)
        started = time.perf_counter_ns()
        try:
            reader = await open_reader(self._plan.server, self._tally, ReaderState(group, topics))
        except Refused as error:
            self._tally.errors[f"handshake {error}"] += 1
            return
        except (OSError, TimeoutError) as error:
            self._tally.errors[f"handshake {error.strerror or type(error).__name__}"] += 1
            return
        finally:
            connected()
        self._handshakes.record((time.perf_counter_ns() - started) // 1000)
        self._readers.append(reader)

    async def _await_first_frames(self, reader: Reader) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await reader.subscribed
        except TimeoutError:
            self._tally.errors["no first frame of a topic"] += 1
        except asyncio.CancelledError:
            if not reader.subscribed.cancelled():
                raise  # this task's own end, not that of the socket, which has been counted

    async def _measure(self, end: asyncio.Event) -> Outcome:
        tally = self._tally
        gc.collect()
        gc.freeze()
        tally.begin()
        for reader in self._readers:
            reader.state.frames = 0
        self._measuring = True
        started, cpu, waited = time.perf_counter(), time.process_time(), _waited_for_a_core()
        await end.wait()
        now_waited = _waited_for_a_core()
        return Outcome(
            seconds=time.perf_counter() - started,
            frames=tally.frames,
            bytes=tally.bytes,
            reads=tally.reads,
            latency=tally.latency.trimmed(),
            slowest=tally.latency.largest,
            readers=[(reader.state.group, reader.state.frames) for reader in self._readers],
            early=tally.early,
            conflated=tally.conflated,
            gaps=tally.gaps,
            backwards=tally.backwards,
            unannounced=tally.unannounced,
            unknown=tally.unknown,
            errors=dict(tally.errors - self._told),
            cpu_seconds=time.process_time() - cpu,
            waiting_seconds=None if now_waited is None or waited is None else now_waited - waited,
        )


def _waited_for_a_core() -> float | None:
    """Seconds for which this process could have run but had no core; ``None`` where the system does not say."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return None
