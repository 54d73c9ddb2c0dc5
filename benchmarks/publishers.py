"""The servers that publish in a benchmark, tickwire, its limit and its rivals, behind one interface.

Each has the same topics and payloads (``source``), runs on the server's core, and publishes when told to.
"""

import contextlib
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.build import compiled
from benchmarks.clients import Credentials
from benchmarks.load import subscription, upgrade_lines
from benchmarks.nchan import NchanPublisher
from benchmarks.processes import Process, allow_many_files
from benchmarks.rivals.install import nginx_with_nchan, node_with_ws, python_with_rivals
from benchmarks.servers import KEY, SECRET
from benchmarks.source import Source, text_frame
from tickwire.wire.signing import STREAM_PATH

__all__ = ["LIMIT", "PUBLISHERS", "Publisher", "started"]

LIMIT = "send(2) in C"
# Ten thousand readers, on each side.
_FILES = 20_000
_DEFLATE = {"sec-websocket-extensions": "permessage-deflate; client_max_window_bits"}


class Publisher:
    """A running server. ``reply`` and ``snapshots`` say what a subscription brings."""

    def __init__(self, process: Process, *, reply: bool = True, snapshots: bool = False) -> None:
        self._process = process
        self._reply = reply
        self._snapshots = snapshots
        self.port = urlsplit(process.line()).port or 0

    def requests(self, subscriptions: Sequence[Sequence[str]], *, deflate: bool = False) -> list[bytes]:
        """The upgrades of readers with these subscriptions."""
        del subscriptions  # they come in messages
        headers = Credentials(KEY, SECRET).headers("GET", STREAM_PATH)
        return [upgrade_lines(STREAM_PATH, headers | (_DEFLATE if deflate else {}))]

    def messages(self, subscriptions: Sequence[Sequence[str]]) -> list[bytes]:
        """What they send once they are open."""
        return [subscription(topics) for topics in subscriptions]

    def ready(self, topics: int) -> int:
        """The text frames that a reader of ``topics`` topics gets before any data."""
        replies = -(-topics // 50) if self._reply else 0
        return replies + (topics if self._snapshots else 0)

    def publish(self, rate: float, together: int, seconds: float) -> int:
        """Publish, and wait until all has been; the number of frames."""
        self._process.say(f"publish {rate} {together} {seconds}")
        return int(self._process.line())

    def cpu(self) -> float:
        """CPU seconds so far."""
        return self._process.cpu()

    def memory(self) -> float:
        """Resident megabytes now."""
        return self._process.memory()

    def stop(self) -> None:
        """End it."""
        self._process.stop()


class _Nchan(Publisher):
    """nginx with nchan: topics are in the path, and what is published comes by HTTP."""

    def __init__(self, source: Source) -> None:
        program, module = nginx_with_nchan()
        self._directory = tempfile.TemporaryDirectory(prefix="tickwire-bench-")
        directory = Path(self._directory.name)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        text = (Path(__file__).parent / "rivals" / "nginx.conf").read_text()
        for name, value in {"module": module, "directory": directory, "port": self.port}.items():
            text = text.replace(f"{{{{{name}}}}}", str(value))
        (directory / "nginx.conf").write_text(text)
        self._process = Process(["-p", directory, "-c", "nginx.conf", "-e", "stderr"], program=program)
        self._source = NchanPublisher(source, directory / "socket")

    def requests(self, subscriptions: Sequence[Sequence[str]], *, deflate: bool = False) -> list[bytes]:
        return [upgrade_lines("/read/" + ",".join(topics), _DEFLATE if deflate else {}) for topics in subscriptions]

    def messages(self, subscriptions: Sequence[Sequence[str]]) -> list[bytes]:
        del subscriptions
        return []

    def ready(self, topics: int) -> int:
        del topics
        return 0

    def publish(self, rate: float, together: int, seconds: float) -> int:
        return self._source.publish(rate, together, seconds)

    def stop(self) -> None:
        self._source.close()
        super().stop()
        self._directory.cleanup()


def _python(name: str) -> Callable[[int, int], Publisher]:
    def begin(topics: int, size: int) -> Publisher:
        arguments = ["-m", "benchmarks.servers", name, str(topics), str(size)]
        return Publisher(Process(arguments), snapshots=name == "stream")

    return begin


def _rival(name: str) -> Callable[[int, int], Publisher]:
    def begin(topics: int, size: int) -> Publisher:
        arguments = ["-m", f"benchmarks.rivals.{name}_server", str(topics), str(size)]
        return Publisher(Process(arguments, program=python_with_rivals()))

    return begin


def _ws(topics: int, size: int) -> Publisher:
    node, server = node_with_ws()
    with tempfile.TemporaryDirectory(prefix="tickwire-bench-") as directory:
        file = Path(directory, "templates")
        source = Source(topics, size)
        file.write_bytes(b"\n".join(source.template(topic) for topic in range(topics)))
        return Publisher(Process([server, str(topics), file], program=node))


def _limit(topics: int, size: int) -> Publisher:
    if topics != 1:
        raise ValueError(f"topics: expected 1, as the loop sends everything to everybody, got {topics}")
    frame = text_frame(Source(1, size).newest(0))
    time_at, mark_at = frame.index(b'"ts":"') + 6, frame.index(b'"mark":"') + len('"mark":"000.')
    with tempfile.TemporaryDirectory(prefix="tickwire-bench-") as directory:
        file = Path(directory, "frame")
        file.write_bytes(frame)
        arguments: list[str | Path] = [file, str(time_at), str(mark_at)]
        return Publisher(Process(arguments, program=compiled("limit")), reply=False)


def _nchan(topics: int, size: int) -> Publisher:
    return _Nchan(Source(topics, size))


PUBLISHERS: dict[str, Callable[[int, int], Publisher]] = {
    "tickwire": _python("stream"),
    LIMIT: _limit,
    "websockets": _python("broadcast"),
    "websockets, deflate": _python("broadcast-deflate"),
    "aiohttp": _rival("aiohttp"),
    "picows": _rival("picows"),
    "node ws": _ws,
    "nchan": _nchan,
}


@contextlib.contextmanager
def started(name: str, topics: int, size: int) -> Iterator[Publisher]:
    """The server of this name for the time of a block. Raises ``MissingTool`` when it can't be had."""
    allow_many_files(_FILES)  # before it starts: a child has the limit of its parent
    publisher = PUBLISHERS[name](topics, size)
    try:
        yield publisher
    finally:
        publisher.stop()
