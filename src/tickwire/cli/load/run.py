"""A whole measurement: look at the server, start the processes, let them begin and end together, add up."""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tickwire.cli.load.http import HttpConnection
from tickwire.cli.load.orders import OrderFlow, OrderPlan
from tickwire.cli.load.plan import Connected, Failed, Message, Outcome, Plan, Progress
from tickwire.cli.load.reader import HANDSHAKE_SECONDS, Reader, Refused, Server, open_reader, why
from tickwire.cli.load.report import Report, make_report
from tickwire.cli.load.tally import ReaderState, Tally
from tickwire.cli.load.worker import BEGIN, END, run_worker
from tickwire.cli.target import advice, untrusted
from tickwire.client.clock import ServerClock

__all__ = ["BenchError", "measure_clock", "run_load", "try_topics"]

_CLOCK_SAMPLES = 10
# A process takes this long to start at the most, before it has anything to tell.
_START_SECONDS = 30.0
_END_SECONDS = 30.0

_decode = msgspec.json.Decoder(Message).decode


class BenchError(Exception):
    """Why nothing can be measured, with what to do about it."""


async def measure_clock(server: Server) -> ServerClock:
    """Compare clocks by ``GET /public/time``: of some answers, the one with the shortest round trip.

    Raises ``BenchError``.
    """
    clock = ServerClock()
    try:
        async with HttpConnection(server) as http:
            for _ in range(_CLOCK_SAMPLES):
                sent = time.time_ns()
                reply = await http.call("GET", "/api/v1/public/time", signed=False)
                received = time.time_ns()
                if reply.status != 200:
                    raise BenchError(
                        f"{server.url}: expected the time from GET /api/v1/public/time, got {reply.status}"
                    )
                clock.observe(int(msgspec.json.decode(reply.body)["serverTime"]), sent, received)
    except (OSError, EOFError, TimeoutError) as error:
        raise BenchError(untrusted(server.url, why(error)) or f"can't reach {server.url}: {why(error)}") from None
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise BenchError(f"{server.url}: expected the time from GET /api/v1/public/time: {error}") from None
    return clock


async def try_topics(server: Server, topics: tuple[str, ...]) -> None:
    """One reader of all topics, to learn what is wrong before a thousand are. Raises ``BenchError``."""
    state = ReaderState(0, topics)
    try:
        reader = await open_reader(server, Tally(server.offset), state)
    except Refused as error:
        raise BenchError(
            f"{server.url} refused the handshake: {error}; {advice(error.code, 'is this the address of a stream?')}"
        ) from None
    except (OSError, TimeoutError) as error:
        raise BenchError(untrusted(server.url, why(error)) or f"can't reach {server.url}: {why(error)}") from None
    try:
        reader.subscribe()
        await _first_frames(reader)
    finally:
        reader.leave()
    if state.refusal:
        raise BenchError(f"the server refused a topic: {state.refusal}")


async def _first_frames(reader: Reader) -> None:
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            await reader.subscribed
    except (TimeoutError, asyncio.CancelledError):
        missing = [topic.decode() for topic, followed in reader.state.topics.items() if not followed.seen]
        raise BenchError(f"expected a first frame of each topic, got none of {', '.join(missing[:5])}") from None


class _Process:
    """A worker, with what it has told."""

    def __init__(self, plan: Plan) -> None:
        # Not forked: the child of a process with threads and an event loop would have half of each.
        context = multiprocessing.get_context("spawn")
        self.channel, other = context.Pipe()
        self.process = context.Process(target=run_worker, args=(plan, other), daemon=True)
        self.process.start()
        other.close()
        self.progress = Progress(0, 0, 0, 0)
        self.connected: asyncio.Future[Connected] = asyncio.get_running_loop().create_future()
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self.channel.fileno(), self._hear)

    def _hear(self) -> None:
        try:
            message = _decode(self.channel.recv_bytes())
        except (EOFError, OSError):
            message = Failed("a process of the load generator has ended")
            asyncio.get_running_loop().remove_reader(self.channel.fileno())
        if isinstance(message, Progress):
            self.progress = message
        elif isinstance(message, Connected):
            self.connected.set_result(message)
        elif isinstance(message, Outcome):
            self.outcome.set_result(message)
        else:
            for future in (self.connected, self.outcome):
                if not future.done():
                    future.set_exception(BenchError(message.text))
                    future.exception()  # seen, whoever waits for the other

    def say(self, word: bytes) -> None:
        """Send BEGIN or END; to one that has ended it makes no difference."""
        with contextlib.suppress(OSError):
            self.channel.send_bytes(word)

    def end(self) -> None:
        """Let the process go, or end it."""
        with contextlib.suppress(ValueError, OSError):
            asyncio.get_running_loop().remove_reader(self.channel.fileno())
        self.channel.close()
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


async def run_load(
    plans: Sequence[Plan],
    orders: OrderPlan | None,
    seconds: float,
    clock: ServerClock,
    stop: asyncio.Event,
    say: Callable[[str], None],
) -> Report:
    """Run ``plans``, one a process, for ``seconds`` or until ``stop``; ``say`` gets a line of progress now and then.

    Raises ``BenchError`` where a process fails, ``OSError`` and others where orders can't be begun.
    """
    flow = None
    if orders is not None:
        flow = OrderFlow(plans[0].server, orders)
        await flow.start()
    processes = [_Process(plan) for plan in plans]
    total = plans[0].readers
    teller = asyncio.create_task(_tell_progress(processes, total, say))
    stopped = asyncio.create_task(stop.wait())
    try:
        everyone = asyncio.gather(*(process.connected for process in processes))
        waiting: list[asyncio.Future[Any]] = [everyone, stopped]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for process in processes:
            if process.connected.done():
                process.connected.result()  # raises for one that has failed
        ending = asyncio.Event()
        ordering = None
        if not stop.is_set():
            for process in processes:
                process.say(BEGIN)
            if flow is not None:
                ordering = asyncio.create_task(flow.run(ending))
            watched: list[asyncio.Future[Any]] = [stopped, *(process.outcome for process in processes)]
            done, _ = await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for future in done - {stopped}:
                future.result()  # none ends before it is told to, but by a failure
        for process in processes:
            process.say(END)
        ending.set()
        if ordering is not None:
            await ordering
        async with asyncio.timeout(_END_SECONDS):
            connected = [await process.connected for process in processes]
            outcomes = [await process.outcome for process in processes]
    finally:
        teller.cancel()
        stopped.cancel()
        for process in processes:
            process.end()
    return make_report(plans, connected, outcomes, flow, clock, interrupted=stop.is_set())


async def _tell_progress(processes: Sequence[_Process], total: int, say: Callable[[str], None]) -> None:
    frames = size = 0
    while True:
        await asyncio.sleep(1)
        progress = [process.progress for process in processes]
        if not all(process.connected.done() for process in processes):
            opened, subscribed = (sum(getattr(each, name) for each in progress) for name in ("opened", "subscribed"))
            say(f"{opened:,} of {total:,} streams are open, {subscribed:,} have subscribed")
            continue
        newest = sum(each.frames for each in progress), sum(each.bytes for each in progress)
        if newest[0] >= frames:  # it begins again with the measurement
            say(f"{newest[0] - frames:,} frames/s, {(newest[1] - size) / 1e6:.1f} MB/s")
        frames, size = newest
