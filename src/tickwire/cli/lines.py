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
                        if item.data.startswith(b'{"topic":'):
                            show(item.data)
                        else:
                            _check(item.data)
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


def _check(data: bytes) -> None:
    """Raise when a reply refuses something."""
    try:
        reply = json.loads(data)
    except ValueError:
        return  # a bare pong, or nothing of this API
    if isinstance(reply, dict) and reply.get("success") is False:
        topics = ", ".join(map(str, reply.get("args") or []))
        raise LinesError(f"{topics}: {reply.get('error')}: {reply.get('message')}")


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
        frame = json.loads(data)
        for part in frame["data"]:
            head = (frame["ts"], frame["topic"], part["actionType"])
            for row in part["rows"]:
                writer.writerows((*head, *line) for line in _lines(row, columns))
        sys.stdout.flush()

    return show


def _lines(row: Any, columns: tuple[str, ...]) -> Iterable[Iterable[Any]]:
    if columns is _CANDLE:
        return [row]
    if columns is _LEVEL:
        return [
            (row.get("seq"), row["symbol"], side, *level)
            for name, side in (("bids", "BID"), ("asks", "ASK"))
            for level in row[name]
        ]
    # A list, as of a position's boosts, stays what it is.
    return [[json.dumps(cell) if isinstance(cell := row.get(name), list) else cell for name in columns]]
