"""`tickwire replay`: serve a recording as if it happened now, or look at what is in it."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter

from tickwire.cli.units import parse_time
from tickwire.record.reading_settings import ReadingSettings

if TYPE_CHECKING:
    from tickwire.record.reader import Recording

__all__ = ["replay_app"]

replay_app = App(
    name="replay",
    help="""Serve a recording through the same stream and REST API as a live exchange.

The replay begins when somebody subscribes. Every topic begins with a SNAPSHOT of its state, wherever in the recording
that is; frames are those that were received, byte for byte, in their order and at their distances. REST answers market
data (and the account, where its topics were recorded) as of the replay's time; orders are refused. Keys are of this
replay alone, unless --data names a directory with some. Recordings need pyarrow: pip install 'tickwire[parquet]'.
""",
    help_epilogue="""Examples:

    tickwire replay recording

    tickwire replay recording --speed 10 --from +30m --to +45m

    tickwire replay recording --speed max --demo-key demo-key-1 --demo-secret demo-secret-1

    tickwire replay recording --loop --port 9000

    tickwire replay recording --check
""",
)


@replay_app.default
def replay_command(
    directory: Annotated[Path, Parameter(help="Directory of the recording.")],
    *,
    speed: Annotated[
        str, Parameter(help="How many times as fast as it was; max: as fast as the slowest reader takes it.")
    ] = "1",
    start: Annotated[
        str | None, Parameter(name="--from", help="Begin there: 2026-11-24T12:30:00, +10m or nanoseconds.")
    ] = None,
    end: Annotated[str | None, Parameter(name="--to", help="End there; as --from.")] = None,
    loop: Annotated[bool, Parameter(help="Begin again at the end; shifts time.", negative="")] = False,
    shift_time: Annotated[
        bool, Parameter(help="Let the ts of frames be as if it all happened now.", negative="")
    ] = False,
    check: Annotated[
        bool, Parameter(help="Read all of it, say what it holds and what is damaged, and serve nothing.", negative="")
    ] = False,
    as_json: Annotated[bool, Parameter(name="--json", help="With --check: print JSON.", negative="")] = False,
    settings: ReadingSettings = ReadingSettings(),  # noqa: B008  # frozen: one for all is fine
) -> None:
    """Replay a recording."""
    from tickwire.record.format import RecordingError
    from tickwire.record.player import PlayerSettings
    from tickwire.record.reader import Recording
    from tickwire.record.replay import replay
    from tickwire.service.listener import ServeError

    try:
        recording = Recording(directory)
        if check:
            sys.exit(_check(recording, as_json))
        begin, _ = recording.bounds()
        play = PlayerSettings(
            speed=_speed(speed),
            start=None if start is None else _time("--from", start, begin),
            end=None if end is None else _time("--to", end, begin),
            loop=loop,
            shift_time=shift_time or loop,
        )
        replay(directory, settings, play, say=lambda text: print(text, flush=True))
    except (RecordingError, ServeError, ValueError) as error:
        print(f"tickwire replay: {error}", file=sys.stderr)
        sys.exit(1)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.001 <= value <= 1e6:
        raise ValueError(f"--speed: expected 0.001 to 1000000, or max, got {text}")
    return value


def _time(flag: str, text: str, begin: int) -> int:
    try:
        return parse_time(text, begin)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None


def _check(recording: "Recording", as_json: bool) -> int:
    report = recording.check()
    if as_json:
        print(json.dumps(msgspec.to_builtins(report) | {"url": recording.header.url}, indent=2))
        return 1 if report.problems else 0

    def moment(time: int | None) -> str:
        return "none" if time is None else datetime.fromtimestamp(time / 1e9, UTC).isoformat(timespec="milliseconds")

    print(f"source   {recording.header.url}")
    print(f"rows     {report.rows:,} in {report.files:,} files, {report.bytes / 1e6:,.1f} MB of frames")
    print(f"time     {moment(report.first)} to {moment(report.last)}")
    for topic, frames in sorted(report.topics.items()):
        print(f"topic    {topic or '(none)'}: {frames:,} frames")
    for gap in report.gaps:
        print(f"gap      {moment(gap.lost)} to {moment(gap.back) if gap.back else 'the end'}: {gap.reason}")
    for problem in report.problems:
        print(f"problem  {problem}")
    print(f"{recording.directory}: {'NOT good' if report.problems else 'good'}")
    return 1 if report.problems else 0
