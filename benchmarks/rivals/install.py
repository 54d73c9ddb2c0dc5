"""Gets the rivals, pinned, when they are first measured: into ``.bench/``, nothing into the system.

Python packages by hash into a virtual environment of their own, ``ws`` by the lock file beside this, nginx and its
module nchan from the distribution's packages, unpacked and not installed (Debian and its kin).
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.build import BUILD, MissingTool

__all__ = ["nginx_with_nchan", "node_with_ws", "python_with_engines", "python_with_rivals"]

_HERE = Path(__file__).parent
_SECONDS = 300.0
_NCHAN = "libnginx-mod-nchan"


def python_with_rivals() -> Path:
    """The interpreter of an environment with aiohttp and picows. Raises ``MissingTool`` when it can't be made."""
    return _python_with("python", "requirements.txt", "aiohttp and picows")


def python_with_engines() -> Path:
    """The interpreter of an environment with matching engines. Raises ``MissingTool`` when it can't be made."""
    return _python_with("engines", "engines.txt", "the matching engines")


def node_with_ws() -> tuple[Path, Path]:
    """node, and a copy of the server beside the installed ``ws``. Raises ``MissingTool`` when it can't be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise MissingTool("ws: expected node and npm, found none; install Node.js (Debian: apt install nodejs npm)")
    directory = _made_from("node", _HERE / "package-lock.json", _HERE / "ws_server.js")
    if not _finished(directory):
        for name in ("package.json", "package-lock.json", "ws_server.js"):
            shutil.copy(_HERE / name, directory)
        _run("ws from the package registry", [npm, "ci", "--prefix", directory, "--silent", "--no-audit", "--no-fund"])
        _finish(directory)
    return Path(node), directory / "ws_server.js"


def nginx_with_nchan() -> tuple[Path, Path]:
    """nginx, and the module that fits it. Raises ``MissingTool`` where there are no Debian packages of them."""
    directory = BUILD / "nchan"
    directory.mkdir(parents=True, exist_ok=True)
    program, module = directory / "usr/sbin/nginx", directory / "usr/lib/nginx/modules/ngx_nchan_module.so"
    if not _finished(directory):
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise MissingTool(f"nchan: expected apt-get, to download {_NCHAN} with; this is not a Debian")
        download = ["apt-get", "download", "-q", "nginx", _NCHAN]
        try:
            _run("nginx and nchan from the distribution", download, directory)
        except MissingTool:
            _run("the distribution's list of packages, as root", ["apt-get", "update", "-q"])
            _run("nginx and nchan from the distribution", download, directory)
        for package in directory.glob("*.deb"):
            _run(f"{package.name} unpacked", ["dpkg-deb", "-x", package, directory])
        if not (program.exists() and module.exists()):
            raise MissingTool(f"nchan: expected {program.name} and {module.name} in the packages, found others")
        _finish(directory)
    return program, module


def _python_with(name: str, requirements_name: str, what: str) -> Path:
    requirements = _HERE / requirements_name
    directory = _made_from(name, requirements)
    python = directory / "bin" / "python"
    if not _finished(directory):
        _run("a Python environment", [sys.executable, "-m", "venv", "--clear", directory])
        _run(
            f"{what} from the package index",
            [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q", "install", "--only-binary=:all:",
             "--require-hashes", "-r", requirements],
        )  # fmt: skip
        _finish(directory)
    return python


def _made_from(name: str, *files: Path) -> Path:
    """A directory for what is made from ``files``: another one when they change."""
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    directory = BUILD / f"{name}-{digest[:16]}"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _finished(directory: Path) -> bool:
    return (directory / ".finished").exists()


def _finish(directory: Path) -> None:
    (directory / ".finished").touch()


def _run(what: str, command: Sequence[str | Path], directory: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingTool(f"expected {what}, got: {error}") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise MissingTool(f"expected {what}, got: {lines[-1]}")
