"""What the benchmarks need besides Python packages: their C programs, compiled when they are first run.

Everything goes into ``.bench/`` beside the sources, and nothing into the system.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["BUILD", "MissingTool", "compiled"]

SOURCES = Path(__file__).parent / "native"
BUILD = Path(__file__).parent.parent / ".bench"


class MissingTool(RuntimeError):
    """Something that a benchmark or a rival needs can't be had; the message says what and how to get it."""


def compiled(name: str) -> Path:
    """The program made from ``native/NAME.c``, compiled unless that has been done.

    Raises ``MissingTool`` where there is no C compiler, and ``RuntimeError`` with its messages when it fails.
    """
    source = SOURCES / f"{name}.c"
    program = BUILD / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if program.exists():
        return program
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise MissingTool(
            f"{source.name}: expected a C compiler, found none; install one (Debian: apt install gcc libc6-dev)"
        )
    BUILD.mkdir(exist_ok=True)
    unfinished = program.with_name(f"{program.name}.{os.getpid()}")
    done = subprocess.run(
        [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", unfinished, source], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{source.name}: expected it to compile, got\n{done.stderr}")
    unfinished.rename(program)  # at once, as another run may be compiling it too
    return program
