"""The server of a replay: the stream and REST of the exchange, over a recording, on one port."""

import asyncio
import contextlib
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from tickwire import __version__
from tickwire.keys.keyring import InvalidKey, KeyRing, KeyRingError
from tickwire.record.format import RecordingError
from tickwire.record.player import Player, PlayerSettings
from tickwire.record.read_only import ReadOnlyGateway
from tickwire.record.reader import Recording
from tickwire.record.replay_feed import ReplayFeed
from tickwire.record.replay_rest import replay_endpoints
from tickwire.rest.application import Application
from tickwire.rest.limits import RequestLimits
from tickwire.service.demo import command, demo_key
from tickwire.service.discovery import ServerInfo, announce, withdraw
from tickwire.service.listener import Listener, ServeError, base_url, bind
from tickwire.service.loop import LoopWatch
from tickwire.service.metrics import Front, metrics_page
from tickwire.stream.settings import StreamLimits, StreamSettings
from tickwire.stream.shared import Stream

__all__ = ["ReplaySettings", "replay"]


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """Where a replay listens, who may read it, and what is played."""

    host: str = "127.0.0.1"
    port: int = 8080
    data: Path | None = None  # for keys; None: a directory of this run alone
    demo_key: str | None = None
    demo_secret: str | None = None
    limits: bool = True
    play: PlayerSettings = PlayerSettings()  # noqa: RUF009  # frozen: one for all is fine


def replay(directory: Path, settings: ReplaySettings, say: Callable[[str], None] = print) -> None:
    """Serve the recording in ``directory`` until told to stop. Raises ``ServeError`` and ``RecordingError``."""
    recording = Recording(directory)
    first, last = recording.bounds()
    start = settings.play.start
    if start is not None and start > last:
        raise RecordingError(f"--from: expected a time before the recording's end {_text(last)}, got {_text(start)}")
    if settings.play.end is not None and settings.play.end < (start or first):
        raise RecordingError(
            f"--to: expected a time after the begin {_text(start or first)}, got {_text(settings.play.end)}"
        )
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(bind(settings.host, settings.port))
        data = settings.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tickwire-replay-")))
        data = data.resolve()
        try:
            keys = stack.enter_context(contextlib.closing(KeyRing.open(data)))
            failure = uvloop.run(_serve(recording, settings, listener, data, keys, say))
        except (KeyRingError, InvalidKey) as error:
            raise ServeError(str(error)) from None
    if failure is not None:
        raise failure


async def _serve(
    recording: Recording,
    settings: ReplaySettings,
    listener: socket.socket,
    data: Path,
    keys: KeyRing,
    say: Callable[[str], None],
) -> Exception | None:
    """Serve until a signal or a damaged file; gives the failure."""
    feed = ReplayFeed(recording.topics())
    clock = time.time_ns
    limits = StreamLimits() if settings.limits else StreamLimits.unlimited()
    stream = Stream(feed, keys, clock, StreamSettings(limits=limits))
    player = Player(recording, feed, settings.play, behind=lambda: stream.hub.behind, clock=clock)
    demo = demo_key(keys, settings.demo_key, settings.demo_secret)
    info = ServerInfo(
        pid=os.getpid(),
        url=base_url(listener),
        data=str(data),
        demo_key=demo.key,
        demo_secret=demo.secret,
        control_token=secrets.token_urlsafe(32),
    )

    def health() -> dict[str, object]:
        return {
            "status": "failing" if failures else "ok",
            "version": __version__,
            "replay": str(recording.directory),
            "time": str(feed.state.now),
            "playing": feed.subscribed.is_set() and not player.ended,
            "rounds": player.rounds,
            "unreadableFrames": feed.state.topics.failures,
            "sessions": stream.hub.session_count,
            "subscriptions": stream.hub.subscription_count,
        }

    loop_watch = LoopWatch(asyncio.get_running_loop())
    application = Application(
        ReadOnlyGateway(keys, clock, "ReplayOnly"),
        health=health,
        metrics=lambda: metrics_page(Front(stream, application.counters, loop_watch)),
        control_token=info.control_token,
        limits=RequestLimits() if settings.limits else None,
        table=replay_endpoints(lambda: feed.state),
    )
    server = Listener(asyncio.get_running_loop())
    failures: list[Exception] = []

    async def play() -> None:
        try:
            await player.run(lambda: say(_banner(info, recording, feed, settings)))
            say(f"the recording has ended at {_text(feed.state.now)}; what was newest can still be read")
        except RecordingError as error:
            failures.append(error)
            server.stop()

    tasks: list[asyncio.Task[None]] = []

    def started() -> None:
        announce(info, data)
        tasks.append(asyncio.create_task(play()))

    try:
        await server.serve(application, stream, listener, started)
    finally:
        withdraw(info, data)
        loop_watch.stop()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    return failures[0] if failures else None


def _banner(info: ServerInfo, recording: Recording, feed: ReplayFeed, settings: ReplaySettings) -> str:
    first, last = recording.bounds()
    speed = "as fast as it is read" if settings.play.speed is None else f"at speed {settings.play.speed:g}"
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
