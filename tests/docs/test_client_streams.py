"""The page of the client's streams, and the examples that use it, against a real server."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.docs.support import Server

from tickwire import client

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "use-the-python-client.md").read_text()
MOVE = (ROOT / "docs" / "how-to" / "move-to-the-real-exchange.md").read_text()
SECONDS = 60

PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PRINTED = (
    r"BTCUSDT\.PERP [\d.]+\n",
    r"NEW None NEW\n(TRADE [\d.]+ (PARTIALLY_)?FILLED\n)+",
    r"whole from here on\n\[\(.*\)\] \[\(.*\)\]\n",
    r"\('[\d.]+', '[\d.]+'\) \('[\d.]+', '[\d.]+'\)\nBTCUSDT\.PERP\n",
    r'\d{19} \{"topic":"kline\.1\.BTCUSDT\.PERP".*\}\n',
)


@pytest.mark.parametrize(("source", "printed"), list(zip(PROGRAMS, PRINTED, strict=True)))
def test_the_programs_of_the_page(server: Server, tmp_path: Path, source: str, printed: str) -> None:
    (tmp_path / "program.py").write_text(source)
    result = subprocess.run(
        [sys.executable, "program.py"],
        env=server.environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(printed, result.stdout), result.stdout


def test_every_exception_and_event_of_the_page_is_one_of_the_client() -> None:
    def named(head: str) -> set[str]:
        (table,) = re.findall(rf"^\| {head} \|.*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
        rows = table.strip().splitlines()[2:]
        return {name for line in rows for name in re.findall(r"`(\w+)`", line.split("|")[1])}

    exported = {name: getattr(client, name) for name in client.__all__}
    errors = {
        name for name, kind in exported.items() if isinstance(kind, type) and issubclass(kind, client.ClientError)
    }
    assert named("exception") == {name for name in errors if exported[name].__module__ != "tickwire.client.errors"}
    assert named("event") == {kind.__name__ for kind in client.Event.__args__}


def test_every_flag_of_the_checklist_exists() -> None:
    settings = (ROOT / "docs" / "reference" / "settings.md").read_text()
    commands = (ROOT / "docs" / "reference" / "commands.md").read_text()
    flags = re.findall(r"`[^`]*?(--[a-z-]+)", MOVE)
    assert flags
    for flag in flags:
        assert re.search(rf"{flag}\b", settings + commands), flag


# Examples.


def run_until(server: Server, arguments: list[str], enough: Callable[[list[str]], bool], **settings: str) -> list[str]:
    """The lines of an example that runs on, up to those that are wanted."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT / "examples",
        env={**server.environment, **settings},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if enough(lines):
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(SECONDS) == 0
    assert enough(lines), lines
    return lines


def account(server: Server, name: str) -> dict[str, str]:
    command = [sys.executable, "-m", "tickwire.cli", "key", "create", "--account", name, "--json"]
    made = json.loads(
        subprocess.run(command, env=server.environment, cwd=server.data.parent, capture_output=True, check=True).stdout
    )
    return {"TICKWIRE_API_KEY": made["key"], "TICKWIRE_API_SECRET": made["secret"]}


def test_the_market_maker(server: Server) -> None:
    key = account(server, "market-maker")
    run_until(
        server,
        ["market_maker.py"],
        lambda lines: {line.split()[0] for line in lines if line.endswith("filled")} == {"BUY", "SELL"},
        **key,
        WIDTH="0.00001",
    )
    with client.SyncRestClient(server.url, key["TICKWIRE_API_KEY"], key["TICKWIRE_API_SECRET"]) as rest:
        assert rest.open_orders() == []


def test_the_momentum_bot(server: Server) -> None:
    key = account(server, "momentum")
    lines = run_until(
        server,
        ["momentum.py"],
        lambda lines: [line[:3] for line in lines[:2]] == ["in ", "out"],
        **key,
        PRICES="3",
        DISTANCE="0.000001",
    )
    entered, left = (line.split() for line in lines[:2])
    assert {entered[1], left[1]} == {"BUY", "SELL"}
    assert (entered[2].startswith("-"), left[2]) == (entered[1] == "SELL", "0")


def test_the_book_recorder(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "book.jsonl"
    command = [sys.executable, str(ROOT / "examples" / "record_book.py"), str(file), "20"]
    for _ in range(2):
        done = subprocess.run(
            command, env=server.environment, capture_output=True, text=True, timeout=SECONDS, check=True
        )
        assert done.stdout == f"20 books of BTCUSDT.PERP written to {file}\n"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line.get("event") for line in lines[:3]] == ["Connected", "Resynchronised", None]
    books = [line for line in lines if "seq" in line]
    assert len(books) == 40
    assert [book["seq"] for book in books[:20]] == list(range(books[0]["seq"], books[0]["seq"] + 20))


def test_the_candles_of_a_notebook(server: Server) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "candles.py")],
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("shape: (3, 7)") == 2
    assert len(re.findall(r"^open candle: close [\d.]+ volume [\d.]+$", done.stdout, re.MULTILINE)) == 3
