"""The server of a replay: the stream and REST of the exchange, over a recording, on one port."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from tickwire import __version__
from tickwire.record.format import RecordingError
from tickwire.record.player import Player, PlayerSettings
from tickwire.record.reader import Recording
from tickwire.record.reading_server import Opened, ReadingServer, opened
from tickwire.record.reading_settings import ReadingSettings
from tickwire.record.replay_feed import ReplayFeed
from tickwire.record.replay_rest import replay_endpoints
from tickwire.service.demo import command
from tickwire.service.discovery import ServerInfo

__all__ = ["replay"]


def replay(
    directory: Path, settings: ReadingSettings, play: PlayerSettings, say: Callable[[str], None] = print
) -> None:
    """Serve the recording in ``directory`` until told to stop. Raises ``ServeError`` and ``RecordingError``."""
    recording = Recording(directory)
    first, last = recording.bounds()
    start = play.start
    if start is not None and start > last:
        raise RecordingError(f"--from: expected a time before the recording's end {_text(last)}, got {_text(start)}")
    if play.end is not None and play.end < (start or first):
        raise RecordingError(f"--to: expected a time after the begin {_text(start or first)}, got {_text(play.end)}")
    with opened(settings, "replay") as front:
        failure = uvloop.run(_serve(recording, front, play, say))
    if failure is not None:
        raise failure


async def _serve(
    recording: Recording, front: Opened, play: PlayerSettings, say: Callable[[str], None]
) -> Exception | None:
    """Serve until a signal or a damaged file; gives the failure."""
    feed = ReplayFeed(recording.topics())

    def health() -> dict[str, object]:
        return {
            "status": "failing" if failures else "ok",
            "version": __version__,
            "replay": str(recording.directory),
            "time": str(feed.state.now),
            "playing": feed.subscribed.is_set() and not player.ended,
            "rounds": player.rounds,
            "unreadableFrames": feed.state.topics.failures,
        }

    server = ReadingServer(front, feed, replay_endpoints(lambda: feed.state), "ReplayOnly", health)
    player = Player(recording, feed, play, behind=lambda: server.stream.hub.behind, clock=time.time_ns)
    failures: list[Exception] = []
    tasks: list[asyncio.Task[None]] = []

    async def run() -> None:
        try:
            await player.run(lambda: say(_banner(server.info, recording, feed, play)))
            say(f"the recording has ended at {_text(feed.state.now)}; what was newest can still be read")
        except RecordingError as error:
            failures.append(error)
            server.stop()

    try:
        await server.serve(lambda: tasks.append(asyncio.create_task(run())), say)
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    return failures[0] if failures else None


def _banner(info: ServerInfo, recording: Recording, feed: ReplayFeed, play: PlayerSettings) -> str:
    first, last = recording.bounds()
    speed = "as fast as it is read" if play.speed is None else f"at speed {play.speed:g}"
    topics = sorted(feed.topics)
    shown = ", ".join(topics[:4]) + (f" and {len(topics) - 4} more" if len(topics) > 4 else "")
    return f"""
tickwire {__version__} replays {recording.directory} {speed}: {shown}

  recorded {_text(first)} to {_text(last)}, from {recording.header.url}
  begins   {_text(feed.state.now)}, with the first subscriber

  stream  {info.stream_url}
  REST    {info.url}/api/v1

  demo account
    key     {info.demo_key}
    secret  {info.demo_secret}

  watch it (in another terminal):
    {command()} watch {topics[0] if topics else "TOPIC"}

  for your own programs:
    export TICKWIRE_URL={info.url} TICKWIRE_API_KEY={info.demo_key} TICKWIRE_API_SECRET={info.demo_secret}

Ctrl-C stops it.
"""


def _text(time: int) -> str:
    return datetime.fromtimestamp(time / 1e9, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
