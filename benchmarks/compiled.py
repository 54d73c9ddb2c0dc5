"""The package with its core compiled, in a directory of its own, made when it is missing or older than the sources."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.build import BUILD

__all__ = ["ROOT", "child", "compiled_core", "compiled_package"]

ROOT = Path(__file__).parent.parent


def compiled_package(directory: Path, optimization: str = "3") -> Path:
    """``directory``, to be put in front of ``PYTHONPATH``. ``optimization`` is the compiler's level.

    Raises ``RuntimeError`` with the compiler's words, also where there is no compiler.
    """
    stamp = directory / "sources"
    wanted = _fingerprint(optimization)
    if stamp.exists() and stamp.read_text() == wanted:
        return directory
    shutil.rmtree(directory, ignore_errors=True)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(directory), str(ROOT)],
        env={**os.environ, "HATCH_BUILD_HOOK_ENABLE_CUSTOM": "true", "MYPYC_OPT_LEVEL": optimization},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stdout)
    stamp.write_text(wanted)
    return directory


def compiled_core() -> Path | None:
    """The package of the benchmarks; ``None``, with a word on stderr, where it can't be had."""
    try:
        return compiled_package(BUILD / "compiled")
    except RuntimeError as error:
        print(f"the compiled core is left out: {error}", file=sys.stderr)
        return None


def child(module: str, file: Path, package: Path) -> bytes:
    """What ``python -m MODULE FILE`` prints with tickwire from ``package``."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(package), str(ROOT)))}
    command = [sys.executable, "-m", module, str(file)]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout


def _fingerprint(optimization: str) -> str:
    found = hashlib.sha256(f"{sys.version} {optimization}".encode())
    for path in (ROOT / "hatch_build.py", *sorted((ROOT / "src/tickwire").rglob("*.py"))):
        found.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return found.hexdigest()
