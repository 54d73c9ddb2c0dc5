"""`tickwire watch`: follow topics in the terminal, as live tables or as one frame a line."""

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from cyclopts import App, Parameter
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from tickwire.service.discovery import find_server
from tickwire.service.tls import trusting
from tickwire.wire.signing import STREAM_PATH, sign
from tickwire.wire.topics import TopicError, parse_topic

__all__ = ["watch_app"]

# How long a signature holds: long enough for a clock that is a little off, short enough to be of no use later.
SIGNATURE_SECONDS = 60
# How long the server may take to say good-bye: its answer can stand behind frames that nobody reads any more.
CLOSE_SECONDS = 0.5
FRAMES_A_SECOND = 10  # of the live tables; the eye sees no more
BOOK_ROWS = 12  # levels a side that a table shows
TABLE_ROWS = 20  # newest rows of a topic that a table shows

watch_app = App(
    name="watch",
    help="""Follow topics of the stream in the terminal until Ctrl-C.

The server and key come from --url, --key and --secret, or from TICKWIRE_URL, TICKWIRE_API_KEY and TICKWIRE_API_SECRET;
without them, a server running on this machine and its demo account are found.
""",
    help_epilogue="""Examples:

    tickwire watch ticker.BTCUSDT.PERP

    tickwire watch ticker.BTCUSDT.PERP orderbook.BTCUSDT.PERP kline.1.ETHUSDT.PERP

    tickwire watch account account.position account.order

    tickwire watch ticker.BTCUSDT.PERP --json | jq .data
""",
)


class _Failed(Exception):
    """Why nothing can be watched, with what to do about it."""


@watch_app.default
def watch(
    *topics: str,
    url: Annotated[str | None, Parameter(env_var="TICKWIRE_URL", help="Such as http://127.0.0.1:8080.")] = None,
    key: Annotated[str | None, Parameter(env_var="TICKWIRE_API_KEY", help="API key.")] = None,
    secret: Annotated[str | None, Parameter(env_var="TICKWIRE_API_SECRET", help="Its secret.")] = None,
    as_json: Annotated[bool, Parameter(name="--json", help="Print one frame a line.", negative="")] = False,
) -> None:
    """Follow topics."""
    try:
        if not topics:
            raise _Failed("expected a topic, such as: tickwire watch ticker.BTCUSDT.PERP")
        for topic in topics:
            parse_topic(topic)
        stream, key, secret, tls = _target(url, key, secret)
        asyncio.run(_follow(stream, key, secret, list(topics), as_json, tls))
    except (_Failed, TopicError) as error:
        print(f"tickwire watch: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _target(url: str | None, key: str | None, secret: str | None) -> tuple[str, str, str, ssl.SSLContext | None]:
    """The stream's address, the key, and what TLS is to trust: as given, else those of a server on this machine."""
    tls = None
    if url is None or key is None or secret is None:
        server = find_server(Path("tickwire-data")) or find_server()
        if server is None or (url is not None and _stream_url(url) != server.stream_url):
            missing = [
                name
                for name, value in (
                    ("TICKWIRE_URL", url),
                    ("TICKWIRE_API_KEY", key),
                    ("TICKWIRE_API_SECRET", secret),
                )
                if value is None
            ]
            raise _Failed(
                f"no such server found on this machine: start one with tickwire serve, or set {' '.join(missing)}"
            )
        url, key, secret = url or server.url, key or server.demo_key, secret or server.demo_secret
        if server.certificate is not None:
            try:
                tls = trusting(server.certificate)
            except OSError as error:
                raise _Failed(f"can't read the server's certificate {server.certificate}: {error}") from None
    stream = _stream_url(url)
    if tls is None and stream.startswith("wss:"):
        tls = ssl.create_default_context()
    return stream, key, secret, tls


def _stream_url(url: str) -> str:
    parts = urlsplit(url if "//" in url else f"http://{url}")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.netloc}{STREAM_PATH}"


async def _follow(
    url: str, key: str, secret: str, topics: list[str], as_json: bool, tls: ssl.SSLContext | None
) -> None:
    expires = str(int(time.time()) + SIGNATURE_SECONDS)
    headers = {"api-key": key, "api-expires": expires, "api-signature": sign(secret, "GET", STREAM_PATH, expires)}
    try:
        async with connect(
            url, additional_headers=headers, max_size=None, close_timeout=CLOSE_SECONDS, ssl=tls
        ) as connection:
            # 50 topics a frame is what every server of this API takes.
            for start in range(0, len(topics), 50):
                await connection.send(json.dumps({"op": "subscribe", "args": topics[start : start + 50]}))
            await (_print_frames(connection) if as_json else _show_tables(connection, topics))
            # Both go on until the server ends the stream; that it stops (1001) is not an exception for the library.
            raise _Failed(f"the server closed the stream: {connection.close_code} {connection.close_reason}")
    except InvalidStatus as error:
        code = error.response.headers.get("x-prex-error-type", "")
        raise _Failed(f"{url} refused the handshake: {error.response.status_code} {code}; {_advice(code)}") from None
    except ssl.SSLCertVerificationError as error:
        raise _Failed(
            f"{url} shows a certificate that is not trusted here: {error.verify_message}; "
            "if it is the right one, name its file in SSL_CERT_FILE"
        ) from None
    except BrokenPipeError:
        raise  # of our own output, not of the connection
    except (OSError, InvalidURI, InvalidHandshake, TimeoutError) as error:
        raise _Failed(f"can't reach {url}: {error}") from None
    except ConnectionClosed as error:
        raise _Failed(f"the server closed the stream: {error}") from None


def _advice(code: str) -> str:
    return {
        "api.unauthorized": "check the secret and this machine's clock",
        "api.invalidSession": "the key is unknown or revoked: tickwire key list",
        "Forbidden": "the key may not read, or not from this address",
        "TooManyRequests": "wait a little",
    }.get(code, "see the server's log")


def _check_reply(frame: dict[str, Any]) -> None:
    if frame.get("success") is False:
        raise _Failed(f"{', '.join(frame.get('args') or [])}: {frame['error']}: {frame['message']}")


async def _print_frames(connection: ClientConnection) -> None:
    async for text in connection:
        frame = json.loads(text)
        if "topic" in frame:
            # Each line leaves at once, or a pipe's reader would wait for a full buffer.
            print(text, flush=True)
        else:
            _check_reply(frame)


async def _show_tables(connection: ClientConnection, topics: list[str]) -> None:
    boards = {topic: Board(topic) for topic in topics}
    with Live(console=Console(), refresh_per_second=FRAMES_A_SECOND, get_renderable=lambda: _render(boards)):
        async for text in connection:
            frame = json.loads(text)
            if "topic" in frame:
                boards[frame["topic"]].take(frame)
            else:
                _check_reply(frame)


def _render(boards: dict[str, "Board"]) -> Group:
    return Group(*[board.table() for board in boards.values()])


class Board:
    """What a topic's table shows: the state that its frames add up to."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.kind = parse_topic(topic).kind.value
        self.frames = 0
        self.rows: dict[str, dict[str, Any]] = {}
        self.book: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}

    def take(self, frame: dict[str, Any]) -> None:
        """Add a frame."""
        self.frames += 1
        for part in frame["data"]:
            snapshot = part["actionType"] == "SNAPSHOT"
            if snapshot:
                self.rows.clear()
                self.book = {"bids": {}, "asks": {}}
            for row in part["rows"]:
                if self.kind.startswith("orderbook"):
                    self._take_levels(row)
                elif isinstance(row, list):
                    self.rows[row[0]] = dict(
                        zip(("start", "open", "high", "low", "close", "volume", "turnover"), row, strict=True)
                    )
                else:
                    name = next((row[k] for k in ("orderId", "asset", "symbol", "currency") if row.get(k)), "account")
                    if self.kind == "account.execution":
                        name = row["execId"]
                    self.rows.setdefault(name, {}).update(row)
        while len(self.rows) > TABLE_ROWS:
            del self.rows[next(iter(self.rows))]

    def _take_levels(self, row: dict[str, Any]) -> None:
        for side in ("bids", "asks"):
            levels = self.book[side]
            for price, quantity in row[side]:
                if quantity == "0":
                    levels.pop(price, None)
                else:
                    levels[price] = quantity

    def table(self) -> Table:
        """The table as it stands."""
        table = Table(title=f"{self.topic}  [dim]{self.frames} frames[/dim]", title_justify="left")
        if self.kind.startswith("orderbook"):
            for name in ("bid size", "bid", "ask", "ask size"):
                table.add_column(name, justify="right")
            bids = sorted(self.book["bids"].items(), key=lambda level: -float(level[0]))[:BOOK_ROWS]
            asks = sorted(self.book["asks"].items(), key=lambda level: float(level[0]))[:BOOK_ROWS]
            for index in range(max(len(bids), len(asks))):
                bid = bids[index] if index < len(bids) else ("", "")
                ask = asks[index] if index < len(asks) else ("", "")
                table.add_row(bid[1], f"[green]{bid[0]}[/green]", f"[red]{ask[0]}[/red]", ask[1])
            return table
        rows = list(self.rows.values())
        names = list(
            dict.fromkeys(name for row in rows for name in row if any(r.get(name) not in (None, []) for r in rows))
        )
        if len(rows) == 1:
            # One row reads better from top to bottom.
            table.add_column("field")
            table.add_column("value", justify="right")
            for name in names:
                table.add_row(name, _cell(rows[0].get(name)))
            return table
        for name in names:
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*[_cell(row.get(name)) for name in names])
        return table


def _cell(value: object) -> str:
    return "" if value is None else str(value)
