"""REST and stream on one port: what every server of this project, live or replaying, listens with.

uvicorn serves HTTP and hands upgrades to the stream. Here are its settings, the signals that end it, and how long it
takes to leave.
"""

import asyncio
import resource
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import uvicorn

from tickwire.rest.application import Application
from tickwire.stream.connections import make_http_protocol
from tickwire.stream.transport import Stream, make_stream_protocol

__all__ = ["Listener", "ServeError", "base_url", "bind"]

# Sockets get this long to answer the close frame before the process leaves.
CLOSE_SECONDS = 0.5
_OTHER_FILES = 200  # the journal, the keys, and those that are still being closed
_MOST_FILES = 1_048_576  # what Linux allows at most unless told otherwise
_ALL = "0.0.0.0"  # noqa: S104  # only to show an address that can be connected to


class ServeError(Exception):
    """The server can't start, or had to stop; the message says why."""


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one. Raises ``ServeError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise ServeError(f"can't listen on {host} port {port}: {error}; choose another with --port") from None
    return listener


def base_url(listener: socket.socket, *, tls: bool = False) -> str:
    """The base for REST under which a bound socket can be reached from this machine."""
    host, port = listener.getsockname()[:2]
    shown = {_ALL: "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http{'s' if tls else ''}://{shown}:{port}"


def _allow_files(connections: int) -> None:
    """Let the process have as many files open as it may take connections, where the system allows it.

    The usual soft limit of 1,024 is for programs that use select().
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(connections + _OTHER_FILES, _MOST_FILES)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS says there is no hard limit, and then knows one.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Server(uvicorn.Server):
    """uvicorn with our own word on when it has started, and without raising the signal again when it has stopped.

    ``patience``: seconds for a TLS handshake, which uvicorn has no setting for.
    """

    def __init__(self, config: uvicorn.Config, patience: float, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._patience = patience
        self._say_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        config = self.config
        made: Callable[..., asyncio.Protocol] = config.http_protocol_class
        protocol = partial(made, config=config, server_state=self.server_state, app_state=self.lifespan.state)
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                protocol,
                sock=listener,
                ssl=config.ssl,
                ssl_handshake_timeout=None if config.ssl is None else self._patience,
                backlog=config.backlog,
            )
            for listener in sockets or ()
        ]
        self.started = True
        self._say_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listener:
    """One server, from its start to the signal (or the call of ``stop``) that ends it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._server: _Server | None = None

    def stop(self) -> None:
        """Close the sockets and leave; called again, leave without waiting for them."""
        server = self._server
        if server is None:
            return
        # A second signal does not wait for sockets to close.
        server.force_exit = server.should_exit
        server.should_exit = True
        # Not uvicorn's own timeout: it would call one client that does not answer its close frame an error.
        self._loop.call_later(CLOSE_SECONDS, self._leave)

    def _leave(self) -> None:
        if self._server is not None:
            self._server.force_exit = True

    async def serve(
        self,
        application: Application,
        stream: Stream,
        listener: socket.socket,
        started: Callable[[], None],
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Serve until SIGINT, SIGTERM or ``stop``; ``started`` is called once connections are taken.

        SIGUSR1 ends it too, and tells the streams that it is for a restart. With ``tls`` REST and stream are ``https``
        and ``wss``.
        """
        config = uvicorn.Config(
            application,
            http=make_http_protocol(stream),
            ws=make_stream_protocol(stream),
            lifespan="off",
            # Its warnings are a line for each request that is no HTTP, without an address: of no use to anybody.
            log_level="error",
            # To where all logs go, rather than to a handler of its own.
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            # uvicorn would believe X-Forwarded-For of a peer on this machine: a key's allow-list and the limits go by
            # the address that a peer has.
            proxy_headers=False,
            backlog=4096,
            # A bot may think for a while between two orders; the default of 5 s would meet its next one with a close.
            timeout_keep_alive=75,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        )
        self._server = _Server(config, stream.settings.request_timeout, started)

        def restart() -> None:
            stream.leave_as = "restart"
            self.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self.stop)
        self._loop.add_signal_handler(signal.SIGUSR1, restart)
        _allow_files(stream.settings.limits.connections)
        await self._server.serve(sockets=[listener])
