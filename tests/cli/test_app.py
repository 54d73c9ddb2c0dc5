"""The `tickwire` script as a shell sees it."""

import re
import subprocess
import sys

import pytest

from tickwire import __version__
from tickwire.service.reference.commands import commands_page


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


def test_help_of_a_command_is_all_that_it_has_to_say() -> None:
    short = "Replay a data directory's journal and compare what was stored."
    assert short in run("--help").stdout
    own = " ".join(run("verify", "--help").stdout.split())
    assert short not in own
    assert "Exit code 0 when all is well" in own
    assert "tickwire verify --data /var/lib/tickwire --json" in own


def test_every_command_shows_examples_of_itself() -> None:
    for part in commands_page().split("\n## `")[1:]:
        command, _, text = part.partition("`")
        examples = text.partition("Examples:")[2]
        assert re.search(rf"^ *(.*\| |eval \"\$\()?{command}( |$)", examples, re.MULTILINE), f"{command} has no example"


def test_unknown_command_is_an_error() -> None:
    result = run("no-such-command")
    assert result.returncode == 2
    assert "no-such-command" in result.stdout + result.stderr
