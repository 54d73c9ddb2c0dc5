"""The how-to pages of the client and the commands that trade: what they show is run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.support import Server

from tickwire import client

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
TERMINAL = (HOW_TO / "trade-from-the-terminal.md").read_text()
REST = (HOW_TO / "rest-from-python.md").read_text()

needs_jq = pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def account(server: Server, name: str) -> dict[str, str]:
    """The environment of an account of its own."""
    command = [sys.executable, "-m", "tickwire.cli", "key", "create", "--account", name, "--json"]
    made = json.loads(
        subprocess.run(
            command, env=server.environment, cwd=server.data.parent, capture_output=True, check=True, timeout=60
        ).stdout
    )
    return {**server.environment, "TICKWIRE_API_KEY": made["key"], "TICKWIRE_API_SECRET": made["secret"]}


def shell(environment: dict[str, str], script: str, directory: Path) -> str:
    tickwire = f'tickwire() {{ "{sys.executable}" -m tickwire.cli "$@"; }}\n'
    result = subprocess.run(
        ["sh", "-ec", tickwire + script], env=environment, cwd=directory, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_trading_from_the_terminal(server: Server, tmp_path: Path) -> None:
    environment = account(server, "terminal")
    _, orders, positions, _, _ = blocks(TERMINAL, "sh")
    printed = shell(environment, orders, tmp_path)
    assert "FILLED" in printed
    assert len(re.findall(r"^cancelled [0-9a-f-]{36}$", printed, re.MULTILINE)) == 2
    printed = shell(environment, positions, tmp_path)
    assert "10x cross" in printed
    assert "5x isolated" in printed
    assert re.search(r"^wallet ", printed, re.MULTILINE)


@needs_jq
def test_the_scripts(server: Server, tmp_path: Path) -> None:
    environment = account(server, "scripts")
    (script,) = [block for block in blocks(TERMINAL, "sh") if "jq" in block]
    order_id, position, available = shell(environment, script, tmp_path).splitlines()
    assert re.fullmatch("[0-9a-f-]{36}", order_id)
    assert re.fullmatch(r"BTCUSDT.PERP -?[\d.]+", position)
    assert float(available) > 0


def test_the_python_of_rest(server: Server, tmp_path: Path) -> None:
    environment = account(server, "python")
    printed = []
    for source in blocks(REST, "python"):
        (tmp_path / "example.py").write_text(source)
        result = subprocess.run(
            [sys.executable, "example.py"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert result.returncode == 0, result.stderr
        printed.append(result.stdout)
    script, asynchronous, history = printed
    assert re.fullmatch(r"spread [\d.]+\nBUY 0.01 FILLED\nLONG 0.01\n", script)
    assert re.match(r"BTCUSDT.PERP [\d.]+\nBTCUSDT [\d.]+\nSELL FILLED [\d.]+\nBUY FILLED [\d.]+\n", asynchronous)
    assert re.match(r"9\d candles, the last closes at [\d.]+\nBTCUSDT.PERP 0.01 [\d.]+\n", history)


def test_every_exception_of_the_page_is_one_of_the_client() -> None:
    (table,) = re.findall(r"^\| exception .*?\n\n", REST, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([A-Z]\w+)`", re.sub(r"\|[^|]*\|$", "", table, flags=re.MULTILINE)))
    assert named == {
        name
        for name in client.__all__
        if isinstance(getattr(client, name), type)
        and issubclass(getattr(client, name), client.ClientError)
        and getattr(client, name).__module__ == "tickwire.client.errors"  # streams have their own page
        and name != "ClientError"
    }
