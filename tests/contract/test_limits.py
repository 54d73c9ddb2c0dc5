"""Each limit that has no section of its own: over a real socket, with its answer and its counter."""

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.contract.raw import PING, RawSocket, connect, upgrade
from tests.contract.support import PATIENCE, PERPETUAL, Account, Server, until
from tests.contract.test_tls import Certificates
from websockets.exceptions import InvalidStatus

BOOK = f"orderbook.delta.{PERPETUAL}"


def count(server: Server, name: str, **labels: str) -> float:
    """A counter of the server."""
    wanted = name + "{" + ",".join(f'{label}="{value}"' for label, value in labels.items()) + "} "
    page = server.http.get("/_tickwire/metrics").text
    return sum(float(line.removeprefix(wanted)) for line in page.splitlines() if line.startswith(wanted))


def hits(server: Server, limit: str) -> float:
    return count(server, "tickwire_limits_hit_total", limit=limit)


def read_all(connection: socket.socket) -> bytes:
    """All that comes until the end, in whatever way that comes."""
    found = b""
    try:
        while data := connection.recv(65_536):
            found += data
    except ConnectionResetError:
        pass
    return found


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = (
        "--sockets-per-address", "3", "--connections", "12", "--bad-frames-per-minute", "5",
        "--message-bytes", "1000", "--backlog-mb", "1", "--request-timeout", "1", "--upgrade-burst", "1000",
        "--operations-per-second", "1000", "--requests-per-second", "10000", "--stall-timeout", "20",
    )  # fmt: skip
    with Server(tmp_path_factory.mktemp("limited") / "data", "--no-market", *flags) as server:
        yield server


def test_sockets_an_address(limited: Server) -> None:
    demo = limited.demo
    until(lambda: limited.control("GET", "health")["sessions"] == 0)
    before = hits(limited, "sockets_per_address")
    with demo.stream(), demo.stream(), demo.stream():
        with pytest.raises(InvalidStatus) as caught, demo.stream():
            pass
        response = caught.value.response
        assert (response.status_code, response.body) == (429, b'{"error":"TooManyRequests"}')
        assert response.headers["retry-after"] == "10"
        with RawSocket(demo, connection=connect(limited, "127.0.0.2")) as other:
            assert other.status.startswith("HTTP/1.1 101 ")
        assert hits(limited, "sockets_per_address") == before + 1


def test_connections_of_all_together(limited: Server) -> None:
    until(lambda: limited.control("GET", "health")["sessions"] == 0)
    before = hits(limited, "connections")
    # One is the connection that the test asks over.
    idle = [connect(limited) for _ in range(11)]
    try:
        for request in (b"GET /api/v1/public/time HTTP/1.1\r\nHost: x\r\n\r\n", upgrade(limited.demo)):
            with connect(limited) as late:
                late.sendall(request)
                head, _, body = read_all(late).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 10" in head
            assert json.loads(body)["error"] == "Overloaded"
        assert hits(limited, "connections") == before + 2
    finally:
        for connection in idle:
            connection.close()
    until(lambda: httpx.get(f"{limited.url}/api/v1/public/time").status_code == 200)


@pytest.mark.parametrize("whole", [b"GET /api/v1/public/time HTTP/1.1\r\nHost: x\r\n\r\n", b"", b"stream", b"body"])
def test_a_request_that_trickles_in_is_cut_off(limited: Server, whole: bytes) -> None:
    """Byte by byte, so that the connection is never idle."""
    if whole == b"stream":
        whole = upgrade(limited.demo)
    elif whole == b"body":
        whole = b"POST /api/v1/trade/order HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + b" " * 1000
    before = hits(limited, "request_timeout")
    with connect(limited) as slow:
        slow.settimeout(0.05)
        answer = None
        for byte in [*whole[:-10], *[None] * 1_000]:
            try:
                if byte is not None:
                    slow.sendall(bytes((byte,)))
                answer = slow.recv(65_536)
            except TimeoutError:
                continue
            except ConnectionError:
                answer = b""
            break
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 408 ") or not whole
    assert hits(limited, "request_timeout") == before + 1


def test_a_tls_handshake_that_never_comes_is_cut_off(tmp_path: Path) -> None:
    files = Certificates(tmp_path / "certificates")
    flags = ("--no-market", "--request-timeout", "0.3", *files.flags)
    with Server(tmp_path / "data", *flags, verify=files.trust) as server, connect(server) as silent:
        assert read_all(silent) == b""


def test_an_idle_connection_between_two_requests_stays(limited: Server) -> None:
    connection = http.client.HTTPConnection(limited.url.removeprefix("http://"), timeout=PATIENCE)
    connection.connect()
    connection.auto_open = 0
    for _ in range(2):
        connection.request("GET", "/api/v1/public/time")
        reply = connection.getresponse()
        assert (reply.status, bool(reply.read())) == (200, True)
        time.sleep(1.5)
    connection.close()


def test_a_head_of_any_size_is_not_read(limited: Server) -> None:
    before = hits(limited, "request_head")
    endless = b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1_000) for number in range(10_000))
    with connect(limited) as greedy, pytest.raises(ConnectionError):
        greedy.sendall(endless)
    assert hits(limited, "request_head") == before + 1


def closed(server: Server, name: str) -> float:
    page = server.http.get("/_tickwire/metrics").text
    lines = [line for line in page.splitlines() if line.startswith("tickwire_stream_closes_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if f'name="{name}"' in line)


def test_the_size_of_a_message(limited: Server) -> None:
    before = closed(limited, "too_big")
    with RawSocket(limited.demo) as raw:
        raw.send(0x81, b'{"op":"ping"}'.ljust(1_000))
        assert json.loads(raw.receive()[1])["op"] == "pong"
        raw.send(0x81, b'{"op":"ping"}'.ljust(1_001))
        assert raw.close_code() == 1009
    until(lambda: closed(limited, "too_big") == before + 1)


@pytest.mark.parametrize(
    ("first", "code", "reason", "name"),
    [(0x81, 1008, b"too many bad frames", "bad_frames"), (0x82, 1003, b"too many binary frames", "unsupported")],
)
def test_bad_frames(limited: Server, first: int, code: int, reason: bytes, name: str) -> None:
    before = hits(limited, "bad_frames_per_minute")
    with RawSocket(limited.demo) as raw:
        for _ in range(5):
            raw.send(first, b"nonsense")
            assert json.loads(raw.receive()[1])["success"] is False
        # What is wrong in a frame that can be read does not count.
        raw.send(0x81, b'{"op":"subscribe","args":["nonsense"]}')
        assert json.loads(raw.receive()[1])["error"] == "InvalidTopic"
        raw.send(first, b"nonsense")
        assert raw.receive() == (0x88, code.to_bytes(2, "big") + reason)
    assert hits(limited, "bad_frames_per_minute") == before + 1
    until(lambda: closed(limited, name) == 1)


def stall(account: Account, source: str) -> socket.socket:
    """A stream that has asked for more than it will ever take: whole books, and reads none."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    plain.bind((source, 0))
    plain.connect(("127.0.0.1", int(account.server.url.rpartition(":")[2])))
    raw = RawSocket(account, connection=plain)
    assert raw.status.startswith("HTTP/1.1 101 ")
    for _ in range(900):
        raw.send(0x81, b'{"op":"subscribe","args":["orderbook.delta.BTCUSDT.PERP"]}')
    return plain


def test_too_much_that_waits_for_all_readers_together(limited: Server) -> None:
    """Each of them stays below its own bound."""
    alice = limited.account()
    for price in range(40_000, 40_200):
        alice.buy("0.0001", str(price))
    streams = [stall(alice, f"127.0.0.{host}") for host in (11, 12, 13, 14, 15, 16)]
    try:
        with alice.stream(BOOK) as healthy:
            until(lambda: closed(limited, "overloaded") > 0)
            alice.cancel_all()
            assert healthy.rows(BOOK)
        assert 1 <= closed(limited, "overloaded") <= 5, "no more are closed than has to be"
    finally:
        for stream in streams:
            stream.close()


def test_a_restart_is_told_from_a_stop(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market") as server:
        with RawSocket(server.demo) as raw:
            os.kill(server.process.pid, signal.SIGUSR1)
            assert raw.receive() == (0x88, (1012).to_bytes(2, "big") + b"server restart")
            raw.send(0x88, (1012).to_bytes(2, "big"))
            assert server.process.wait(PATIENCE) == 0
        server.http.close()
        assert server.process.stdout is not None
        server.process.stdout.close()


def test_times_are_settings(tmp_path: Path) -> None:
    flags = ("--ping-interval", "0.2", "--silence-timeout", "0.7", "--no-limits", "--no-market")
    with Server(tmp_path / "data", *flags) as server, RawSocket(server.demo) as raw:
        frames = [raw.receive()]
        while frames[-1][0] == PING:
            frames.append(raw.receive())
        assert len(frames) >= 3
        assert frames[-1] == (0x88, (1013).to_bytes(2, "big") + b"no sign of life for too long")
        assert raw.receive() == (0, b"")
        until(lambda: closed(server, "silent") == 1)
