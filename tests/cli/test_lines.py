"""Topics as lines, from servers that are not quite as this one: real sockets, strange frames."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.sync.server import ServerConnection, serve

from tickwire.cli.lines import LinesError, csv_printer, follow_lines, print_frame
from tickwire.cli.target import Found

TICKER = "ticker.BTCUSDT"
# The keys in another order, and with more of them than are documented.
STRANGE = (
    '{"ts":"2","new":1,"data":[{"rows":[{"symbol":"BTCUSDT","lastPrice":"7","x":[]}],"actionType":"MERGE"}],'
    '"topic":"ticker.BTCUSDT"}'
)
NONSENSE = ("no json", '{"topic":7}', '{"topic":"ticker.BTCUSDT","data":[1]}', "[]", "[" * 20_000)
# The server's last word, so that the test comes to an end.
END = '{"success":false,"op":"subscribe","args":["ticker.BTCUSDT"],"error":"End","message":"of the test"}'


@contextmanager
def server(*messages: str) -> Iterator[Found]:
    """A server that sends some messages to whoever comes."""

    def speak(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message)
        for _ in connection:
            pass

    with serve(speak, "127.0.0.1", 0) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield Found(f"http://127.0.0.1:{listening.socket.getsockname()[1]}", "key", "secret")
        listening.shutdown()
        thread.join(10)


def follow(found: Found, show: object) -> None:
    with pytest.raises(LinesError, match=r"ticker\.BTCUSDT: End: of the test"):
        asyncio.run(follow_lines(found, [TICKER], show))  # type: ignore[arg-type]


def test_a_frame_is_printed_as_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    with server('{"success":true,"op":"subscribe","args":[]}', "pong", STRANGE, END) as found:
        follow(found, print_frame)
    assert capsys.readouterr() == (STRANGE + "\n", "")


def test_as_csv_with_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    with server(STRANGE, END) as found:
        follow(found, csv_printer([TICKER]))
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.startswith("ts,topic,actionType,symbol,volume24h,")
    assert row.startswith("2,ticker.BTCUSDT,MERGE,BTCUSDT,,,,,,,7,")


def test_nonsense_is_told_and_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    with server(*NONSENSE, STRANGE, END) as found:
        follow(found, print_frame)
    printed, told = capsys.readouterr()
    assert printed == STRANGE + "\n"
    lines = told.splitlines()
    assert len(lines) == len(NONSENSE)
    assert all(line.startswith("tickwire watch: a frame that could not be read: ") for line in lines)
    assert all(len(line) < 400 for line in lines)


def test_a_book_without_a_side(capsys: pytest.CaptureFixture[str]) -> None:
    frame = '{"topic":"orderbook.BTCUSDT","data":[{"actionType":"UPDATE","rows":[{"bids":[["1","2"]],"asks":null}]}]}'
    csv_printer(["orderbook.BTCUSDT"])(frame.encode())
    assert capsys.readouterr().out.splitlines()[1] == ",orderbook.BTCUSDT,UPDATE,,,BID,1,2"
