"""`tickwire completion`, with a real shell."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.contract.support import environment, tickwire

needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")

# What bash does when Tab is pressed behind the words of a line.
PRESS_TAB = """
source "$1"; shift
complete -p tickwire > /dev/null || exit 3
COMP_WORDS=(tickwire "$@"); COMP_CWORD=$#
_tickwire
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("completion")
    result = tickwire("completion", "bash", home=home)
    assert (result.returncode, result.stderr) == (0, "")
    path = home / "tickwire.bash"
    path.write_text(result.stdout)
    return path


def completions(script: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    result = subprocess.run(
        ["bash", "--norc", "-c", PRESS_TAB, "bash", str(script), *words], capture_output=True, text=True, timeout=30
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.split()


@needs_bash
def test_bash_completes_commands_flags_and_choices(script: Path) -> None:
    commands = completions(script, "")
    assert {"serve", "watch", "key", "order", "orders", "positions", "account", "cancel", "completion"} <= set(commands)
    assert completions(script, "or") == ["order", "orders"]
    assert completions(script, "key", "") == ["create", "list", "revoke"]
    assert completions(script, "history", "e") == ["executions"]
    assert completions(script, "order", "") == ["buy", "sell"]
    assert completions(script, "order", "buy", "BTCUSDT.PERP", "0.1", "--ti") == ["--tif"]
    times = completions(script, "order", "buy", "BTCUSDT.PERP", "0.1", "--tif", "")
    assert sorted(times) == ["FOK", "GTC", "IOC"]
    assert completions(script, "serve", "--dur") == ["--durability"]


@needs_bash
def test_installed_for_the_shell(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("")
    result = tickwire("completion", "bash", "--install", home=tmp_path, HOME=str(tmp_path))
    assert result.returncode == 0, result.stderr
    # An interactive shell of the user's reads its start-up file, and knows the completion then.
    shell = subprocess.run(
        ["bash", "-i", "-c", "complete -p tickwire"],
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
        env={**environment(tmp_path), "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    assert "-F _tickwire" in shell.stdout, shell.stderr


@pytest.mark.parametrize(("shell", "word"), [("zsh", "#compdef tickwire"), ("fish", "complete -c tickwire")])
def test_other_shells(tmp_path: Path, shell: str, word: str) -> None:
    result = tickwire("completion", shell, home=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert word in result.stdout


def test_a_shell_that_is_none(tmp_path: Path) -> None:
    assert tickwire("completion", "tcsh", home=tmp_path).returncode == 2
