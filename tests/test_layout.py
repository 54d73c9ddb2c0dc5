"""Who may import whom, and that the core reads no clock: the rules hold, and they bite when broken.

The rules themselves are in pyproject.toml. A rule that nothing can break is no rule, so each is broken
here in a copy of the sources.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

# import-linter's word for each contract, by its id in pyproject.toml
LAYERS = "the server's layers import downwards only"
CLIENT = "the client knows the wire and nothing of the server"
RECORD = "the recorder uses the server's front and nothing of the exchange behind it"
SERVER = "the server does without client and recorder"
DETERMINISM = "the core and the wire read no clock, no random number, no file and no socket"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the configuration and the sources, to break."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def lint_imports(project: Path) -> subprocess.CompletedProcess[str]:
    """Run every contract on the package below `project`, not on the installed one."""
    return subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src"), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def broken_contracts(result: subprocess.CompletedProcess[str]) -> set[str]:
    return {line.removesuffix("BROKEN").strip() for line in result.stdout.splitlines() if line.endswith("BROKEN")}


def banned_names(project: Path, module: str, source: str) -> str:
    """What ruff says of `source` at the place `module`, by the ban on clocks and random numbers alone."""
    path = project / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    result = subprocess.run(
        [BIN / "ruff", "check", "--no-cache", "--output-format=concise", "--select=TID251", path],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode in (0, 1), result.stderr
    return result.stdout


def test_every_contract_is_kept() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("exchange/probe.py", "import random", DETERMINISM),
        ("exchange/probe.py", "def now():\n    from time import time_ns\n    return time_ns()", DETERMINISM),
        ("wire/probe.py", "import os.path", DETERMINISM),
        ("wire/probe.py", "import asyncio", DETERMINISM),
        ("wire/probe.py", "import tickwire.exchange", LAYERS),
        ("exchange/probe.py", "import tickwire.journal", LAYERS),
        ("bus/probe.py", "import tickwire.stream", LAYERS),
        ("rest/probe.py", "import tickwire.stream", LAYERS),
        ("service/probe.py", "import tickwire.cli", LAYERS),
        ("unheard_of/__init__.py", "", LAYERS),
        ("client/probe.py", "import tickwire.exchange", CLIENT),
        ("record/probe.py", "import tickwire.exchange", RECORD),
        ("record/probe.py", "import tickwire.cli", LAYERS),
        ("service/probe.py", "import tickwire.record", LAYERS),
        ("service/probe.py", "import tickwire.client", SERVER),
    ],
)
def test_a_contract_bites(project: Path, module: str, statement: str, contract: str) -> None:
    path = project / "src" / "tickwire" / module
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'"""A module that breaks a rule."""\n\n{statement}\n')

    result = lint_imports(project)

    assert result.returncode == 1, result.stdout + result.stderr
    assert contract in broken_contracts(result)


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("rest/probe.py", "import tickwire.bus, tickwire.keys, tickwire.exchange, tickwire.wire"),
        ("stream/probe.py", "import tickwire.bus, tickwire.keys, tickwire.exchange, tickwire.wire"),
        ("record/probe.py", "import tickwire.client, tickwire.service, tickwire.rest, tickwire.stream, tickwire.wire"),
        ("cli/probe.py", "import tickwire.service, tickwire.client, tickwire.record"),
        ("market/probe.py", "import random, time"),
    ],
)
def test_a_contract_lets_through_what_it_should(project: Path, module: str, statement: str) -> None:
    (project / "src" / "tickwire" / module).write_text(f'"""A module that keeps the rules."""\n\n{statement}\n')

    result = lint_imports(project)

    assert result.returncode == 0, result.stdout + result.stderr


BANNED = [
    "import time",
    "import random",
    "import secrets",
    "from random import Random",
    "import datetime\n\ndatetime.datetime.now()",
    "from datetime import datetime\n\ndatetime.utcnow()",
    "from datetime import date\n\ndate.today()",
    "from os import urandom",
    "from uuid import uuid4",
]


@pytest.mark.parametrize("source", BANNED)
@pytest.mark.parametrize("package", ["exchange", "wire"])
def test_ruff_bans_clock_and_random_in_the_core(project: Path, package: str, source: str) -> None:
    assert "TID251" in banned_names(project, f"src/tickwire/{package}/deeper/probe.py", source)


@pytest.mark.parametrize("folder", ["src/tickwire/market", "src/tickwire/service", "tests/exchange", "benchmarks"])
def test_ruff_lets_everything_else_read_the_clock(project: Path, folder: str) -> None:
    assert "TID251" not in banned_names(project, f"{folder}/probe.py", "\n".join(BANNED))
