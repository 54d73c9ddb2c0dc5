"""Bytes that nobody would send, cut anywhere: into the handshake, and as frames into an open stream.

Over real sockets, on both loops. No exception reaches the loop, nothing is logged, and at the end nothing is left:
no session, no connection, no interest in a topic, no timer.
"""

import asyncio
import contextlib
import json
import logging
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.stream.bench import Bench, RawSocket, upgrade
from tests.stream.support import BOOK, ORDER, TICKER, key

from tickwire.stream.settings import StreamLimits, StreamSettings
from tickwire.wire.signing import STREAM_PATH

SETTINGS = settings(
    max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


class Complaints(logging.Handler):
    """What is logged as an error while it is there."""

    def __init__(self, failures: list[Any]) -> None:
        super().__init__(logging.WARNING)
        self.failures = failures

    def emit(self, record: logging.LogRecord) -> None:
        self.failures.append(record.getMessage())


class Station:
    """A bench on a loop of its own, and what went wrong on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, directory: Path) -> None:
        self.loop = loop
        self.failures: list[Any] = []
        loop.set_exception_handler(lambda _, context: self.failures.append(context))
        self.bench = loop.run_until_complete(self._start(directory))
        # Half a minute is for a test, not for hundreds of examples.
        self.bench.watchdog.cancel()

    @staticmethod
    async def _start(directory: Path) -> Bench:
        limits = StreamLimits(upgrade_burst=1_000_000, sockets_per_key=1_000_000)
        bench = Bench(directory, StreamSettings(limits=limits, close_timeout=0.2))
        await bench.start()
        return bench

    def run(self, example: Any) -> None:
        self.loop.run_until_complete(asyncio.wait_for(example, 30))
        assert self.failures == []

    async def at_rest(self) -> None:
        """Wait until the server has no connection of any kind, and see that nothing else is left."""
        async with asyncio.timeout(10):
            while self.bench.server.server_state.connections:  # noqa: ASYNC110  # they say so to nobody
                await asyncio.sleep(0.001)
        stream = self.bench.stream
        assert stream.hub.session_count == stream.hub.subscription_count == 0
        assert not stream.addresses
        assert +self.bench.feed.interest == {}

    def timers(self) -> list[Any]:
        """What asyncio's loop is still to call; uvloop doesn't tell."""
        return [handle for handle in getattr(self.loop, "_scheduled", ()) if not handle.cancelled()]


@pytest.fixture(scope="module", params=LOOPS)
def station(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    loop = LOOPS[request.param]()
    station = Station(loop, tmp_path_factory.mktemp("raw"))
    complaints = Complaints(station.failures)
    logging.getLogger("tickwire").addHandler(complaints)
    yield station
    logging.getLogger("tickwire").removeHandler(complaints)
    # Those of a closed connection's last second, and of topics kept for readers that resume, run out by themselves.
    loop.run_until_complete(asyncio.sleep(1.2))
    assert [each for each in station.timers() if "Stream" in repr(each) or "Http" in repr(each)] == []
    loop.run_until_complete(station.bench.close())
    loop.close()


# What is sent.

OPERATIONS = st.sampled_from(
    [
        b"ping",
        b'{"op":"ping","id":1}',
        json.dumps({"op": "subscribe", "args": [TICKER, BOOK, ORDER, "nonsense"]}).encode(),
        json.dumps({"op": "unsubscribe", "args": [TICKER]}).encode(),
        b'{"op":"configure","conflate_ms":10,"resume":true}',
        b"{",
        b"\xff\xfe",
        "grün".encode()[:3],
    ]
)


def compressed(payload: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


PAYLOADS = st.one_of(
    OPERATIONS,
    OPERATIONS.map(compressed),
    st.binary(max_size=140),
    st.sampled_from([b"", b"\x03\xe8", b"\x03\xe8bye", b"\x00", b"\x13\x88", bytes(70_000)]),
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """One frame, right or wrong: any first byte, masked or not, of the length that it says or of another."""
    first = draw(st.sampled_from([0x81, 0x82, 0x01, 0x00, 0x80, 0xC1, 0x41, 0x88, 0x89, 0x8A]) | st.integers(0, 255))
    payload = draw(PAYLOADS)
    size = draw(st.just(len(payload)) | st.integers(0, 2**63))
    bit = draw(st.sampled_from([0x80, 0x80, 0x80, 0x80, 0]))
    mask = draw(st.binary(min_size=4, max_size=4)) if bit else b""
    if bit:
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65_536:
        head = bytes((first, bit | 126)) + struct.pack(">H", size)
    else:
        head = bytes((first, bit | 127)) + struct.pack(">Q", size)
    return head + mask + payload


@st.composite
def cut(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> list[bytes]:
    """The bytes in pieces, cut at random places."""
    data = draw(whole)
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@st.composite
def damaged(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A way of changing a request: some bytes out, others in."""
    changes = draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=12)), max_size=3))

    def change(request: bytes) -> bytes:
        for place, out, into in changes:
            at = int(place * len(request))
            request = request[:at] + into + request[at + out :]
        return request

    return change


ENDS = st.sampled_from(["abort", "eof", "wait"])


async def send(client: RawSocket, pieces: list[bytes]) -> None:
    for piece in pieces:
        if client.writer.is_closing():  # the server has ended it already
            return
        client.writer.write(piece)
        await asyncio.sleep(0)


async def leave(client: RawSocket, end: str) -> None:
    # The server may have ended it in any way, a reset too.
    with contextlib.suppress(OSError, TimeoutError, RuntimeError):
        if end == "eof" and not client.writer.is_closing():
            client.writer.write_eof()
            await asyncio.sleep(0)
        elif end == "wait":
            async with asyncio.timeout(0.01):
                await client.reader.read()
    client.writer.transport.abort()


async def connected(station: Station) -> RawSocket:
    reader, writer = await asyncio.open_connection("127.0.0.1", station.bench.port)
    return RawSocket(reader, writer)


@SETTINGS
@given(
    pieces=cut(st.lists(frames(), max_size=8).map(b"".join) | st.binary(max_size=400)), end=ENDS, deflate=st.booleans()
)
def test_frames(station: Station, pieces: list[bytes], end: str, deflate: bool) -> None:
    async def example() -> None:
        client = await connected(station)
        offer = {"Sec-WebSocket-Extensions": "permessage-deflate"} if deflate else {}
        status, _ = await client.request(STREAM_PATH, upgrade(**offer) | station.bench.signed())
        assert status == 101
        await send(client, pieces)
        station.bench.feed.change(key(TICKER))
        await leave(client, end)
        await station.at_rest()

    station.run(example())


@SETTINGS
@given(change=damaged(), places=st.lists(st.integers(0, 700), max_size=5), end=ENDS)
def test_handshakes(station: Station, change: Callable[[bytes], bytes], places: list[int], end: str) -> None:
    async def example() -> None:
        client = await connected(station)
        headers = upgrade() | station.bench.signed()
        lines = [f"GET {STREAM_PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        request = change("\r\n".join(lines).encode())
        cuts = sorted(place % (len(request) + 1) for place in places)
        pieces = [request[a:b] for a, b in zip([0, *cuts], [*cuts, len(request)], strict=True)]
        await send(client, pieces)
        await leave(client, end)
        await station.at_rest()

    station.run(example())


@SETTINGS
@given(pieces=cut(st.binary(max_size=600)), end=ENDS)
def test_anything(station: Station, pieces: list[bytes], end: str) -> None:
    async def example() -> None:
        client = await connected(station)
        await send(client, pieces)
        await leave(client, end)
        await station.at_rest()

    station.run(example())
