"""A peer that is gone without a word: the network drops what it sends, or its process hangs.

No FIN, no RST, no answer to a ping; the server has to find out by itself.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.contract.support import PERPETUAL, Account, Server, environment, until

from tickwire.stream.session import Session
from tickwire.stream.settings import StreamCounters, StreamSettings

ROOT = Path(__file__).parents[2]
TICKER = f"ticker.{PERPETUAL}"


class Namespace:
    """A network namespace with a line to this one."""

    def __init__(self) -> None:
        number = os.getpid() % 60_000
        self.name = f"tickwire-{number}"
        self.near, self.far = f"10.213.{number // 250}.{1 + number % 250}", f"10.214.{number // 250}.{1 + number % 250}"
        self._device = f"tw{number}"

    def __enter__(self) -> "Namespace":
        self._ip("netns", "add", self.name)
        self._ip("link", "add", self._device, "type", "veth", "peer", "name", "tw0", "netns", self.name)
        self._ip("addr", "add", self.near, "peer", self.far, "dev", self._device)
        self._ip("link", "set", self._device, "up")
        self._ip("-n", self.name, "addr", "add", self.far, "peer", self.near, "dev", "tw0")
        self._ip("-n", self.name, "link", "set", "tw0", "up")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "link", "del", self._device], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)

    def vanish(self) -> None:
        """From now on nothing comes out of it any more, and nobody is told."""
        self._ip("-n", self.name, "route", "add", "blackhole", f"{self.near}/32", "metric", "0", "table", "99")
        self._ip("-n", self.name, "rule", "add", "priority", "10", "lookup", "99")

    @property
    def command(self) -> list[str]:
        """What runs a command in it."""
        return ["ip", "netns", "exec", self.name]

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    if shutil.which("ip") is None:
        pytest.skip("ip (of iproute2) is not installed")
    namespace = Namespace()
    try:
        namespace.__enter__()
    except subprocess.CalledProcessError as error:
        namespace.__exit__()
        pytest.skip(f"a network namespace needs more rights than there are: {error.stderr.decode().strip()}")
    yield namespace
    namespace.__exit__()


@contextmanager
def reader(account: Account, address: str, *topics: str, within: list[str] | None = None) -> Iterator[int]:
    """The process id of a client that is open."""
    port = account.server.url.rpartition(":")[2]
    words = [sys.executable, "-m", "tests.fault.reader", address, port, account.key, account.secret, *topics]
    with subprocess.Popen(
        [*(within or []), *words], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env=environment(account.server.directory.parent),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "open\n"
            yield process.pid
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = ("--symbols", PERPETUAL, "--ping-interval", "0.4", "--silence-timeout", "1.5", "--stall-timeout", "60")
    data = tmp_path_factory.mktemp("vanishing") / "data"
    with Server(data, "--host", "0.0.0.0", "--requests-per-second", "1000", *flags) as server:
        yield server


def check_that_it_is_noticed(server: Server) -> None:
    assert server.control("GET", "health")["sessions"] == 1
    until(lambda: server.control("GET", "health")["sessions"] == 0)
    # The process has let go of the socket too; what may be left of it, without an inode, is the kernel's.
    until(lambda: not streams(server))


def streams(server: Server) -> list[str]:
    """The peers of the server's open connections, but for this process's."""
    port = f":{int(server.url.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    peers = [line[2] for line in lines if line[1].endswith(port) and line[9] != "0" and line[3] != "0A"]
    pool = {line[1] for line in lines if line[2].endswith(port) and int(line[9]) in own_inodes()}
    return [peer for peer in peers if peer not in pool]


def own_inodes() -> set[int]:
    links = [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return {int(link[8:-1]) for link in links if link.startswith("socket:[")}


TOPICS = pytest.mark.parametrize("topics", [(), (TICKER, f"orderbook.delta.{PERPETUAL}")], ids=["idle", "reading"])


@TOPICS
def test_a_peer_behind_a_line_that_drops_everything(
    server: Server, namespace: Namespace, topics: tuple[str, ...]
) -> None:
    with reader(server.demo, namespace.near, *topics, within=namespace.command):
        namespace.vanish()
        check_that_it_is_noticed(server)


@TOPICS
def test_a_process_that_hangs(server: Server, topics: tuple[str, ...]) -> None:
    """Its kernel takes what comes, and answers nothing."""
    with reader(server.demo, "127.0.0.1", *topics) as process:
        os.kill(process, signal.SIGSTOP)
        check_that_it_is_noticed(server)


def test_by_default_it_takes_no_more_than_60_seconds() -> None:
    """From the last byte that came; what was sent in vain after it changes nothing."""
    session = Session("alice", StreamSettings(), StreamCounters(), refusal=lambda key: None, clock=lambda: 0, now=0.0)
    session.heard(100.0)
    now = 100.0
    while session.tick(now) != "silent":
        assert now < session.due
        now = session.due
    assert now <= 160.0
