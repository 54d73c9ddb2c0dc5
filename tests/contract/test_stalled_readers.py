"""A thousand readers on one server, a hundred of which stop to read: nobody else is to notice, and nothing is lost.

The sockets are the test's own, without a library: one that stalls is one that is not read from.
"""

import json
import resource
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.contract.support import PATIENCE, PERPETUAL, STREAM, Account, Server

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="reads its sockets with epoll, which is Linux's")

TICKER, BOOK, DELTA = (f"{kind}.{PERPETUAL}" for kind in ("ticker", "orderbook", "orderbook.delta"))
READERS, STALLED = 1_000, 100
LEVELS = 100  # a side: a whole book has some 5 kB
CHANGES = 150
# What one stalled reader may cost the server: what the kernel takes, what the transport takes until it says stop, and
# a turn's worth on top of that. Unbounded it would be CHANGES whole books, thrice as much.
BYTES_A_READER = 256 * 1024


class RawReader:
    """One socket. ``data`` has all that it was sent and that nobody has looked at yet."""

    def __init__(self, account: Account, topics: list[str], receive_buffer: int = 0) -> None:
        place = urlsplit(account.server.url)
        assert place.hostname is not None
        assert place.port is not None
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((place.hostname, place.port))
        lines = [
            f"GET {STREAM} HTTP/1.1", f"Host: {place.netloc}", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            *(f"{name}: {value}" for name, value in account.headers("GET", STREAM).items()),
        ]  # fmt: skip
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.data = bytearray()
        while b"\r\n\r\n" not in self.data:
            self.read()
        assert self.data.startswith(b"HTTP/1.1 101 ")
        del self.data[: self.data.index(b"\r\n\r\n") + 4]
        self.send({"op": "subscribe", "args": topics})
        self.snapshots = 0
        self.sequence: int | None = None
        self.book: dict[str, dict[str, str]] = {}
        self.states: dict[str, Any] = {}

    def send(self, operation: object) -> None:
        payload = json.dumps(operation).encode()
        self.socket.sendall(bytes((0x81, 0x80 | 126)) + len(payload).to_bytes(2, "big") + bytes(4) + payload)

    def read(self) -> int:
        """What is there now, or the next that comes."""
        data = self.socket.recv(1 << 20)
        assert data, "the server has ended the socket"
        self.data += data
        return len(data)

    def messages(self) -> Iterator[dict[str, Any]]:
        """The whole messages among what was read; pings of the server are passed over."""
        data, at = self.data, 0
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, start = int.from_bytes(data[start : start + width], "big"), start + width
            if len(data) < start + size:
                break
            if data[at] == 0x81:
                yield json.loads(data[start : start + size])
            at = start + size
        del data[:at]

    def understand(self) -> None:
        """Keep what the messages say, and check that each follows from the one before."""
        for message in self.messages():
            if "topic" not in message:
                assert message["success"]
                continue
            (part,) = message["data"]
            (row,) = part["rows"]
            if message["topic"] != DELTA:
                self.states[message["topic"]] = {**self.states.get(message["topic"], {}), **row}
                continue
            if part["actionType"] == "SNAPSHOT":
                self.snapshots += 1
                self.book = {"bids": {}, "asks": {}}
            else:
                assert row["prevSeq"] == self.sequence
            self.sequence = row["seq"]
            for side, levels in self.book.items():
                for price, quantity in row[side]:
                    levels[price] = quantity
                    if quantity == "0":
                        del levels[price]


class Crowd:
    """All the readers, and the account that moves the book."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.trader = server.demo
        self.pid = server.process.pid
        for level in range(LEVELS):
            self.trader.buy("0.001", str(50_000 - level))
            self.trader.sell("0.001", str(50_001 + level))
        self.healthy = [RawReader(self.trader, [TICKER, DELTA]) for _ in range(READERS - STALLED)]
        self.stalled = [
            RawReader(self.trader, [TICKER, DELTA, BOOK, "account"], receive_buffer=4_096) for _ in range(STALLED)
        ]

    def memory(self) -> int:
        """Resident bytes of the server."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def state(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, str]]]:
        """What REST shows: ticker, account and the whole book."""
        book = self.trader.get(f"/market/orderbook?symbol={PERPETUAL}&limit=1000")
        return (
            self.trader.get(f"/market/ticker?symbol={PERPETUAL}"),
            self.trader.get("/account"),
            {side: dict(book[side]) for side in ("bids", "asks")},
        )

    def pump(self, readers: list[RawReader], reached: int) -> None:
        """Read from sockets until each has seen the book's change of that number."""
        poll = select.epoll()
        left = {reader.socket.fileno(): reader for reader in readers}
        for number in left:
            poll.register(number, select.EPOLLIN)
        deadline = time.monotonic() + PATIENCE
        while left:
            assert time.monotonic() < deadline, f"{len(left)} readers are still waiting"
            for number, _ in poll.poll(1.0):
                reader = left[number]
                reader.read()
                reader.understand()
                if reader.sequence is not None and reader.sequence >= reached:
                    poll.unregister(number)
                    del left[number]
        poll.close()

    def sequence(self) -> int:
        """The number of the book's newest change."""
        with self.trader.stream() as stream:
            (snapshot,) = stream.subscribe(DELTA)
            found: int = snapshot["data"][0]["rows"][0]["seq"]
            return found

    def close(self) -> None:
        for reader in self.healthy + self.stalled:
            reader.socket.close()


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 3 * READERS:  # for the server, too: it inherits the limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(3 * READERS, hard), hard))
    flags = ("--no-market", "--no-limits", "--orderbook-depth", str(2 * LEVELS), "--orderbook-interval-ms", "1")
    with Server(tmp_path_factory.mktemp("crowd") / "data", *flags) as server:
        crowd = Crowd(server)
        yield crowd
        crowd.close()


def test_a_hundred_stalled_readers_among_a_thousand(crowd: Crowd) -> None:
    crowd.pump(crowd.healthy, crowd.sequence())
    before = crowd.memory()
    for _ in range(CHANGES // 2):
        crowd.trader.cancel(crowd.trader.buy("0.002", "50000.5"))
    # The others get every change, and a SNAPSHOT only at the beginning.
    crowd.pump(crowd.healthy, crowd.sequence())
    assert {reader.snapshots for reader in crowd.healthy} == {1}
    ticker, account, book = crowd.state()
    for reader in crowd.healthy:
        assert reader.states[TICKER] == ticker
        assert reader.book == book
    # Those that read nothing cost what they may, and no more.
    assert crowd.memory() - before < STALLED * BYTES_A_READER
    health = crowd.server.http.get("/_tickwire/health").json()
    assert health["sessions"] == READERS

    # Reading on, each knows the truth after what was on its way: a few hundred kB, not all that it has missed.
    newest = crowd.sequence()
    read = {}
    for reader in crowd.stalled:
        received = 0
        while reader.sequence is None or reader.sequence < newest or reader.states.get(BOOK) is None:
            received += reader.read()
            reader.understand()
        read[reader] = received
    assert max(read.values()) < 2 * BYTES_A_READER
    # Each missed changes and restarted with a SNAPSHOT; `understand` has seen that what followed follows.
    assert all(reader.snapshots >= 2 for reader in crowd.stalled)
    crowd.trader.buy("0.002", "50000.5")
    ticker, account, book = crowd.state()
    crowd.pump(crowd.stalled, crowd.sequence())
    for reader in crowd.stalled:
        deadline = time.monotonic() + PATIENCE
        while (
            reader.states.get("account") != account
            or reader.states[TICKER] != ticker
            or {side: dict(reader.states[BOOK][side]) for side in ("bids", "asks")} != book
        ):
            assert time.monotonic() < deadline, "still not what REST shows"
            reader.read()
            reader.understand()
        assert reader.book == book
