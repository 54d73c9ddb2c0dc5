"""`tickwire serve` and `tickwire config`: settings by flag, environment and file, and what is printed."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from tests.contract.support import Server, tickwire


def settings(tmp_path: Path, *arguments: str, **variables: str) -> dict[str, object]:
    result = tickwire("config", "--json", *arguments, home=tmp_path, **variables)
    assert result.returncode == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_help_has_examples_and_every_setting(tmp_path: Path) -> None:
    result = tickwire("serve", "--help", home=tmp_path)
    assert result.returncode == 0
    assert "Examples:" in result.stdout
    assert len(re.findall(r"^ *tickwire serve", result.stdout, re.MULTILINE)) >= 3
    for name in settings(tmp_path):
        assert f"--{name.replace('_', '-')}" in result.stdout, name
        assert f"TICKWIRE_{name.upper()}" in result.stdout, name


@pytest.mark.parametrize("command", ["watch", "key", "config"])
def test_every_command_has_examples(tmp_path: Path, command: str) -> None:
    result = tickwire(command, "--help", home=tmp_path)
    assert result.returncode == 0
    assert "Examples:" in result.stdout
    assert f"tickwire {command}" in result.stdout.partition("Examples:")[2]


def test_flags_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "tickwire.toml"
    file.write_text('port = 9001\nseed = 9001\nhost = "::1"\nlimits = false\nmaker-fee = "0.0001"\n')
    found = settings(tmp_path, "--config", str(file), "--port", "9003", TICKWIRE_PORT="9002", TICKWIRE_SEED="9002")
    assert (found["port"], found["seed"], found["host"]) == (9003, 9002, "::1")
    assert (found["limits"], found["maker_fee"]) == (False, "0.0001")
    assert found["taker_fee"] == "0.0006"
    # The file may be named in the environment, and by --config=.
    assert settings(tmp_path, TICKWIRE_CONFIG=str(file))["port"] == 9001
    assert settings(tmp_path, f"--config={file}")["port"] == 9001


def test_a_variable_that_is_no_setting_is_told_of(tmp_path: Path) -> None:
    variables = {"TICKWIRE_PROT": "9000", "TICKWIRE_XYZ": "1", "TICKWIRE_API_KEY": "mine"}
    found = tickwire("config", "--json", home=tmp_path, **variables)
    assert found.returncode == 0
    assert json.loads(found.stdout)["port"] == 8080
    assert found.stderr.splitlines() == [
        "tickwire: TICKWIRE_PROT in the environment is no setting and is ignored; did you mean TICKWIRE_PORT?",
        "tickwire: TICKWIRE_XYZ in the environment is no setting and is ignored; tickwire config lists the settings",
    ]


def test_defaults(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert (found["host"], found["port"], found["data"]) == ("127.0.0.1", 8080, "tickwire-data")
    assert (found["market"], found["limits"], found["durability"]) == (True, True, "process")
    assert (found["demo_key"], found["demo_secret"]) == (None, None)


def test_what_is_printed_is_a_file_that_says_the_same(tmp_path: Path) -> None:
    arguments = ("--port", "9000", "--no-market", "--symbols", "BTCUSDT", "--data", "here")
    printed = tickwire("config", *arguments, home=tmp_path).stdout
    written = {name.replace("-", "_"): value for name, value in tomllib.loads(printed).items()}
    wanted = settings(tmp_path, *arguments)
    assert written == {name: value for name, value in wanted.items() if value is not None}
    file = tmp_path / "again.toml"
    file.write_text(printed)
    assert settings(tmp_path, "--config", str(file)) == wanted


@pytest.mark.parametrize("command", ["config", "serve"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "prot"),
        ('port = "x"', "port"),
        ("port = ", "--config: expected a TOML file: "),
        (None, "--config: expected a TOML file: "),
    ],
)
def test_a_file_that_can_not_be_used(tmp_path: Path, command: str, text: str | None, words: str) -> None:
    file = tmp_path / "tickwire.toml"
    if text is not None:
        file.write_text(text)
    result = tickwire(command, "--config", str(file), home=tmp_path, cwd=tmp_path)
    assert result.returncode != 0
    assert words in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "tickwire-data").exists()


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (("--port", "x"), {}, "--port"),
        (("--nonsense",), {}, "--nonsense"),
        (("--durability", "maybe"), {}, "durability"),
        (("--ticker-rows", "half"), {}, "ticker-rows"),
        ((), {"TICKWIRE_PORT": "x"}, "TICKWIRE_PORT"),
        (("stray",), {}, "stray"),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: tuple[str, ...], variables: dict[str, str], words: str) -> None:
    result = tickwire("serve", *arguments, home=tmp_path, cwd=tmp_path, **variables)
    assert result.returncode != 0
    assert words in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_the_banner_has_all_that_a_newcomer_needs(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market", "--symbols", "BTCUSDT,ETHUSDT") as server:
        banner = server.banner
        assert "is live, without a simulated market: BTCUSDT, ETHUSDT" in banner
        for text in (server.stream_url, f"{server.url}/api/v1", f"{server.url}/docs", str(tmp_path / "data")):
            assert text in banner
        assert re.search(rf"key +{server.demo.key}\n", banner)
        assert re.search(rf"secret +{server.demo.secret}\n", banner)
        assert "watch ticker.BTCUSDT" in banner


def test_settings_reach_the_exchange(tmp_path: Path) -> None:
    flags = ("--initial-balance", "500", "--taker-fee", "0.001", "--default-leverage", "5", "--max-open-orders", "1")
    with Server(tmp_path / "data", "--no-market", *flags, "--symbols", "BTCUSDT.PERP") as server:
        alice = server.account()
        assert alice.get("/account")["totalWalletBalance"] == "500"
        assert alice.get("/market/fee-rate")[0]["feeRate"] == "0.001"
        assert alice.get("/trade/symbol") == {"spot": [], "perpetualSwap": ["BTCUSDT.PERP"]}
        order = alice.buy("0.01", "40000")
        assert alice.past(order)["initLeverage"] == 5
        assert alice.not_placed("BUY", "0.001", "40000") == "TooManyOrders"


def test_only_the_owner_can_read_what_is_secret(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market"):
        for name in ("server.json", "keys.sqlite"):
            assert (tmp_path / "data" / name).stat().st_mode & 0o077 == 0
    assert not (tmp_path / "tickwire" / "server.json").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::1"])
def test_other_addresses_to_listen_on(tmp_path: Path, host: str) -> None:
    with Server(tmp_path / "data", "--no-market", "--host", host) as server:
        assert server.http.get("/api/v1/public/ping").status_code == 200
        with server.demo.stream("account"):
            pass
