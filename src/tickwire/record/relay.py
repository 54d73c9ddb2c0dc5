"""The relay: one connection to an upstream, any number of local readers with keys and limits of their own."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from tickwire import __version__
from tickwire.client.connection import Connection, ConnectionSettings, StreamEnded
from tickwire.client.errors import ClientError
from tickwire.client.policy import BackOff
from tickwire.client.rest import RestClient
from tickwire.client.retries import Retries
from tickwire.record.reading_server import Opened, ReadingServer, opened
from tickwire.record.reading_settings import ReadingSettings
from tickwire.record.relay_feed import RelayFeed, notice
from tickwire.record.relay_rest import UpstreamReads, relay_endpoints
from tickwire.record.upstream import Upstream
from tickwire.service.demo import command
from tickwire.service.discovery import ServerInfo
from tickwire.service.listener import ServeError
from tickwire.stream.shared import LoopTimers
from tickwire.wire import rows

__all__ = ["RelaySettings", "relay"]

# A reader of ours waits meanwhile: who is not answered soon had better know.
_REST_SECONDS = 5.0
_REST_RETRIES = Retries(attempts=2)
# Pause between two tries to reach an upstream that is not there when the relay starts.
_START_SECONDS = 1.0
# How often the list of symbols is read again: exchanges add some now and then.
_SYMBOLS_SECONDS = 300.0
# How often the history of missed executions is asked for, and the pause between.
_HISTORY_TRIES = 20
_HISTORY_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class RelaySettings:
    """The upstream, and how it is shared."""

    upstream: str
    upstream_key: str
    upstream_secret: str
    tls: ssl.SSLContext | None = None  # for an upstream with a certificate of its own
    account: str = "upstream"  # stands for the upstream's: its keys see account topics
    linger: float = 5.0  # seconds that a topic is kept after its last reader
    topics_per_socket: int = 1_000
    keep_replies: float = 1.0  # seconds that a reply with market data is shared
    longest_wait: float = 10.0  # seconds between two tries to reach an upstream that is lost


def relay(settings: RelaySettings, reading: ReadingSettings, say: Callable[[str], None] = print) -> None:
    """Serve the upstream's stream until told to stop. Raises ``ServeError``."""
    with opened(reading, "relay") as front:
        uvloop.run(_Relay(settings, say).run(front))


class _Relay:
    """One relay from its start to its end."""

    def __init__(self, settings: RelaySettings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._failure: StreamEnded | None = None
        self._server: ReadingServer
        self._upstream: Upstream

    async def run(self, front: Opened) -> None:
        settings = self._settings
        loop = asyncio.get_running_loop()
        async with RestClient(
            settings.upstream,
            settings.upstream_key,
            settings.upstream_secret,
            timeout=_REST_SECONDS,
            retries=_REST_RETRIES,
            ssl_context=settings.tls,
        ) as rest:
            feed = RelayFeed(
                await self._first_symbols(rest),
                settings.account,
                LoopTimers(),
                linger=settings.linger,
                tell=lambda key, payload: self._server.stream.hub.tell(payload, key),
                history=lambda start: _executions(rest, start),
            )
            reads = UpstreamReads(rest, settings.keep_replies, loop.time)
            self._server = ReadingServer(
                front, feed, relay_endpoints(reads, settings.account), "RelayOnly", lambda: self._health(feed, reads)
            )
            wait = settings.longest_wait
            connection = ConnectionSettings(back_off=BackOff(first=min(0.5, wait), longest=wait))
            feed.upstream = self._upstream = Upstream(
                lambda: Connection(
                    settings.upstream,
                    settings.upstream_key,
                    settings.upstream_secret,
                    settings=connection,
                    clock=rest.clock.now,
                    tls=settings.tls,
                ),
                settings.topics_per_socket,
                received=feed.receive,
                resubscribed=feed.resubscribed,
                changed=self._changed,
                failed=self._failed,
            )
            watching = loop.create_task(_watch_symbols(rest, feed))
            try:
                await self._server.serve(lambda: self._start(feed), self._say)
            finally:
                watching.cancel()
                await self._upstream.stop()
        if self._failure is not None:
            raise ServeError(f"the upstream will have nothing more to do with us: {self._failure}")

    def _start(self, feed: RelayFeed) -> None:
        self._upstream.start()
        self._say(_banner(self._server.info, self._settings, feed))

    async def _first_symbols(self, rest: RestClient) -> list[str]:
        """Wait for the upstream, and learn what it has. Raises ``ServeError`` when it refuses."""
        said = ""
        while True:
            try:
                return await _symbols(rest)
            except ClientError as error:
                if not error.temporary:
                    raise ServeError(
                        f"the upstream refuses: {error}; see --upstream-key and --upstream-secret"
                    ) from None
                if str(error) != said:
                    said = str(error)
                    self._say(f"waiting for the upstream: {said}")
            await asyncio.sleep(_START_SECONDS)

    def _health(self, feed: RelayFeed, reads: UpstreamReads) -> dict[str, object]:
        upstream = self._upstream
        return {
            "status": "ok" if upstream.connected else "failing",
            "version": __version__,
            "upstream": self._settings.upstream,
            "upstreamConnected": upstream.connected,
            "upstreamReason": upstream.reason,
            "upstreamSockets": upstream.sockets,
            "upstreamLosses": upstream.losses,
            "upstreamTopics": feed.topics,
            "frames": feed.frames,
            "unreadableFrames": feed.failures,
            "readsAsked": reads.asked,
            "readsShared": reads.shared,
        }

    def _changed(self) -> None:
        """Tell all readers, and those to come while it is away. That it is there at all goes without saying."""
        upstream, hub = self._upstream, self._server.stream.hub
        if not upstream.losses:
            return
        payload = notice(upstream.connected, upstream.reason, time.time_ns())
        hub.notice = None if upstream.connected else payload
        hub.tell(payload)
        self._say("the upstream is back" if upstream.connected else f"the upstream is lost: {upstream.reason}")

    def _failed(self, ended: StreamEnded) -> None:
        self._failure = ended
        self._server.stop()


async def _symbols(rest: RestClient) -> list[str]:
    found = await rest.symbols()
    return [*found.perpetual_swap, *found.spot]


async def _watch_symbols(rest: RestClient, feed: RelayFeed) -> None:
    while True:
        await asyncio.sleep(_SYMBOLS_SECONDS)
        # What is known stays true while the upstream does not answer.
        with contextlib.suppress(ClientError):
            feed.symbols = dict.fromkeys(await _symbols(rest))


async def _executions(rest: RestClient, start: int) -> list[rows.Execution] | None:
    """Executions from a time on, newest first; ``None`` when the upstream does not give them."""
    for _ in range(_HISTORY_TRIES):
        try:
            return [row async for row in rest.iterate_executions(start=start)]
        except ClientError as error:
            if not error.temporary:
                break
        await asyncio.sleep(_HISTORY_SECONDS)
    return None


def _banner(info: ServerInfo, settings: RelaySettings, feed: RelayFeed) -> str:
    symbols = list(feed.symbols)
    return f"""
tickwire {__version__} relays {settings.upstream}: {", ".join(symbols[:8])}{" ..." if len(symbols) > 8 else ""}

  stream  {info.stream_url}
  REST    {info.url}/api/v1

  key for market data
    key     {info.demo_key}
    secret  {info.demo_secret}

  stream a ticker (in another terminal):
    {command()} watch ticker.{symbols[0] if symbols else "SYMBOL"}

  for your own programs:
    export TICKWIRE_URL={info.url} TICKWIRE_API_KEY={info.demo_key} TICKWIRE_API_SECRET={info.demo_secret}

  account topics are for keys of the account {settings.account!r}:
    {command()} key create --account {settings.account} --data {info.data}

Ctrl-C stops it.
"""
