"""`tickwire watch`, against a server with a market."""

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.contract.support import PERPETUAL, Server, environment, tickwire

TICKER = f"ticker.{PERPETUAL}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    symbols = f"{PERPETUAL},BTCUSDT"
    with Server(tmp_path_factory.mktemp("watch") / "data", "--no-limits", "--symbols", symbols) as server:
        yield server


def variables(server: Server) -> dict[str, str]:
    return {
        "TICKWIRE_URL": server.url, "TICKWIRE_API_KEY": server.demo.key, "TICKWIRE_API_SECRET": server.demo.secret,
    }  # fmt: skip


@contextmanager
def watching(*arguments: str, home: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A `tickwire watch` under way."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tickwire.cli", "watch", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
        env={**environment(home), **more},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines(process: subprocess.Popen[str], count: int) -> list[dict[str, Any]]:
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def refused(*arguments: str, home: Path, **more: str) -> str:
    """The one line with which `tickwire watch` ends."""
    result = tickwire("watch", *arguments, home=home, cwd=home, **more)
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("tickwire watch: ")
    return result.stderr


def test_one_frame_a_line_until_ctrl_c(server: Server, tmp_path: Path) -> None:
    topics = (TICKER, f"orderbook.{PERPETUAL}", "account")
    with watching(*topics, "--json", home=tmp_path, **variables(server)) as process:
        first = lines(process, 3)
        assert [frame["topic"] for frame in first] == list(topics)
        assert {frame["data"][0]["actionType"] for frame in first} == {"SNAPSHOT"}
        assert {frame["topic"] for frame in lines(process, 20)} <= set(topics)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_flags_are_as_good_as_the_environment(server: Server, tmp_path: Path) -> None:
    demo = server.demo
    flags = ("--url", server.url, "--key", demo.key, "--secret", demo.secret)
    with watching("account", "--json", *flags, home=tmp_path) as process:
        assert lines(process, 1)[0]["topic"] == "account"


@pytest.mark.parametrize("form", ["http://{}", "ws://{}", "{}", "ws://{}/api/v1/stream", "http://{}/api/v1"])
def test_addresses_by_any_spelling(server: Server, tmp_path: Path, form: str) -> None:
    place = server.url.removeprefix("http://")
    with watching(
        "account", "--json", home=tmp_path, **variables(server) | {"TICKWIRE_URL": form.format(place)}
    ) as process:
        assert lines(process, 1)[0]["topic"] == "account"


def test_a_server_on_this_machine_is_found(server: Server, tmp_path: Path) -> None:
    # As the user's newest one, and as the one of ./tickwire-data.
    with watching(TICKER, "--json", home=server.directory.parent) as process:
        assert lines(process, 1)[0]["topic"] == TICKER
    (tmp_path / "tickwire-data").symlink_to(server.directory)
    with watching(TICKER, "--json", home=tmp_path) as process:
        assert lines(process, 1)[0]["topic"] == TICKER


def test_more_topics_than_go_into_one_frame(server: Server, tmp_path: Path) -> None:
    intervals = ("1", "3", "5", "15", "30", "60", "120", "180", "240", "360", "720", "1D", "1W", "1M")
    topics = [f"kline.{interval}.{symbol}" for symbol in (PERPETUAL, "BTCUSDT") for interval in intervals]
    topics += [
        f"{kind}.{symbol}" for symbol in (PERPETUAL, "BTCUSDT") for kind in ("ticker", "orderbook", "orderbook.delta")
    ]
    topics += ["account", "account.margin", "account.balance", "account.position", "account.order", "account.execution"]
    # The same ones again: what counts here is how many there are.
    with watching(*topics, *topics[:20], "--json", home=tmp_path, **variables(server)) as process:
        seen: set[str] = set()
        while len(seen) < len(topics):
            seen.add(lines(process, 1)[0]["topic"])


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("kline.7.BTCUSDT.PERP", "expected an interval of 1 3 5"),
        ("trades.BTCUSDT", "expected one of"),
        ("ticker", "expected a topic such as ticker.BTCUSDT.PERP"),
    ],
)
def test_a_topic_that_is_none(server: Server, tmp_path: Path, topic: str, words: str) -> None:
    assert words in refused(topic, "--json", home=tmp_path, **variables(server))


def test_no_topic_at_all(server: Server, tmp_path: Path) -> None:
    assert "expected a topic" in refused(home=tmp_path, **variables(server))


def test_a_symbol_that_the_server_does_not_have(server: Server, tmp_path: Path) -> None:
    said = refused("ticker.ETHUSDT.PERP", "--json", home=tmp_path, **variables(server))
    assert "ticker.ETHUSDT.PERP: InvalidSymbol" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TICKWIRE_API_SECRET": "wrong"}, "401 api.unauthorized; check the secret and this machine's clock"),
        ({"TICKWIRE_API_KEY": "no-such-key"}, "401 api.invalidSession; the key is unknown or revoked"),
        ({"TICKWIRE_URL": "http://127.0.0.1:9"}, "can't reach ws://127.0.0.1:9"),
        ({"TICKWIRE_URL": "http://no-such-host.invalid"}, "can't reach ws://no-such-host.invalid"),
        ({"TICKWIRE_URL": "ftp://127.0.0.1"}, "--url (TICKWIRE_URL): expected an address such as"),
    ],
)
def test_a_server_that_is_not_there_or_says_no(
    server: Server, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    assert words in refused(TICKER, home=tmp_path, **variables(server) | change)


def test_a_key_that_may_not_read(server: Server, tmp_path: Path) -> None:
    trader = server.key("trader", scopes=["trade"])
    change = {"TICKWIRE_API_KEY": trader.key, "TICKWIRE_API_SECRET": trader.secret}
    assert "403 Forbidden; the key may not do this" in refused(TICKER, home=tmp_path, **variables(server) | change)


def test_no_server_to_be_found(tmp_path: Path) -> None:
    said = refused(TICKER, home=tmp_path)
    assert "start one with tickwire serve, or set TICKWIRE_URL TICKWIRE_API_KEY TICKWIRE_API_SECRET" in said


def test_a_server_that_goes_and_comes_back(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market") as first:
        port = int(first.url.rpartition(":")[2])
        with watching("account", "--json", home=tmp_path, **variables(first)) as process:
            lines(process, 1)
            first.stop()
            assert process.stderr is not None
            assert process.stderr.readline().startswith("tickwire watch: connection lost: 1001 server stopping; trying")
            with Server(tmp_path / "data", "--no-market", port=port):
                (frame,) = lines(process, 1)
                assert (frame["topic"], frame["data"][0]["actionType"]) == ("account", "SNAPSHOT")
                while (said := process.stderr.readline()) != "tickwire watch: connected again\n":
                    assert said.startswith("tickwire watch: connection lost: ")


def test_a_key_that_is_revoked(server: Server, tmp_path: Path) -> None:
    account = server.account()
    given = variables(server) | {"TICKWIRE_API_KEY": account.key, "TICKWIRE_API_SECRET": account.secret}
    with watching("account", "--json", home=tmp_path, **given) as process:
        lines(process, 1)
        server.control("DELETE", f"keys/{account.key}")
        assert process.wait(20) == 1
        assert process.stderr is not None
        assert process.stderr.read().endswith("closed the stream: 1008 key revoked\n")


# Rows for a spreadsheet.


def rows(process: subprocess.Popen[str], count: int) -> list[dict[str, str]]:
    """The first rows of `--csv`, and no more."""
    assert process.stdout is not None
    return list(csv.DictReader([process.stdout.readline() for _ in range(count + 1)]))


def test_ticker_as_csv(server: Server, tmp_path: Path) -> None:
    with watching(TICKER, "ticker.BTCUSDT", "--csv", home=tmp_path, **variables(server)) as process:
        found = rows(process, 12)
    assert [row["actionType"] for row in found[:2]] == ["SNAPSHOT", "SNAPSHOT"]
    assert {row["topic"].removeprefix("ticker.") for row in found} == {PERPETUAL, "BTCUSDT"}
    assert all(row["symbol"] == row["topic"].removeprefix("ticker.") for row in found)
    assert re.fullmatch(r"\d+\.\d", found[0]["bidPrice"])
    # What an UPDATE leaves out is empty.
    assert any(row["actionType"] == "UPDATE" and row["volume24h"] == "" for row in found)


def test_candles_as_csv(server: Server, tmp_path: Path) -> None:
    with watching(f"kline.1.{PERPETUAL}", "--csv", home=tmp_path, **variables(server)) as process:
        (row,) = rows(process, 1)
    assert list(row)[3:] == ["startTime", "open", "high", "low", "close", "volume", "turnover"]
    assert int(row["startTime"]) % (60 * 10**9) == 0


@pytest.mark.parametrize(("kind", "numbered"), [("orderbook", False), ("orderbook.delta", True)])
def test_a_book_as_csv(server: Server, tmp_path: Path, kind: str, numbered: bool) -> None:
    with watching(f"{kind}.{PERPETUAL}", "--csv", home=tmp_path, **variables(server)) as process:
        (found,) = rows(process, 1)
        assert list(found)[3:] == ["seq", "symbol", "side", "price", "quantity"]
        assert (found["side"], bool(found["seq"])) == ("BID", numbered)
        assert process.stdout is not None
        # The other side of the book comes behind the whole of the first.
        while ",ASK," not in process.stdout.readline():
            pass


def test_account_topics_as_csv(server: Server, tmp_path: Path) -> None:
    account = server.account()
    account.leverage(10)
    given = variables(server) | {"TICKWIRE_API_KEY": account.key, "TICKWIRE_API_SECRET": account.secret}
    for topic, column, value in (
        ("account", "totalWalletBalance", "100000"),
        ("account.margin", "currency", "USDT"),
        ("account.balance", "asset", "USDT"),
        ("account.position", "buyableBoosts", "[]"),
    ):
        with watching(topic, "--csv", home=tmp_path, **given) as process:
            assert rows(process, 1)[0][column] == value


def test_csv_of_different_kinds_is_refused(server: Server, tmp_path: Path) -> None:
    said = refused(TICKER, "account", "--csv", home=tmp_path, **variables(server))
    assert "--csv: expected topics of one kind, which share their columns, got account, ticker" in said


def test_two_forms_at_once_are_wrong_arguments(tmp_path: Path) -> None:
    assert tickwire("watch", TICKER, "--csv", "--json", home=tmp_path).returncode == 2


def test_a_reader_that_has_enough(server: Server, tmp_path: Path) -> None:
    with watching(TICKER, f"orderbook.delta.{PERPETUAL}", "--json", home=tmp_path, **variables(server)) as process:
        lines(process, 2)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.wait(20)
        assert process.stderr.read() == ""
        process.stdout = None


def test_the_screen_in_a_terminal(server: Server, tmp_path: Path) -> None:
    """What it shows is tried in `test_screen`; here, that a terminal gets it, and is left as it was found."""
    size = {"COLUMNS": "160", "LINES": "50", "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "tickwire.cli", "watch", f"kline.5.{PERPETUAL}"]
    given = {**environment(tmp_path), **variables(server), **size}
    for key, code in ((b"\x03", 130), (b"q", 0)):
        process, screen = pty.fork()
        if process == 0:
            os.execve(sys.executable, command, given)
        try:
            shown = ""
            while not all(word in shown for word in (PERPETUAL, "candles 5", "live", "positions", "spread")):
                shown += os.read(screen, 65_536).decode("utf-8", "replace")
                assert len(shown) < 5_000_000, shown[-2000:]
            os.write(screen, key)
            while True:
                # Linux says EIO once the other end of a terminal is closed.
                try:
                    part = os.read(screen, 65_536)
                except OSError:
                    break
                if not part:
                    break
                shown += part.decode("utf-8", "replace")
        finally:
            os.close(screen)
            _, status = os.waitpid(process, 0)
        assert os.waitstatus_to_exitcode(status) == code
        assert "Traceback" not in shown
        # The alternate screen is left and the cursor is there again.
        assert "\x1b[?1049l" in shown
        assert "\x1b[?25h" in shown
