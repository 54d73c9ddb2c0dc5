"""The `tickwire` script as a shell sees it."""

import subprocess
import sys

import pytest

from tickwire import __version__


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tickwire.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_version() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize("arguments", [("--help",), ()])
def test_help(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    assert "Usage: tickwire" in result.stdout


def test_unknown_command_is_an_error() -> None:
    result = run("no-such-command")
    assert result.returncode != 0
    assert "no-such-command" in result.stdout + result.stderr
