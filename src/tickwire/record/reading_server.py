"""A server that is read and not traded on: stream and REST over any feed, as a live server has them."""

import asyncio
import contextlib
import os
import secrets
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tickwire.bus.feed import Feed
from tickwire.keys.keyring import ApiKey, InvalidKey, KeyRing, KeyRingError
from tickwire.record.read_only import ReadOnlyGateway
from tickwire.record.reading_settings import ReadingSettings
from tickwire.rest.application import Application
from tickwire.rest.endpoint import Endpoint
from tickwire.rest.limits import RequestLimits
from tickwire.service.demo import demo_key
from tickwire.service.discovery import ServerInfo, announce, withdraw
from tickwire.service.listener import Listener, ServeError, base_url, bind
from tickwire.service.logs import start_logging
from tickwire.service.loop import LoopWatch
from tickwire.service.metrics import Front, metrics_page
from tickwire.service.tls import TlsError, reload_on_signal, server_context
from tickwire.stream.settings import StreamLimits, StreamSettings
from tickwire.stream.shared import Stream

__all__ = ["Opened", "ReadingServer", "opened"]


@dataclass(frozen=True)
class Opened:
    """What a server has before its event loop runs."""

    settings: ReadingSettings
    listener: socket.socket
    data: Path
    keys: KeyRing
    demo: ApiKey
    tls: ssl.SSLContext | None


@contextlib.contextmanager
def opened(settings: ReadingSettings, name: str) -> Iterator[Opened]:
    """Take the port, open the keys, read the certificate. ``name`` is of the command.

    Raises ``ServeError``, and ``ValueError`` for flags that do not go together.
    """
    settings.check()
    start_logging(settings.log_level, settings.log_format)
    with contextlib.ExitStack() as stack:
        try:
            tls = None
            if settings.tls_cert is not None and settings.tls_key is not None:
                tls = server_context(settings.tls_cert, settings.tls_key)
            listener = stack.enter_context(bind(settings.host, settings.port))
            data = settings.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"tickwire-{name}-")))
            data = data.resolve()
            keys = stack.enter_context(contextlib.closing(KeyRing.open(data)))
            demo = demo_key(keys, settings.demo_key, settings.demo_secret)
        except (KeyRingError, InvalidKey, TlsError) as error:
            raise ServeError(str(error)) from None
        yield Opened(settings, listener, data, keys, demo, tls)


class ReadingServer:
    """The server over ``feed``; made within its event loop.

    ``table`` is what REST answers by, writes are refused with ``refusal``; ``health`` gives what is shown of it besides
    the sessions.
    """

    def __init__(
        self,
        opened: Opened,
        feed: Feed,
        table: Sequence[Endpoint],
        refusal: str,
        health: Callable[[], dict[str, object]],
    ) -> None:
        settings = opened.settings
        self._opened = opened
        self._server = Listener(asyncio.get_running_loop())
        limits = StreamLimits() if settings.limits else StreamLimits.unlimited()
        self.stream = stream = Stream(feed, opened.keys, time.time_ns, StreamSettings(limits=limits))
        self.info = ServerInfo(
            pid=os.getpid(),
            url=base_url(opened.listener, tls=opened.tls is not None),
            data=str(opened.data),
            demo_key=opened.demo.key,
            demo_secret=opened.demo.secret,
            control_token=secrets.token_urlsafe(32),
            certificate=None if settings.tls_cert is None else str(settings.tls_cert.resolve()),
        )
        self._loop_watch = loop_watch = LoopWatch(asyncio.get_running_loop())
        self._application = application = Application(
            ReadOnlyGateway(opened.keys, time.time_ns, refusal),
            health=lambda: (
                health() | {"sessions": stream.hub.session_count, "subscriptions": stream.hub.subscription_count}
            ),
            metrics=lambda: metrics_page(Front(stream, application.counters, loop_watch)),
            metrics_token=settings.metrics_token,
            control_token=self.info.control_token,
            limits=RequestLimits() if settings.limits else None,
            table=table,
        )

    async def serve(self, started: Callable[[], None], say: Callable[[str], None]) -> None:
        """Serve until a signal or ``stop``; ``started`` is called once connections are taken.

        SIGHUP reads the certificate again; ``say`` gets a line on that.
        """
        settings, tls = self._opened.settings, self._opened.tls
        if tls is not None and settings.tls_cert is not None and settings.tls_key is not None:
            reload_on_signal(asyncio.get_running_loop(), tls, settings.tls_cert, settings.tls_key, say)

        def announced() -> None:
            announce(self.info, self._opened.data)
            started()

        try:
            await self._server.serve(self._application, self.stream, self._opened.listener, announced, tls=tls)
        finally:
            withdraw(self.info, self._opened.data)
            self._loop_watch.stop()

    def stop(self) -> None:
        """Close the sockets and leave."""
        self._server.stop()
