"""`tickwire bench`: load a server, ours or any other of this API, and measure what its readers get."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from tickwire.cli.load.orders import OrdersRefused, plan_orders
from tickwire.cli.load.plan import Plan
from tickwire.cli.load.reader import Refused, Server, why
from tickwire.cli.load.report import Report, report_text
from tickwire.cli.load.run import BenchError, measure_clock, run_load, try_topics
from tickwire.cli.target import EXIT_CODES, SERVER_AND_KEY, AsJson, NoServer, Target, fail
from tickwire.wire.signing import STREAM_PATH
from tickwire.wire.topics import TopicError, parse_topic

__all__ = ["bench_app"]

# From this many readers on they are shared out to several processes.
_READERS_A_PROCESS = 100
_DEFAULT_TOPICS = "ticker.BTCUSDT.PERP,orderbook.BTCUSDT.PERP"

bench_app = App(
    name="bench",
    help=f"""Load a server with many readers and print what they get: handshakes a second, frames and MB a second, how
evenly they are shared, latency from a frame's ts to its receipt, gaps, errors.

Any server of this API will do. {SERVER_AND_KEY}

Start ours with --no-limits, or its limits on handshakes and sockets are what is measured. Ctrl-C ends the measurement
and prints what there is. {EXIT_CODES}
""",
    help_epilogue="""Examples:

    tickwire bench

    tickwire bench --readers 1000 --seconds 30

    tickwire bench --url wss://exchange.example --key K --secret S --readers 10 --connect-rate 1

    tickwire bench --topics ticker.BTCUSDT.PERP,ticker.ETHUSDT.PERP,kline.1.BTCUSDT.PERP --topics-per-reader 2

    tickwire bench --readers 200 --orders 20 --json
""",
)


@bench_app.default
def bench(
    *,
    target: Target = Target(),  # noqa: B008  # frozen: one for all is fine
    readers: Annotated[int, Parameter(help="Streams to open.")] = 100,
    topics: Annotated[str, Parameter(help="What they subscribe to, with commas in between.")] = _DEFAULT_TOPICS,
    topics_per_reader: Annotated[
        int | None,
        Parameter(help="Of these, how many each reader takes, the next one beginning one later; absent: all."),
    ] = None,
    seconds: Annotated[float, Parameter(help="How long to measure, once all have subscribed.")] = 10.0,
    connect_rate: Annotated[float, Parameter(help="Handshakes a second; 0 is as fast as they go.")] = 0.0,
    orders: Annotated[
        float, Parameter(help="Orders a second to place far from the market, time and cancel. It trades: 0 is none.")
    ] = 0.0,
    symbol: Annotated[str | None, Parameter(help="What to place orders in; absent: the first topic's.")] = None,
    processes: Annotated[
        int | None, Parameter(help="Processes of readers; absent: a core each if they are many.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load a server."""
    try:
        names = tuple(dict.fromkeys(name.strip() for name in topics.split(",") if name.strip()))
        kinds = [parse_topic(name) for name in names]
        _check(readers, names, topics_per_reader, seconds, connect_rate, orders, processes)
        symbol = symbol or next((topic.symbol for topic in kinds if topic.symbol), None)
        if orders and symbol is None:
            raise BenchError("--symbol: expected a symbol to place orders in, as no topic has one")
        found = target.find()
        _ = found.tls  # raises where the file that the server named can't be read
        # http becomes ws, https wss.
        server = Server("ws" + found.url.removeprefix("http") + STREAM_PATH, found.key, found.secret, found.certificate)
        count = min(processes or (os.cpu_count() or 1 if readers > _READERS_A_PROCESS else 1), readers)
        report = asyncio.run(
            _measure(
                server, readers, names, topics_per_reader or len(names), seconds, connect_rate,
                (symbol or "", orders), count,
            )
        )  # fmt: skip
    except (BenchError, NoServer, OrdersRefused, TopicError) as error:
        fail("bench", str(error), as_json, code=type(error).__name__)
    except KeyboardInterrupt:
        sys.exit(130)
    else:
        print(msgspec.json.encode(report).decode() if as_json else report_text(report))


def _check(
    readers: int,
    topics: tuple[str, ...],
    topics_per_reader: int | None,
    seconds: float,
    connect_rate: float,
    orders: float,
    processes: int | None,
) -> None:
    """Raises ``BenchError`` that names the flag."""
    if not topics:
        raise BenchError("--topics: expected a topic, such as ticker.BTCUSDT.PERP")
    for name, value, least in (
        ("--readers", readers, 1), ("--topics-per-reader", topics_per_reader, 1), ("--processes", processes, 1),
        ("--connect-rate", connect_rate, 0), ("--orders", orders, 0),
    ):  # fmt: skip
        if value is not None and not least <= value < float("inf"):
            raise BenchError(f"{name}: expected at least {least}, got {value}")
    if not 0 < seconds < float("inf"):
        raise BenchError(f"--seconds: expected more than 0, got {seconds}")


async def _measure(
    server: Server,
    readers: int,
    topics: tuple[str, ...],
    topics_per_reader: int,
    seconds: float,
    connect_rate: float,
    ordered: tuple[str, float],
    processes: int,
) -> Report:
    clock = await measure_clock(server)
    # What is less than its uncertainty is noise, and to add it would make every latency wrong by it.
    if clock.uncertainty is not None and abs(clock.offset) > clock.uncertainty:
        server = msgspec.structs.replace(server, offset=clock.offset)
    await try_topics(server, topics)
    symbol, rate = ordered
    orders = await plan_orders(server, symbol, rate) if rate else None
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    plans = [
        Plan(server, readers, topics, topics_per_reader, connect_rate, first, processes) for first in range(processes)
    ]
    with _progress() as say:
        try:
            return await run_load(plans, orders, seconds, clock, stop, say)
        except (OSError, EOFError, TimeoutError, Refused) as error:
            raise BenchError(f"{server.url}: {why(error)}") from None


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Where lines of progress go: one that is written over on a terminal, else one after the other; always stderr."""
    live = sys.stderr.isatty()

    def say(text: str) -> None:
        print(f"\r\x1b[K{text}" if live else text, end="" if live else "\n", file=sys.stderr, flush=True)

    try:
        yield say
    finally:
        if live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
