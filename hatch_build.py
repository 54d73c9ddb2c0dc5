"""Build hook: puts the core, compiled by mypyc, beside its sources into the wheel (``make compiled``).

Off unless ``HATCH_BUILD_HOOK_ENABLE_CUSTOM=true`` is set, so an ordinary install needs no compiler. Nothing is written
into the source tree: what is compiled there would hide later changes of the sources.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "tickwire/exchange"
# msgspec makes its structs with a metaclass, which compiled classes can't have.
LEFT_OUT = {"__init__.py", "commands.py", "instrument_file.py", "projection.py", "settings.py"}
ALSO = "tickwire/wire/decimals.py"  # most of what a row is made of

_SETUP = """
from mypyc.build import mypycify
from setuptools import setup

setup(name="core", ext_modules=mypycify({modules!r}, opt_level={level!r}, debug_level="0"))
"""


class CompiledCoreHook(BuildHookInterface[Any]):
    """Compiles a copy of the sources and adds the extension modules to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile. Raises ``RuntimeError`` with the compiler's words."""
        if self.target_name != "wheel" or version == "editable":
            return
        self._directory = TemporaryDirectory()
        directory = Path(self._directory.name)
        shutil.copytree(Path(self.root) / "src/tickwire", directory / "tickwire", ignore=shutil.ignore_patterns("*.so"))
        paths = [path for path in (directory / PACKAGE).glob("*.py") if path.name not in LEFT_OUT]
        modules = sorted([*(path.relative_to(directory).as_posix() for path in paths), ALSO])
        level = os.environ.get("MYPYC_OPT_LEVEL", "3")  # 1 takes half as long, for a core a tenth slower
        (directory / "setup.py").write_text(_SETUP.format(modules=modules, level=level))
        done = subprocess.run(
            [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(
                f"the core could not be compiled; it needs a C compiler and Python's headers\n{done.stdout}"
            )
        for built in (*directory.glob("*.so"), *(directory / "tickwire").rglob("*.so")):
            build_data["force_include"][str(built)] = built.relative_to(directory).as_posix()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Drop the copy; the wheel has what it needs."""
        if hasattr(self, "_directory"):
            self._directory.cleanup()
