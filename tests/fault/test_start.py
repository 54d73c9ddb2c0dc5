"""What can keep a server from starting: one line that says what it is, and exit code 1."""

import socket
from pathlib import Path

import pytest
from tests.contract.support import Server, tickwire

FLAGS = ("--no-market", "--port", "0")


def refuses(tmp_path: Path, *flags: str) -> str:
    """The one line with which `tickwire serve` ends."""
    result = tickwire("serve", *flags, home=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_two_servers_on_one_data_directory(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market") as server:
        line = refuses(tmp_path, "--data", str(tmp_path / "data"), *FLAGS)
        assert line.startswith("tickwire serve: ")
        assert str(tmp_path / "data") in line
        # The first one has not noticed, and is still found.
        assert server.demo.get("/account")
        assert (tmp_path / "data" / "server.json").exists()
    with Server(tmp_path / "data", "--no-market"):
        pass


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refuses(tmp_path, "--no-market", "--data", str(tmp_path / "data"), "--port", str(port))
    assert f"can't listen on 127.0.0.1 port {port}" in line
    assert "--port" in line
    assert not (tmp_path / "data").exists()


def test_an_address_that_is_not_here(tmp_path: Path) -> None:
    line = refuses(tmp_path, *FLAGS, "--data", str(tmp_path / "data"), "--host", "192.0.2.1")
    assert "can't listen on 192.0.2.1" in line


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    line = refuses(tmp_path, *FLAGS, "--data", str(tmp_path / "data"))
    assert str(tmp_path / "data") in line


@pytest.mark.parametrize("name", ["exchange.sqlite", "keys.sqlite"])
def test_a_file_that_is_no_database(tmp_path: Path, name: str) -> None:
    with Server(tmp_path / "data", "--no-market"):
        pass
    assert (tmp_path / "data" / name).is_file()
    (tmp_path / "data" / name).write_bytes(b"no database " * 1000)
    line = refuses(tmp_path, *FLAGS, "--data", str(tmp_path / "data"))
    assert name in line


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--symbols", "NOSUCH"), "--symbols: expected some of BTCUSDT.PERP"),
        (("--symbols", ","), "--symbols"),
        (("--instruments", "no-such-file.toml"), "no-such-file.toml"),
        (("--demo-key", "demo-key-1"), "--demo-secret"),
        (("--demo-key", "short", "--demo-secret", "s"), "8 to 128"),
        (("--initial-balance", "1e6"), "--initial-balance"),
        (("--initial-balance", "-1"), "--initial-balance"),
        (("--maker-fee", "none"), "--maker-fee"),
        (("--requests-per-second", "0"), "--requests-per-second: expected at least 1"),
        (("--resume-seconds", "-1"), "--resume-seconds: expected at least 0, got -1"),
        (("--resume-bytes", "1048577"), "--resume-bytes: expected at most 1048576, got 1048577"),
    ],
)
def test_settings_that_can_not_be_used(tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
    line = refuses(tmp_path, *FLAGS, "--data", str(tmp_path / "data"), *flags)
    assert words in line


def test_a_port_that_is_none(tmp_path: Path) -> None:
    assert "--port: expected 0 to 65535" in refuses(tmp_path, "--port", "70000", "--data", str(tmp_path / "data"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "instrument file"),
        ("[[instrument]]\nsymbol = 'x'", "kind"),
        ("[[instrument]]\nsymbol = 'A'\nkind = 'future'\nbase='A'\nquote='B'\ntick_size='1'\nstep='1'", "kind"),
        ("[[instrument]]\nsymbol = 'AB'\nkind = 'spot'\nbase='A'\nquote='B'\ntick_size='0'\nstep='1'", "tick_size"),
        ("[[instrument]]\nsymbol = 'AB'\nkind = 'spot'\nbase='A'\nquote='B'\ntick_size=0.1\nstep='1'", "tick_size"),
    ],
)
def test_an_instrument_file_that_can_not_be_used(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "instruments.toml").write_text(text)
    flags = ("--instruments", str(tmp_path / "instruments.toml"))
    assert words in refuses(tmp_path, *FLAGS, "--data", str(tmp_path / "data"), *flags)
