"""The server from start to stop: data directory, engine, market, REST and stream on one port."""

import asyncio
import gc
import logging
import os
import secrets
import socket
import ssl
import time
from collections.abc import Callable

import uvloop

from tickwire import __version__
from tickwire.exchange.engine import Engine
from tickwire.exchange.projection import Projector
from tickwire.exchange.snapshot import SnapshotError
from tickwire.journal.database import DamagedJournalError, StoreError
from tickwire.journal.store import Store
from tickwire.keys.keyring import InvalidKey, KeyRing, KeyRingError
from tickwire.rest.application import Application
from tickwire.rest.limits import RequestLimits
from tickwire.service.demo import command, demo_key
from tickwire.service.discovery import ServerInfo, announce, withdraw
from tickwire.service.drivers import ClockDriver, MarketDriver, fill_history
from tickwire.service.listener import Listener, ServeError, base_url, bind
from tickwire.service.logs import start_logging
from tickwire.service.loop import LoopWatch
from tickwire.service.metrics import Front, metrics_page
from tickwire.service.repair import repair
from tickwire.service.replay import Replay
from tickwire.service.rules import Rules, RulesError
from tickwire.service.sequencer import Sequencer
from tickwire.service.settings import Settings
from tickwire.service.tls import TlsError, reload_on_signal, server_context
from tickwire.stream.shared import Stream

__all__ = ["ServeError", "serve"]

_log = logging.getLogger("tickwire.service")


def serve(settings: Settings, say: Callable[[str], None] = print, *, cut_damage: bool = False) -> None:
    """Run the exchange until it is told to stop. Raises ``ServeError``.

    ``cut_damage``: where the end of the journal is damaged, go on without it instead of refusing to start.
    """
    start_logging(settings.log_level, settings.log_format)
    try:
        rules = Rules.of(settings)
        tls = _tls(settings)
        with bind(settings.host, settings.port) as listener:
            if cut_damage:
                repair(settings.data, rules, say)
            failure = uvloop.run(_run(settings, rules, listener, tls, say))
    except DamagedJournalError as error:
        advice = "restore a copy" if cut_damage else "start with --repair to go on without what can't be read"
        raise ServeError(f"{error}; {advice}") from None
    except (StoreError, KeyRingError, SnapshotError, RulesError, InvalidKey, TlsError) as error:
        raise ServeError(str(error)) from None
    if failure is not None:
        raise ServeError(f"the journal can't be written, so the exchange stopped: {failure}")


def _recover(store: Store, rules: Rules, say: Callable[[str], None]) -> Engine:
    """The engine as it was: the newest snapshot and the commands after it, each under the rules it was made under."""
    recovery = store.recover()
    started = time.monotonic()
    replay = Replay(recovery, rules)
    for batch in recovery.batches:
        replay.run(batch)
    if replay.commands:
        made = f", made by tickwire {', '.join(sorted(replay.versions))}" if replay.versions else ""
        seconds = time.monotonic() - started
        say(f"recovered {replay.commands} commands after the last snapshot{made} in {seconds:.1f} s")
    engine = replay.engine
    if replay.rules != rules and engine.sequence:
        rules.check_follows(replay.rules)
        engine = rules.engine(engine.dump())
    if replay.rules != rules or not recovery.rules:
        store.set_rules(rules.encode())
    return engine


async def _run(
    settings: Settings, rules: Rules, listener: socket.socket, tls: ssl.SSLContext | None, say: Callable[[str], None]
) -> Exception | None:
    """Open the data directory and serve until a signal or a failure of the journal; gives the failure."""
    store = Store.open(
        settings.data, settings.durability, loop=asyncio.get_running_loop(), retention=settings.retention()
    )
    try:
        keys = KeyRing.open(settings.data)
        try:
            engine = _recover(store, rules, say)
            return await _serve(settings, listener, tls, store, keys, engine, say)
        finally:
            keys.close()
    finally:
        store.close()


async def _serve(
    settings: Settings,
    listener: socket.socket,
    tls: ssl.SSLContext | None,
    store: Store,
    keys: KeyRing,
    engine: Engine,
    say: Callable[[str], None],
) -> Exception | None:
    loop = asyncio.get_running_loop()
    failures: list[Exception] = []
    server = Listener(loop)

    def failed(error: Exception) -> None:
        failures.append(error)
        # At once: closing the sockets comes before the server's last word.
        _log.error("the journal can't be written: the exchange stops", extra={"fields": {"error": str(error)}})
        server.stop()

    sequencer = Sequencer(
        engine,
        Projector(engine, settings.projection_settings()),
        store,
        keys,
        loop=loop,
        initial_deposit=settings.initial_deposit(),
        snapshot_every=settings.snapshot_every,
        failed=failed,
    )
    demo = demo_key(keys, settings.demo_key, settings.demo_secret)
    for account in dict.fromkeys(key.account for key in keys.list()):
        await sequencer.open_account(account)
    instruments = {symbol: open_market.instrument for symbol, open_market in engine.markets.items()}
    market: MarketDriver | None = None
    if settings.market:
        if fill_history(instruments, settings.seed, sequencer):
            say("made the past of the market: 1,000 candles of each interval, of months all that timestamps reach")
            sequencer.save_snapshot()
        market = MarketDriver(instruments, settings.seed, sequencer, loop)
    clock = ClockDriver(sequencer, loop)

    stream = Stream(sequencer.feed, keys, sequencer.clock, settings.stream_settings())
    started_at = time.monotonic()

    def health() -> dict[str, object]:
        return {
            "status": "failing" if failures else "ok",
            "version": __version__,
            "uptimeSeconds": round(time.monotonic() - started_at, 3),
            "sequence": engine.sequence,
            "time": str(engine.time),
            "sessions": stream.hub.session_count,
            "subscriptions": stream.hub.subscription_count,
            "market": market is not None,
        }

    def metrics() -> str:
        return metrics_page(Front(stream, application.counters, loop_watch), sequencer)

    loop_watch = LoopWatch(loop)
    control_token = secrets.token_urlsafe(32)
    application = Application(
        sequencer,
        health=health,
        metrics=metrics,
        control_token=control_token,
        metrics_token=settings.metrics_token,
        limits=RequestLimits(settings.requests_per_second) if settings.limits else None,
        open_orders=settings.open_orders,
    )
    info = ServerInfo(
        pid=os.getpid(),
        url=base_url(listener, tls=tls is not None),
        data=str(settings.data.resolve()),
        demo_key=demo.key,
        demo_secret=demo.secret,
        control_token=control_token,
        certificate=None if settings.tls_cert is None else str(settings.tls_cert.resolve()),
    )

    def started() -> None:
        try:
            announce(info, settings.data)
        except OSError as error:
            raise ServeError(f"{error.filename}: can't be written: {error.strerror}") from None
        say(_banner(info, engine, market is not None))

    if tls is not None and settings.tls_cert is not None and settings.tls_key is not None:
        reload_on_signal(loop, tls, settings.tls_cert, settings.tls_key, say)
    # What exists now lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    try:
        await server.serve(application, stream, listener, started, tls=tls)
    finally:
        withdraw(info, settings.data)
        loop_watch.stop()
        clock.stop()
        if market is not None:
            market.stop()
        await sequencer.close()
    return failures[0] if failures else None


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return server_context(settings.tls_cert, settings.tls_key)


def _banner(info: ServerInfo, engine: Engine, market: bool) -> str:
    symbols = ", ".join(engine.markets)
    return f"""
tickwire {__version__} is live{"" if market else ", without a simulated market"}: {symbols}

  stream  {info.stream_url}
  REST    {info.url}/api/v1
  docs    {info.url}/docs

  demo account
    key     {info.demo_key}
    secret  {info.demo_secret}

  stream a ticker (in another terminal):
    {command()} watch ticker.{next(iter(engine.markets))}

  for your own programs:
    export TICKWIRE_URL={info.url} TICKWIRE_API_KEY={info.demo_key} TICKWIRE_API_SECRET={info.demo_secret}

Ctrl-C stops it. State is kept in {info.data}
"""
