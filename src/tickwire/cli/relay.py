"""`tickwire relay`: one upstream connection for any number of local readers."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tickwire.record.reading_settings import ReadingSettings

__all__ = ["relay_app"]

relay_app = App(
    name="relay",
    help="""Serve the stream of another server to any number of local readers, over one connection to it.

Readers have keys and limits of their own, and subscribe as they would upstream. A topic is subscribed upstream with its
first reader; a later one begins with the newest state at once. Frames are passed on byte for byte. When the upstream is
lost, readers are told by a message {"op":"upstream","connected":false,...}; when it is back, each topic goes on with a
SNAPSHOT, and executions that were missed are read from the history. Reads over REST are passed on, market data at most
once a second; writes are refused.

Market topics are for all keys; account topics are for keys of the account that --account names.
""",
    help_epilogue="""Examples:

    tickwire relay --upstream wss://exchange.example --upstream-key KEY --upstream-secret SECRET

    tickwire relay --upstream http://127.0.0.1:8080 --port 8081 --data relay-data

    tickwire key create --account upstream --data relay-data

    tickwire watch ticker.BTCUSDT.PERP --url http://127.0.0.1:8081
""",
)


@relay_app.default
def relay_command(
    *,
    upstream: Annotated[str, Parameter(env_var="TICKWIRE_UPSTREAM", help="Such as wss://exchange.example.")],
    upstream_key: Annotated[
        str, Parameter(env_var="TICKWIRE_UPSTREAM_KEY", help="API key for the upstream; scope read is enough.")
    ],
    upstream_secret: Annotated[str, Parameter(env_var="TICKWIRE_UPSTREAM_SECRET", help="Its secret.")],
    upstream_cert: Annotated[
        Path | None, Parameter(help="Certificate to trust, for an upstream with one of its own.")
    ] = None,
    account: Annotated[str, Parameter(help="Its keys see the upstream's account topics.")] = "upstream",
    linger: Annotated[float, Parameter(help="Seconds that a topic is kept after its last reader.")] = 5.0,
    topics_per_socket: Annotated[
        int, Parameter(help="Topics that the upstream allows on a socket; more open another one.")
    ] = 1_000,
    keep_replies: Annotated[float, Parameter(help="Seconds that a reply with market data is shared.")] = 1.0,
    longest_wait: Annotated[
        float, Parameter(help="Seconds between two tries to reach a lost upstream, at most.")
    ] = 10.0,
    reading: ReadingSettings = ReadingSettings(),  # noqa: B008  # frozen: one for all is fine
) -> None:
    """Relay a stream."""
    from tickwire.client.address import rest_url
    from tickwire.record.relay import RelaySettings, relay
    from tickwire.service.listener import ServeError
    from tickwire.service.tls import TlsError, trusting

    try:
        try:
            rest_url(upstream)
        except ValueError as error:
            raise ValueError(f"--upstream: {error}") from None
        for flag, number, least in (
            ("--linger", linger, 0.0),
            ("--keep-replies", keep_replies, 0.0),
            ("--longest-wait", longest_wait, 0.0),
            ("--topics-per-socket", topics_per_socket, 1),
        ):
            if not number >= least:
                raise ValueError(f"{flag}: expected at least {least:g}, got {number:g}")
        settings = RelaySettings(
            upstream=upstream,
            upstream_key=upstream_key,
            upstream_secret=upstream_secret,
            tls=None if upstream_cert is None else trusting(str(upstream_cert)),
            account=account,
            linger=linger,
            topics_per_socket=topics_per_socket,
            keep_replies=keep_replies,
            longest_wait=longest_wait,
        )
        relay(settings, reading, say=lambda text: print(text, flush=True))
    except (ServeError, TlsError, ValueError, OSError) as error:
        print(f"tickwire relay: {error}", file=sys.stderr)
        sys.exit(1)
