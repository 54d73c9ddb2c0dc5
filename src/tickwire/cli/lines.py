"""Topics as lines for pipes and files: one frame of the stream a line, or one row of it as CSV."""

import csv
import json
import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from tickwire.cli.target import Found, untrusted, why_ended
from tickwire.client.connection import Connection, StreamEnded
from tickwire.client.events import Connected, RawFrame, Reconnecting
from tickwire.wire import rows
from tickwire.wire.topics import TopicKind, parse_topic

__all__ = ["LinesError", "csv_printer", "follow_lines", "print_frame"]

_ROWS: dict[TopicKind, type[msgspec.Struct]] = {
    TopicKind.TICKER: rows.Ticker,
    TopicKind.ACCOUNT: rows.AccountInfo,
    TopicKind.MARGIN: rows.Margin,
    TopicKind.BALANCE: rows.Balance,
    TopicKind.POSITION: rows.Position,
    TopicKind.ORDER: rows.Order,
    TopicKind.EXECUTION: rows.Execution,
}
_CANDLE = ("startTime", "open", "high", "low", "close", "volume", "turnover")
_LEVEL = ("seq", "symbol", "side", "price", "quantity")


class LinesError(Exception):
    """Why there are no lines, or no more of them."""


async def follow_lines(found: Found, topics: Iterable[str], show: Callable[[bytes], None]) -> None:
    """Give each data frame of some topics to ``show``, for ever.

    A connection that is lost is made anew, and stderr says so; each topic goes on with a SNAPSHOT then. Raises
    ``LinesError`` when the server cannot be reached at the beginning, refuses a topic, or wants us no more.
    """
    connected = False
    connection = Connection(found.url, found.key, found.secret, topics=topics, tls=found.tls)
    try:
        async with connection:
            async for item in connection:
                match item:
                    case RawFrame():
                        _take(item.data, show)
                    case Connected():
                        if connected:
                            print("tickwire watch: connected again", file=sys.stderr)
                        connected = True
                    case Reconnecting() if item.code == HTTPStatus.UNAUTHORIZED:
                        pass  # tried again by the server's clock; what comes of that is told
                    case Reconnecting() if not connected and not item.code:
                        raise LinesError(
                            untrusted(connection.url, item.reason) or f"can't reach {connection.url}: {item.reason}"
                        )
                    case Reconnecting():
                        code = f"{item.code} " if item.code else ""
                        print(
                            f"tickwire watch: connection lost: {code}{item.reason}; trying again in {item.delay:.1f} s",
                            file=sys.stderr,
                        )
    except StreamEnded as error:
        raise LinesError(why_ended(connection.url, error.end)) from None


class _Part(msgspec.Struct, rename="camel"):
    action_type: str
    rows: list[dict[str, Any] | list[Any]]


class _Message(msgspec.Struct):
    """What any message of the server may hold; data have a topic, replies have none."""

    topic: str = ""
    ts: str = ""
    data: list[_Part] = []
    success: bool = True
    args: list[str] = []
    error: str = ""
    message: str = ""


_decode = msgspec.json.Decoder(_Message).decode


def _take(data: bytes, show: Callable[[bytes], None]) -> None:
    """Show a frame with data. Raises ``LinesError`` for a reply that refuses something."""
    if data == b"pong":
        return
    try:
        message = _decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        excerpt = data[:80].decode("utf-8", "backslashreplace")
        print(f"tickwire watch: a frame that could not be read: {error}: {excerpt!r}", file=sys.stderr)
        return
    if message.topic:
        show(data)
    elif not message.success:
        raise LinesError(f"{', '.join(message.args)}: {message.error}: {message.message}")


def print_frame(data: bytes) -> None:
    """Print a frame as it came, one a line."""
    # Each line leaves at once, or a pipe's reader would wait for a full buffer.
    print(data.decode(), flush=True)


def csv_printer(topics: Iterable[str]) -> Callable[[bytes], None]:
    """Prints a header now, and the rows of each frame when it is called.

    All topics have to be of one kind, as they share the columns; what an UPDATE leaves out is empty. A book is a line
    a level. Raises ``LinesError`` for topics of several kinds.
    """
    kinds = {parse_topic(topic).kind for topic in topics}
    if len(kinds) != 1:
        names = ", ".join(sorted(kind.value for kind in kinds))
        raise LinesError(f"--csv: expected topics of one kind, which share their columns, got {names}")
    (kind,) = kinds
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if kind in (TopicKind.ORDERBOOK, TopicKind.ORDERBOOK_DELTA):
        columns: tuple[str, ...] = _LEVEL
    elif kind is TopicKind.KLINE:
        columns = _CANDLE
    else:
        columns = _ROWS[kind].__struct_encode_fields__
    writer.writerow(("ts", "topic", "actionType", *columns))
    sys.stdout.flush()

    def show(data: bytes) -> None:
        frame = _decode(data)
        for part in frame.data:
            head = (frame.ts, frame.topic, part.action_type)
            for row in part.rows:
                writer.writerows((*head, *line) for line in _lines(row, columns))
        sys.stdout.flush()

    return show


def _lines(row: dict[str, Any] | list[Any], columns: tuple[str, ...]) -> Iterable[Iterable[Any]]:
    if isinstance(row, list):
        return [row]
    if columns is _LEVEL:
        return [
            (row.get("seq"), row.get("symbol"), side, *level)
            for name, side in (("bids", "BID"), ("asks", "ASK"))
            for level in row.get(name) or []
        ]
    # A list, as of a position's boosts, stays what it is.
    return [[json.dumps(cell) if isinstance(cell := row.get(name), list) else cell for name in columns]]
