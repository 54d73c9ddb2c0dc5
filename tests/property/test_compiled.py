"""The core that mypyc has compiled and the one in plain Python do the same, to the byte."""

import hashlib
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from shutil import which

import msgspec
import pytest
from benchmarks.build import BUILD
from benchmarks.compiled import ROOT, compiled_package
from tests.property.test_engine import everything_seen, outcome_of
from tests.property.test_frames import run
from tests.property.test_long_runs import Trader

from tickwire.exchange import engine as engine_module
from tickwire.exchange.commands import Command
from tickwire.exchange.events import Events

SEEDS = (1, 2)
COMMANDS = 3_000


class Witness(Trader):
    """A trader that keeps what came of its commands, refusals and all."""

    def __init__(self, seed: int) -> None:
        self.found = hashlib.sha256()
        super().__init__(seed)

    def send(self, command: Command) -> None:
        events: Events = self.engine.apply(self.time, command)
        self.found.update(repr(outcome_of(events)).encode())


def digests() -> dict[str, str]:
    """Of the frames of a simulated market with a client, and of all that many random commands did."""
    found = {"frames": run(seed=7, seconds=30).digest()}
    for seed in SEEDS:
        witness = Witness(seed)
        for number in range(COMMANDS):
            witness.step()
            if number % 1_000 == 0:
                witness.found.update(witness.engine.dump())
        witness.found.update(witness.engine.dump() + repr(everything_seen(witness.engine)).encode())
        found[f"seed {seed}"] = witness.found.hexdigest()
    return found


class Told(msgspec.Struct):
    """What a child prints: the file of its engine, and its digests."""

    engine: str
    digests: dict[str, str]


def child(source: Path) -> Told:
    """A process of its own that takes tickwire from ``source``."""
    done = subprocess.run(
        [sys.executable, "-c", "from tests.property.test_compiled import main; main()"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(source), str(ROOT)))},
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Told)


def main() -> None:
    """The child."""
    sys.stdout.buffer.write(msgspec.json.encode(Told(str(engine_module.__file__), digests())))


def compiler() -> str | None:
    """What is missing to compile, or ``None``."""
    command = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if which(command) is None:
        return f"no C compiler ({command})"
    header = Path(sysconfig.get_path("include"), "Python.h")
    return None if header.exists() else f"no headers of Python ({header})"


@pytest.mark.timeout(600)  # the compiler takes half a minute of one core
def test_compiled_and_plain_core_give_the_same_bytes() -> None:
    missing = compiler()
    if missing is not None:
        pytest.skip(f"the core can't be compiled here: {missing}")
    plain = child(ROOT / "src")
    compiled = child(compiled_package(BUILD / "compiled-for-tests", optimization="0"))
    assert plain.engine.endswith(".py")
    assert not compiled.engine.endswith(".py")
    assert compiled.digests == plain.digests
