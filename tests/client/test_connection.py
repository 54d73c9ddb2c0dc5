"""The raw connection against a real server, and against peers that do what the server never does."""

import asyncio
import json
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.contract.support import PATIENCE, PERPETUAL, Account, Server
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tickwire.client.connection import Connection, ConnectionItem, ConnectionSettings, StreamEnded, stream_url
from tickwire.client.events import Connected, RawFrame, Reconnecting
from tickwire.client.policy import BackOff

T = TypeVar("T")

TICKER = f"ticker.{PERPETUAL}"
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="expected openssl to make a certificate")
QUICK = ConnectionSettings(back_off=BackOff(first=0.05, longest=0.2))


def connection(account: Account, **more: Any) -> Connection:
    return Connection(account.server.url, account.key, account.secret, **more)


async def until(items: AsyncIterator[ConnectionItem], wanted: Callable[[ConnectionItem], bool]) -> list[ConnectionItem]:
    """What comes up to the first item that is wanted."""
    found = []
    async with asyncio.timeout(PATIENCE):
        async for item in items:
            found.append(item)
            if wanted(item):
                return found
    raise AssertionError(f"the iteration has ended after {found}")


def is_topic(topic: str, action: str = "") -> Callable[[ConnectionItem], bool]:
    def wanted(item: ConnectionItem) -> bool:
        if not isinstance(item, RawFrame):
            return False
        frame = json.loads(item.data)
        return frame.get("topic") == topic and action in ("", frame["data"][0]["actionType"])

    return wanted


async def collect(stream: Connection, into: list[ConnectionItem]) -> None:
    async for item in stream:
        into.append(item)  # noqa: PERF401


async def ends_with(connection: Connection) -> StreamEnded:
    async with connection:
        with pytest.raises(StreamEnded) as raised:
            await until(aiter(connection), lambda item: False)
    return raised.value


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/api/v1/stream"),
        ("https://example.com/", "wss://example.com/api/v1/stream"),
        ("https://example.com/api/v1", "wss://example.com/api/v1/stream"),
        ("ws://localhost:1/api/v1/stream", "ws://localhost:1/api/v1/stream"),
        ("wss://example.com/gateway/api/v1/", "wss://example.com/gateway/api/v1/stream"),
    ],
)
def test_addresses(url: str, expected: str) -> None:
    assert stream_url(url) == expected


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://example.com", "http://"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="expected a url such as http"):
        stream_url(url)


async def test_frames_come_as_sent_with_the_time_of_receipt(live: Server) -> None:
    before = time.time_ns()
    async with connection(live.demo, topics=[TICKER]) as stream:
        items = aiter(stream)
        first = await anext(items)
        assert isinstance(first, Connected)
        assert first.number == 1
        reply = await anext(items)
        assert isinstance(reply, RawFrame)
        assert json.loads(reply.data) == {"success": True, "op": "subscribe", "args": [TICKER]}
        assert stream.connected
        found = await until(items, is_topic(TICKER, "UPDATE"))
        assert is_topic(TICKER, "SNAPSHOT")(found[0])
        await stream.subscribe(["account"])
        await until(items, is_topic("account"))
        await stream.unsubscribe([TICKER])
        (unsubscribed,) = (await until(items, lambda item: isinstance(item, RawFrame) and b'"unsub' in item.data))[-1:]
        received = [item.received for item in [reply, *found, unsubscribed]]
        assert received == sorted(received)
        assert before <= received[0]
        assert received[-1] <= time.time_ns()
    assert not stream.connected


async def test_many_calls_make_few_operations(quiet: Server) -> None:
    topics = [f"kline.{interval}.{PERPETUAL}" for interval in ("1", "3", "5")] + [f"ticker.NONE{n}" for n in range(120)]
    async with connection(quiet.demo) as stream:
        items = aiter(stream)
        await anext(items)
        for topic in topics:
            await stream.subscribe([topic])
        accepted: list[str] = []
        refused: list[str] = []
        replies = 0
        while len(accepted) + len(refused) < len(topics):
            item = await anext(items)
            assert isinstance(item, RawFrame)
            frame = json.loads(item.data)
            if "success" in frame:
                replies += 1
                (accepted if frame["success"] else refused).extend(frame["args"])
        assert accepted + refused == topics
        assert replies == 4  # three frames, the first of which has both kinds


async def test_deflate(live: Server) -> None:
    async with connection(live.demo, topics=[TICKER], settings=ConnectionSettings(deflate=True)) as stream:
        await until(aiter(stream), is_topic(TICKER, "UPDATE"))


@pytest.mark.parametrize("hours", [-48, 5])
async def test_a_wrong_clock_is_set_by_the_server(quiet: Server, hours: int) -> None:
    def wrong() -> int:
        return time.time_ns() + hours * 3_600_000_000_000

    # Ahead, a signature is good for hours more: only a day ahead is refused.
    expires_after = 60.0 if hours < 0 else 20 * 3600.0
    settings = ConnectionSettings(back_off=BackOff(first=0.05), expires_after=expires_after)
    async with connection(quiet.demo, topics=[TICKER], clock=wrong, settings=settings) as stream:
        refused, connected, *_ = await until(aiter(stream), is_topic(TICKER))
        assert isinstance(refused, Reconnecting)
        assert refused.code == 401
        assert isinstance(connected, Connected)


async def test_a_wrong_secret_ends_it(quiet: Server) -> None:
    ended = await ends_with(Connection(quiet.url, quiet.demo.key, "wrong", settings=QUICK))
    assert (ended.end.status, ended.end.error) == (401, "api.unauthorized")
    assert str(ended).startswith("the stream has ended for good: status 401 api.unauthorized: ")


async def test_an_unknown_key_and_a_missing_scope_end_it_at_once(quiet: Server) -> None:
    ended = await ends_with(Connection(quiet.url, "unknown-key", "x", settings=QUICK))
    assert ended.end.error == "api.invalidSession"
    restricted = quiet.key("restricted", scopes=["trade"])
    ended = await ends_with(connection(restricted, settings=QUICK))
    assert (ended.end.status, ended.end.error) == (403, "Forbidden")


async def test_a_revoked_key_ends_it(quiet: Server) -> None:
    account = quiet.key("revoked")
    async with connection(account, topics=["account"], settings=QUICK) as stream:
        items = aiter(stream)
        await until(items, is_topic("account"))
        quiet.control("DELETE", f"keys/{account.key}")
        with pytest.raises(StreamEnded, match="close code 1008: key revoked"):
            await until(items, lambda item: False)


async def test_too_many_handshakes_are_told_when_to_come_back(tmp_path: Path) -> None:
    flags = ("--no-market", "--upgrade-burst", "1", "--upgrades-per-minute", "60")
    with Server(tmp_path / "data", *flags) as server:
        async with connection(server.demo, topics=["account"]) as first:
            await until(aiter(first), is_topic("account"))
            async with connection(server.demo, topics=["account"], settings=QUICK) as second:
                refused, *_ = await until(aiter(second), is_topic("account"))
                assert isinstance(refused, Reconnecting)
                assert refused.code == 429
                assert refused.delay >= 1.0


async def test_a_server_that_is_not_there_yet_and_one_that_comes_back(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market") as server:
        port = int(server.url.rpartition(":")[2])
        stream = connection(server.demo, topics=[TICKER, "account"], settings=QUICK)
        server.stop(signal.SIGKILL)
        async with stream:
            items = aiter(stream)
            away = await anext(items)
            assert isinstance(away, Reconnecting)
            assert away.code == 0
            with Server(tmp_path / "data", "--no-market", port=port) as again:
                found = await until(items, is_topic("account", "SNAPSHOT"))
                assert next(type(item) for item in found if not isinstance(item, Reconnecting)) is Connected
                again.stop()
                stopping = (await until(items, lambda item: isinstance(item, Reconnecting)))[-1]
                assert isinstance(stopping, Reconnecting)
                assert (stopping.code, stopping.reason) == (1001, "server stopping")
            with Server(tmp_path / "data", "--no-market", port=port):
                found = await until(items, is_topic("account", "SNAPSHOT"))
                connected = [item for item in found if isinstance(item, Connected)]
                assert [item.number for item in connected] == [2]
                assert any(is_topic(TICKER, "SNAPSHOT")(item) for item in found)


async def test_a_silent_server_is_noticed(tmp_path: Path) -> None:
    settings = ConnectionSettings(
        ping_interval=0.2, ping_timeout=0.3, open_timeout=0.5, back_off=BackOff(first=0.05, longest=0.1)
    )
    with Server(tmp_path / "data", "--no-market") as server:
        async with connection(server.demo, topics=["account"], settings=settings) as stream:
            items = aiter(stream)
            await until(items, is_topic("account"))
            # Nothing happens on this exchange, but it answers pings.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await anext(items)
        async with connection(server.demo, topics=["account"], settings=settings) as stream:
            items = aiter(stream)
            await until(items, is_topic("account"))
            server.process.send_signal(signal.SIGSTOP)
            silent = await anext(items)
            assert isinstance(silent, Reconnecting)
            assert silent.reason == "no sign of life for 0.5 s"
            server.process.send_signal(signal.SIGCONT)
            await until(items, is_topic("account", "SNAPSHOT"))


async def test_what_nobody_takes_stays_bounded_and_the_newest_comes(live: Server) -> None:
    topics = [f"orderbook.{symbol}" for symbol in ("BTCUSDT.PERP", "ETHUSDT.PERP", "BTCUSDT")]
    bound = 100_000
    async with connection(live.demo, topics=topics, settings=ConnectionSettings(buffer_bytes=bound)) as stream:
        items = aiter(stream)
        await anext(items)
        await asyncio.sleep(2.0)
        now = time.time_ns()
        waiting = sum(len(item.data) for item in await drain(items))
        # A read may bring 256 KiB at once.
        assert waiting <= bound + 256 * 1024
        found = await until(
            aiter(stream), lambda item: isinstance(item, RawFrame) and int(json.loads(item.data)["ts"]) > now
        )
        assert not [item for item in found if not isinstance(item, RawFrame)]


async def drain(items: AsyncIterator[ConnectionItem]) -> list[RawFrame]:
    """What can be had without waiting. The iterator is of no use afterwards."""
    found = []
    while True:
        step = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)
        if not step.done():
            step.cancel()
            return found
        item = step.result()
        assert isinstance(item, RawFrame)
        found.append(item)


async def test_two_uses_of_one_connection(quiet: Server) -> None:
    stream = connection(quiet.demo)
    with pytest.raises(RuntimeError, match="use it within async with"):
        await anext(aiter(stream))
    async with stream:
        with pytest.raises(RuntimeError, match="opened once only"):
            await stream.__aenter__()
        with pytest.raises(TypeError, match="put it into a list"):
            await stream.subscribe("account")


# Peers that do what our server never does.


async def test_close_codes_of_a_peer() -> None:
    codes = iter([(1012, "server restart"), (1000, ""), (4444, "what?"), (1008, "go away")])

    async def handler(peer: ServerConnection) -> None:
        await peer.send("{}")
        code, reason = next(codes)
        await peer.close(code, reason)

    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Connection(f"http://127.0.0.1:{port}", "key", "secret", settings=QUICK) as stream:
            seen: list[ConnectionItem] = []
            with pytest.raises(StreamEnded, match="close code 1008: go away"):
                await collect(stream, seen)
    assert [(item.code, item.reason) for item in seen if isinstance(item, Reconnecting)] == [
        (1012, "server restart"),
        (1000, ""),
        (4444, "what?"),
    ]


async def test_answers_that_are_no_handshake() -> None:
    answers = iter(
        [
            b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>",
            b"HTTP/1.1 503 Unavailable\r\n\r\n<html>no length",
            b"no HTTP at all\r\n\r\n",
            b"",
            b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        ]
    )

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(next(answers))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        items: list[ConnectionItem] = []
        async with Connection(f"ws://127.0.0.1:{port}", "key", "secret", settings=QUICK) as stream:
            with pytest.raises(StreamEnded, match="status 404: Not Found"):
                await collect(stream, items)
    seen = [(item.code, item.reason) for item in items if isinstance(item, Reconnecting)]
    assert seen[0] == (502, "<html>")
    assert seen[1] == (503, "<html>no length")
    assert [code for code, _ in seen[2:]] == [0, 0, 0]
    assert all(reason for _, reason in seen)


async def test_a_peer_that_breaks_the_protocol_is_left() -> None:
    broken = iter([b"\xff\xff\xff", b"\x81\x01\xff"])

    async def handler(peer: ServerConnection) -> None:
        await peer.send("before")
        peer.transport.write(next(broken))
        await peer.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Connection(f"http://127.0.0.1:{port}", "key", "secret", settings=QUICK) as stream:
            items = aiter(stream)
            found = await until(items, lambda item: isinstance(item, Reconnecting))
            assert isinstance(found[1], RawFrame)
            assert found[1].data == b"before"
            again = await until(items, lambda item: isinstance(item, Reconnecting))
    for lost in (found[-1], again[-1]):
        assert isinstance(lost, Reconnecting)
        assert lost.reason.startswith("the server ")


async def test_a_handshake_that_gets_no_answer() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    settings = ConnectionSettings(open_timeout=0.1, back_off=BackOff(first=0.05))
    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Connection(f"ws://127.0.0.1:{port}", "key", "secret", settings=settings) as stream:
            item = await anext(aiter(stream))
    assert isinstance(item, Reconnecting)
    assert item.reason == "no answer within 0.1 s"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A directory with a certificate and key for localhost."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
    subprocess.run([*command, "-addext", "subjectAltName=DNS:localhost", *files], check=True, capture_output=True)
    return tmp_path


@needs_openssl
async def test_tls(certificate: Path) -> None:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificate / "certificate", certificate / "key")
    seen: list[str] = []

    async def handler(peer: ServerConnection) -> None:
        async for message in peer:
            await peer.send(message)

    def check(peer: ServerConnection, request: Request) -> Response | None:
        seen.append(request.headers["api-signature"])
        return None

    async with serve(handler, "127.0.0.1", 0, ssl=ours, process_request=check) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"https://localhost:{port}"
        async with Connection(url, "key", "secret", settings=QUICK) as stream:
            refused = await anext(aiter(stream))
            assert isinstance(refused, Reconnecting)
            assert "certificate" in refused.reason.lower()
        tls = ssl.create_default_context(cafile=str(certificate / "certificate"))
        async with Connection(url, "key", "secret", topics=["account"], tls=tls) as stream:
            (echo,) = [item async for item in first_frames(stream, 1)]
    assert json.loads(echo.data) == {"op": "subscribe", "args": ["account"]}
    assert len(seen[0]) == 64


async def first_frames(stream: Connection, count: int) -> AsyncIterator[RawFrame]:
    async for item in stream:
        if isinstance(item, RawFrame):
            yield item
            count -= 1
            if not count:
                return
