"""What the documents tell a reader to run is run, against a real server."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.docs.support import Server

from tickwire.exchange.instruments import load_instruments
from tickwire.service.reference.markdown import anchor
from tickwire.wire.signing import sign

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
RUN = (ROOT / "docs" / "how-to" / "run-the-server.md").read_text()
CONNECT = (ROOT / "docs" / "how-to" / "connect-a-bot.md").read_text()
# As much as any of the programs needs on a slow machine.
SECONDS = 60

needs_openssl = pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("curl")), reason="openssl or curl is not installed"
)
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def run(server: Server, *command: str, directory: Path) -> str:
    """What a program prints; it has to succeed."""
    result = subprocess.run(
        command, env=server.environment, cwd=directory, capture_output=True, text=True, timeout=SECONDS
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def fetch(server: Server, target: str) -> list[dict[str, str]]:
    key, secret = server.environment["TICKWIRE_API_KEY"], server.environment["TICKWIRE_API_SECRET"]
    # Far ahead, as the tests' clock need not be exact.
    expires = str(int(httpx.get(f"{server.url}/api/v1/public/time").json()["serverTime"]) // 10**9 + 3600)
    headers = {"api-key": key, "api-expires": expires, "api-signature": sign(secret, "GET", target, expires)}
    reply = httpx.get(server.url + target, headers=headers)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, str]] = reply.json()
    return found


# The README.


def as_installed(paste: str) -> list[str]:
    """A paste of the README as a command of this test's Python."""
    words = paste.split()
    programs = {".venv/bin/tickwire": [sys.executable, "-m", "tickwire.cli"], ".venv/bin/python": [sys.executable]}
    return [*programs[words[0]], *words[1:]]


def test_the_pastes_of_the_first_screen_are_the_ones_tried_here() -> None:
    assert [paste.strip() for paste in blocks(README, "sh")[:3]] == [
        "make serve",
        ".venv/bin/tickwire watch ticker.BTCUSDT.PERP",
        ".venv/bin/python examples/first_order.py",
    ]


def test_the_ticker_is_streamed_without_being_told_where_the_server_is(server: Server) -> None:
    environment = {name: text for name, text in server.environment.items() if not name.startswith("TICKWIRE_")}
    command = [*as_installed(blocks(README, "sh")[1]), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=server.data.parent
    ) as process:
        assert process.stdout is not None
        frames = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert [frame["topic"] for frame in frames] == ["ticker.BTCUSDT.PERP"] * 2
    assert [frame["data"][0]["actionType"] for frame in frames] == ["SNAPSHOT", "UPDATE"]


def test_the_first_order_moves_the_position_and_closes_it(server: Server) -> None:
    # As in the README: nothing is set, the key comes from the data directory.
    environment = {name: text for name, text in server.environment.items() if not name.startswith("TICKWIRE_")}
    program, example = as_installed(blocks(README, "sh")[2])
    result = subprocess.run(
        [program, str(ROOT / example)],
        env=environment,
        cwd=server.data.parent,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert result.returncode == 0, result.stderr
    assert re.search(r"^order     BUY [\d.]+ FILLED$", result.stdout, re.MULTILINE)
    assert re.search(r"^position  LONG [\d.]+ at [\d.]+, mark [\d.]+, profit -?[\d.]+$", result.stdout, re.MULTILINE)
    assert re.search(r"^position  closed$", result.stdout, re.MULTILINE)
    assert re.search(r"^order     SELL [\d.]+ FILLED$", result.stdout, re.MULTILINE)


# The tutorial.


@needs_openssl
def test_the_shell_of_the_tutorial(server: Server, tmp_path: Path) -> None:
    ask_time, signed, wrong = blocks(TUTORIAL, "sh")
    assert re.fullmatch(r'\{"serverTime":"\d{19}"\}', run(server, "sh", "-c", ask_time, directory=tmp_path))
    (balance,) = json.loads(run(server, "sh", "-c", signed, directory=tmp_path))
    assert balance["asset"] == "USDT"
    refusal = run(server, "sh", "-c", wrong, directory=tmp_path)
    assert refusal == '{"error":"api.unauthorized"} 401\n'
    assert f"```text\n{refusal}```" in TUTORIAL


def test_the_python_of_the_tutorial(server: Server, tmp_path: Path) -> None:
    signing, stream, order = blocks(TUTORIAL, "python")
    for name, source in (("signing.py", signing), ("stream.py", stream), ("order.py", order)):
        (tmp_path / name).write_text(source)
    price, position = run(server, sys.executable, "signing.py", directory=tmp_path).splitlines()
    assert float(price) > 0
    assert "'leverage': 5" in position
    reply, *frames = map(json.loads, run(server, sys.executable, "stream.py", directory=tmp_path).splitlines())
    assert reply == {"success": True, "op": "subscribe", "args": ["ticker.BTCUSDT.PERP", "account"]}
    assert [frame["topic"] for frame in frames[:2]] == ["ticker.BTCUSDT.PERP", "account"]
    assert len(frames) == 5
    bought, rested, sold = run(server, sys.executable, "order.py", directory=tmp_path).splitlines()
    assert re.fullmatch(r"FILLED [\d.]+", bought)
    assert rested == "NEW {}"
    assert sold == bought


@needs_node
def test_the_javascript_of_the_tutorial(server: Server, tmp_path: Path) -> None:
    (source,) = blocks(TUTORIAL, "js")
    (tmp_path / "signing.mjs").write_text(source)
    price, *position = run(server, "node", "signing.mjs", directory=tmp_path).splitlines()
    assert float(price) > 0
    assert "    leverage: 5," in position


def bot_environment(server: Server, account: str, **more: str) -> dict[str, str]:
    """An account of its own for a bot: one that is stopped leaves its position open."""
    command = [sys.executable, "-m", "tickwire.cli", "key", "create", "--account", account, "--json"]
    made = json.loads(run(server, *command, directory=server.data.parent))
    return {**server.environment, "TICKWIRE_API_KEY": made["key"], "TICKWIRE_API_SECRET": made["secret"], **more}


def watch(name: str, environment: dict[str, str], enough: Callable[[list[str]], bool]) -> list[str]:
    """Run an example and stop it with Ctrl-C when its output is enough; what it printed until then."""
    with subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / name)], stdout=subprocess.PIPE, text=True, env=environment
    ) as bot:
        assert bot.stdout is not None
        lines: list[str] = []
        for line in bot.stdout:
            lines.append(line.rstrip())
            if enough(lines):
                break
        bot.send_signal(signal.SIGINT)
        bot.stdout.read()
        assert bot.wait(SECONDS) == 0
    assert enough(lines), lines
    return lines


def test_the_bot_enters_and_leaves(server: Server) -> None:
    (impatient,) = [block for block in blocks(TUTORIAL, "text") if block.startswith("PRICES")]
    assert impatient == "PRICES=3 DISTANCE=0.000001 .venv/bin/python examples/bot.py\n"
    environment = bot_environment(server, "bot", PRICES="3", DISTANCE="0.000001")
    lines = watch("bot.py", environment, lambda lines: lines[-1].startswith("position 0 "))
    orders = [line for line in lines if line.startswith("order")]
    shown = [line for line in lines if line.startswith("position")]
    assert len(orders) == 2
    # Whether it goes with a rise or a fall first is the market's choice.
    sides = [re.fullmatch(r"order (BUY|SELL) ([\d.]+) FILLED", line) for line in orders]
    entry, leave = (match.groups() for match in sides if match)
    assert {entry[0], leave[0]} == {"BUY", "SELL"}
    assert leave[1] == entry[1]
    sign = "-" if entry[0] == "SELL" else ""
    assert re.fullmatch(rf"position {sign}{entry[1]} at [\d.]+ profit -?[\d.]+", shown[0])
    assert shown[-1] == "position 0 at None profit None"


def test_the_bot_is_of_the_promised_size() -> None:
    source = (ROOT / "examples" / "bot.py").read_text()
    code = [line for line in source.split('"""', 2)[2].splitlines() if line.strip()]
    assert len(code) <= 45


def test_the_maker_bot_trades_and_takes_its_orders_back(server: Server) -> None:
    # So narrow that it does not take long until something is filled.
    environment = bot_environment(server, "maker", WIDTH="0.00001")
    watch(
        "maker_bot.py",
        environment,
        lambda lines: {line.split()[0] for line in lines if line.endswith("FILLED")} == {"BUY", "SELL"},
    )
    theirs = Server(server.url, environment, server.data)
    assert fetch(theirs, "/api/v1/trade/order?symbol=BTCUSDT.PERP") == []


# How to connect a bot.


@needs_node
def test_a_browser_signs_the_stream_in_the_query(server: Server, tmp_path: Path) -> None:
    version = int(subprocess.run(["node", "--version"], capture_output=True, text=True).stdout[1:].partition(".")[0])
    if version < 20:
        pytest.skip(f"expected node 20 or newer for a WebSocket client, got {version}")
    (source,) = blocks(CONNECT, "js")
    (tmp_path / "stream.mjs").write_text(source)
    flags = ["--experimental-websocket"] if version < 22 else []
    reply, snapshot = map(json.loads, run(server, "node", *flags, "stream.mjs", directory=tmp_path).splitlines())
    assert reply["success"] is True
    assert snapshot["data"][0]["actionType"] == "SNAPSHOT"


def test_the_signature_to_check_ones_code_with_is_right() -> None:
    found = dict(re.findall(r"^\| (secret|message|signature) \| `(.*?)` \|$", CONNECT, re.MULTILINE))
    assert found["message"] == "GET/api/v1/account1700000000"
    assert sign(found["secret"], "GET", "/api/v1/account", "1700000000") == found["signature"]


# How to run the server.


def shell(server: Server, script: str) -> str:
    """A script of the page, run where the server was started."""
    tickwire = f'tickwire() {{ "{sys.executable}" -m tickwire.cli "$@"; }}\n'
    script = script.replace("http://127.0.0.1:8080", server.url)
    environment = {name: text for name, text in server.environment.items() if not name.startswith("TICKWIRE_")}
    result = subprocess.run(
        ["sh", "-ec", tickwire + script],
        env=environment,
        cwd=server.data.parent,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@needs_openssl
def test_the_shell_of_running_the_server(server: Server) -> None:
    health, export, keys, deposit, config = blocks(RUN, "sh")
    assert json.loads(shell(server, health))["status"] == "ok"
    assert re.search(r"^exported/candles.csv: [\d,]+ rows$", shell(server, export), re.MULTILINE)
    *commands, revoke = keys.splitlines()
    printed = shell(server, "\n".join(commands))
    assert "account alice, scopes read,trade\n" in printed
    assert "account alice, scopes read, from 192.0.2.0/24\n" in printed
    (key, *_) = re.findall(r"^key +(\w+)$", printed, re.MULTILINE)
    assert f"{key}  alice  read,trade" in printed
    assert revoke == "tickwire key revoke KEY"
    assert shell(server, revoke.replace("KEY", key)) == f"revoked {key}\n"
    assert key not in shell(server, "tickwire key list")
    (shown,) = blocks(RUN, "json")
    assert json.loads(shell(server, deposit)).keys() == json.loads(shown).keys()
    assert "\nport = 9000\n" in shell(server, config)


def test_every_file_of_the_data_directory_is_explained(server: Server) -> None:
    explained = set(re.findall(r"^\| `([\w.]+)`", RUN, re.MULTILINE))
    there = {re.sub("-(wal|shm|journal)$", "", path.name) for path in server.data.iterdir()}
    assert there <= explained


def test_a_second_server_on_the_directory_says_so(server: Server) -> None:
    command = [sys.executable, "-m", "tickwire.cli", "serve", "--port", "0", "--data", "tickwire-data"]
    result = subprocess.run(
        command, env=server.environment, cwd=server.data.parent, capture_output=True, text=True, timeout=SECONDS
    )
    assert result.returncode == 1
    (shown,) = [block for block in blocks(RUN, "text") if block.startswith("tickwire serve:")]
    assert re.sub(r"process \d+", "process 20186", result.stderr) == shown


def test_the_instrument_of_the_page_can_be_read() -> None:
    (source,) = blocks(RUN, "toml")
    (instrument,) = load_instruments(source).values()
    assert instrument.symbol == "LTCUSDT.PERP"


# All pages.

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, fragment = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if fragment:
            titles = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert fragment in map(anchor, titles), target
