"""`tickwire record`: keep what the stream sends, frame by frame."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from tickwire.cli.target import SERVER_AND_KEY, Found, NoServer, Target, fail
from tickwire.cli.units import parse_duration, parse_size
from tickwire.wire.topics import TopicError, parse_topic

if TYPE_CHECKING:
    from tickwire.record.recorder import Standing

__all__ = ["record_app"]

# A line on a terminal is renewed; elsewhere each is a line of its own, and fewer are wanted.
PROGRESS_SECONDS = 0.5
LOG_SECONDS = 10.0

record_app = App(
    name="record",
    help=f"""Keep every message of the stream with its time of receipt, until Ctrl-C.

Connections that are lost are made again, and the gap is noted in the recording. Files are Parquet, at any time all but
the newest; that one is an Arrow stream until it is full or the recorder ends, and nothing of it is lost when the
recorder is killed. The same directory may be recorded into again. Needs pyarrow: pip install 'tickwire[parquet]'.

{SERVER_AND_KEY}
""",
    help_epilogue="""Examples:

    tickwire record ticker.BTCUSDT.PERP --to recording

    tickwire record orderbook.delta.BTCUSDT.PERP kline.1.BTCUSDT.PERP --to recording --duration 1h

    tickwire record account account.position account.order --to mine --rotate-every 1d

    tickwire replay recording
""",
)


@record_app.default
def record_command(
    *topics: str,
    to: Annotated[Path, Parameter(help="Directory of the recording; made where there is none.")],
    duration: Annotated[str | None, Parameter(help="Stop after this time: 90s, 15m, 1h.")] = None,
    rotate_size: Annotated[str, Parameter(help="Begin a new file after so much data, before compression.")] = "512MiB",
    rotate_every: Annotated[str, Parameter(help="Begin a new file after this time.")] = "1h",
    rest: Annotated[bool, Parameter(help="Keep market data of the REST API too, for its replay.")] = True,
    target: Target = Target(),  # noqa: B008  # frozen: one for all is fine
) -> None:
    """Record topics."""
    import uvloop

    from tickwire.client.connection import StreamEnded
    from tickwire.record.format import RecordingError

    try:
        if not topics:
            raise ValueError("expected a topic, such as: tickwire record ticker.BTCUSDT.PERP --to recording")
        for topic in topics:
            parse_topic(topic)
        seconds = None if duration is None else _unit("--duration", duration, parse_duration) / 1e9
        size = _unit("--rotate-size", rotate_size, parse_size)
        every = _unit("--rotate-every", rotate_every, parse_duration)
        uvloop.run(_record(dict.fromkeys(topics), to, target.find(), seconds, size, every, rest))
    except (NoServer, RecordingError, TopicError, ValueError, StreamEnded) as error:
        fail("record", str(error))


def _unit(flag: str, text: str, parse: Callable[[str], int]) -> int:
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None


async def _record(
    topics: dict[str, None],
    directory: Path,
    target: Found,
    seconds: float | None,
    size: int,
    every: int,
    rest: bool,
) -> None:
    from tickwire import __version__
    from tickwire.client.connection import Connection
    from tickwire.client.rest import RestClient
    from tickwire.record.format import FORMAT, Header
    from tickwire.record.recorder import Recorder
    from tickwire.record.writer import RecordingWriter
    from tickwire.service.tls import trusting

    tls = None if target.certificate is None else trusting(target.certificate)
    connection = Connection(target.url, target.key, target.secret, topics=topics, tls=tls)
    client = RestClient(target.url, target.key, target.secret, ssl_context=tls) if rest else None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    progress = _Progress()
    recorder = Recorder(connection, list(topics), rest=client, warn=progress.say)
    header = Header(FORMAT, __version__, connection.url, tuple(topics), time.time_ns())
    writer = RecordingWriter(directory, header, rotate_size=size, rotate_every=every, checkpoint=recorder.checkpoint)
    shown = asyncio.create_task(progress.show(recorder.standing))
    try:
        await recorder.run(writer, stop)
    finally:
        shown.cancel()
        progress.line(recorder.standing, last=True)
        writer.close()
        if client is not None:
            await client.aclose()
    print(f"{directory}: {recorder.standing.frames:,} frames, {recorder.standing.gaps} gaps")


class _Progress:
    """The line on stderr."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._begin = self._then = time.monotonic()
        self._frames = 0

    async def show(self, standing: "Standing") -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS if self._live else LOG_SECONDS)
            self.line(standing)

    def line(self, standing: "Standing", last: bool = False) -> None:
        now = time.monotonic()
        begin, frames = (self._begin, 0) if last else (self._then, self._frames)
        rate = (standing.frames - frames) / max(now - begin, 0.001)
        self._then, self._frames = now, standing.frames
        minutes, seconds = divmod(int(now - self._begin), 60)
        parts = [
            f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}",
            f"{rate:,.0f} frames/s",
            f"{standing.frames:,} frames",
            f"{standing.bytes / 1e6:,.1f} MB",
            f"{standing.gaps} gaps",
        ]
        if standing.unreadable:
            parts.append(f"{standing.unreadable:,} unreadable")
        if standing.rest_failures:
            parts.append(f"{standing.rest_failures:,} REST calls failed")
        if not standing.connected and not last:
            parts.append("waiting for the server")
        text = "  ".join(parts)
        if self._live:
            print(f"\r{text}\x1b[K", end="\n" if last else "", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        print(f"\r\x1b[K{text}" if self._live else text, file=sys.stderr, flush=True)
