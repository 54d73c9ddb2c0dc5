"""How local commands find a running server: a small file in the data directory, and one for the user.

Both hold the server's addresses, the demo key and the control token, are readable by their owner only, and are
removed when the server stops. A file left behind by a killed server is recognised by its process id.
"""

import os
from pathlib import Path

import msgspec

__all__ = ["FILE_NAME", "ServerInfo", "announce", "find_server", "read_info", "user_file", "withdraw"]

FILE_NAME = "server.json"


class ServerInfo(msgspec.Struct):
    """A running server. ``url`` is the base for REST, such as ``http://127.0.0.1:8080``."""

    pid: int
    url: str
    data: str
    demo_key: str
    demo_secret: str
    control_token: str
    certificate: str | None = None  # the file with the server's certificate, where it serves https

    @property
    def stream_url(self) -> str:
        """The address of the stream."""
        return "ws" + self.url.removeprefix("http") + "/api/v1/stream"


def user_file() -> Path:
    """Where the newest server of this user is noted."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tickwire" / FILE_NAME


def announce(info: ServerInfo, directory: Path) -> None:
    """Write both files. The user's one is a convenience: a home that can't be written to is no failure."""
    _write(directory / FILE_NAME, info)
    try:
        user_file().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(user_file(), info)
    except OSError:
        pass


def _write(path: Path, info: ServerInfo) -> None:
    # Written aside and renamed: a reader sees the old file or the new one, and never with other permissions.
    aside = path.with_suffix(f".{info.pid}")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(info)))
    aside.replace(path)


def withdraw(info: ServerInfo, directory: Path) -> None:
    """Remove the files, unless another server has written its own since."""
    for path in (directory / FILE_NAME, user_file()):
        found = read_info(path)
        if found is not None and found.pid == info.pid and found.url == info.url:
            path.unlink(missing_ok=True)


def read_info(path: Path) -> ServerInfo | None:
    """The server a file tells of, or ``None`` when there is none or its process is gone."""
    try:
        info = msgspec.json.decode(path.read_bytes(), type=ServerInfo)
        os.kill(info.pid, 0)
    except PermissionError:
        return None  # another user's server: its file would not be readable, its process may be
    except (OSError, msgspec.MsgspecError):
        return None
    return info


def find_server(directory: Path | None = None) -> ServerInfo | None:
    """The server that runs on ``directory``; without one, that of this user's newest."""
    if directory is not None:
        return read_info(directory / FILE_NAME)
    return read_info(user_file())
