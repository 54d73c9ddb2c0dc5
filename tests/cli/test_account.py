"""The commands that show an account and change its settings, as a shell runs them against a real server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.terminal import Terminal, run
from tests.contract.support import PERPETUAL, Server, tickwire

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = ("--no-limits", "--symbols", f"{PERPETUAL},BTCUSDT")
    with Server(tmp_path_factory.mktemp("account") / "data", *flags) as server:
        yield server


@pytest.fixture
def terminal(server: Server, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(server.account(), tmp_path)
    yield terminal
    terminal.account.cancel_all()


def test_an_account_without_anything(terminal: Terminal) -> None:
    assert terminal.run("orders") == "no open orders\n"
    assert terminal.run("positions") == "no positions\n"
    assert terminal.run("history", "orders") == "no orders\n"
    assert terminal.run("history", "executions") == "no executions\n"
    assert terminal.json("orders") == []


def test_orders(terminal: Terminal) -> None:
    account = terminal.account
    account.buy("0.01", "50000")
    account.buy("0.01", "49000", symbol="BTCUSDT")
    assert terminal.json("orders") == account.open_orders()
    assert [row["symbol"] for row in terminal.json("orders", "btcusdt")] == ["BTCUSDT"]
    lines = terminal.run("orders").splitlines()
    assert len(lines) == 4
    # Whole ids, to be copied, and no column that is empty everywhere.
    assert all(re.search(f"{UUID}$", line.rstrip()) for line in lines[2:])
    assert "trigger" not in lines[0]


def test_positions_leverage_and_margin(terminal: Terminal) -> None:
    account = terminal.account
    assert terminal.json("leverage", PERPETUAL, "5", "--isolated")["marginType"] == "ISOLATED"
    # Left as it is without a flag.
    row = terminal.json("leverage", PERPETUAL, "7")
    assert (row["marginType"], row["leverage"]) == ("ISOLATED", 7)
    account.sell("0.01")
    before = account.position()
    assert before is not None
    added = terminal.json("margin", PERPETUAL, "add", "25.5")
    assert added["liquidationPrice"] > before["liquidationPrice"]
    assert "SHORT" in terminal.run("margin", PERPETUAL, "reduce", "10")
    assert [row["symbol"] for row in terminal.json("positions")] == [PERPETUAL]
    heading, _, row = terminal.run("positions").splitlines()
    assert heading.split()[:4] == ["symbol", "side", "quantity", "entry"]
    assert row.split()[:3] == [PERPETUAL, "SHORT", "0.01"]
    assert row.rstrip().endswith("7x isolated")

    assert "OpenOrdersExist" in terminal.run("leverage", PERPETUAL, "7", "--cross", code=1)
    assert "TooHighLeverage: LEVERAGE: expected at most 100" in terminal.run("leverage", PERPETUAL, "101", code=1)
    assert "AMOUNT: expected at most" in terminal.run("margin", PERPETUAL, "add", "1000000", code=1)


def test_account(terminal: Terminal) -> None:
    terminal.account.buy("0.01", "50000")
    found = terminal.json("account")
    assert set(found) == {"account", "margins", "balances"}
    assert found["account"]["totalWalletBalance"] == "100000"
    assert found["margins"][0]["currency"] == found["balances"][0]["asset"] == "USDT"
    text = terminal.run("account")
    assert re.search(r"^wallet +100000$", text, re.MULTILINE)
    assert re.search(rf"^available +{re.escape(found['account']['availableBalance'])}$", text, re.MULTILINE)
    assert re.search(r"^USDT +100000 ", text, re.MULTILINE)


def test_history(terminal: Terminal) -> None:
    account = terminal.account
    bought = account.buy("0.01")
    resting = account.buy("0.001", "50000")
    account.cancel(resting)
    found = terminal.json("history", "orders")
    assert [row["orderId"] for row in found] == [resting["orderId"], bought["orderId"]]
    assert terminal.json("history", "orders", "--count", "1") == found[:1]
    assert terminal.json("history", "orders", "BTCUSDT") == []
    assert terminal.json("history", "orders", "--since", "2100-01-01") == []
    assert len(terminal.json("history", "orders", "--since", "2020-01-01T00:00", "--until", "2100-01-01")) == 2
    trades = terminal.json("history", "executions", "--type", "TRADE")
    assert {row["orderId"] for row in trades} == {bought["orderId"]}
    assert terminal.json("history", "executions", "--order", bought["orderId"], "--type", "TRADE") == trades
    text = terminal.run("history", "orders")
    assert "USER_CANCELED" in text
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +BTCUSDT.PERP +BUY +MARKET", text, re.MULTILINE)
    assert "TRADE" in terminal.run("history", "executions", PERPETUAL)
    assert "--order: expected an order id" in terminal.run("history", "executions", "--order", "7", code=1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("leverage", PERPETUAL, "7", "--cross", "--isolated"),
        ("leverage", PERPETUAL, "many"),
        ("margin", PERPETUAL, "double", "1"),
        ("history", "orders", "--count", "0"),
        ("history", "orders", "--since", "yesterday"),
    ],
)
def test_wrong_arguments_are_exit_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, directory=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr


# Where the server is.


def test_a_server_on_this_machine_is_found(server: Server, tmp_path: Path) -> None:
    # As the user's newest one, as the one of ./tickwire-data, and by its address without a key.
    found = tickwire("positions", "--json", home=server.directory.parent, cwd=tmp_path)
    assert (found.returncode, found.stdout) == (0, "[]\n")
    (tmp_path / "tickwire-data").symlink_to(server.directory)
    for flags in ((), ("--url", server.url.removeprefix("http://"))):
        found = tickwire("positions", "--json", *flags, home=tmp_path, cwd=tmp_path)
        assert (found.returncode, found.stdout) == (0, "[]\n")


def test_flags_go_before_variables(terminal: Terminal) -> None:
    other = terminal.account.server.account()
    other.buy("0.01", "50000")
    assert len(terminal.json("orders", "--key", other.key, "--secret", other.secret)) == 1
    assert terminal.json("orders") == []
    other.cancel_all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TICKWIRE_API_SECRET": "wrong"}, "api.unauthorized: .*; check the secret and this machine's clock"),
        ({"TICKWIRE_API_KEY": "nobody"}, "api.invalidSession: .*; the key is unknown or revoked: tickwire key list"),
        ({"TICKWIRE_URL": "http://127.0.0.1:9"}, "can't reach http://127.0.0.1:9"),
        ({"TICKWIRE_URL": "ftp://127.0.0.1"}, r"--url \(TICKWIRE_URL\): expected an address such as"),
    ],
)
def test_a_server_that_is_away_or_says_no(terminal: Terminal, change: dict[str, str], words: str) -> None:
    terminal.variables |= change
    said = terminal.run("account", code=1)
    assert re.match(f"tickwire account: {words}", said)
    assert said.count("\n") == 1
    assert set(json.loads(terminal.run("account", "--json", code=1))) >= {"error", "message"}


def test_no_server_at_all(tmp_path: Path) -> None:
    result = run("orders", directory=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert "start one with tickwire serve, or set TICKWIRE_URL TICKWIRE_API_KEY TICKWIRE_API_SECRET" in result.stderr
