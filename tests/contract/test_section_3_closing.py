"""Contract, sections 3.5 and 8: keep-alive, close codes, compression, and the limits of the stream."""

import json
import signal
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.contract.raw import CLOSE, PING, PONG, RawSocket
from tests.contract.support import PATIENCE, PERPETUAL, STREAM, Account, Server, Stream, until
from websockets.exceptions import ConnectionClosed, InvalidStatus

TICKER = f"ticker.{PERPETUAL}"


def close_of(stream: Stream) -> tuple[int, str]:
    """Code and reason of the close frame that ends a stream."""
    with suppress(ConnectionClosed):
        while True:
            stream.connection.recv(PATIENCE)
    assert stream.connection.close_code is not None
    assert stream.connection.close_reason is not None
    return stream.connection.close_code, stream.connection.close_reason


def send_until_closed(stream: Stream, messages: Iterable[str]) -> None:
    with suppress(ConnectionClosed):
        for message in messages:
            stream.connection.send(message)


# Keep-alive.


@pytest.fixture(scope="module", autouse=True)
def silent(quiet: Server) -> Iterator[tuple[RawSocket, float]]:
    """A socket that says nothing from the first test of this module on, and when it was opened."""
    with RawSocket(quiet.demo) as raw:
        yield raw, time.monotonic()


def test_client_pings_are_answered_with_their_payload(quiet: Server) -> None:
    with RawSocket(quiet.demo) as raw:
        assert raw.status.startswith("HTTP/1.1 101 ")
        assert raw.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        for payload in (b"", b"here", b"x" * 125):
            raw.send(PING, payload)
            assert raw.receive() == (PONG, payload)


# Compression.


def test_deflate_is_accepted_when_offered(live: Server) -> None:
    with live.demo.stream(TICKER, f"orderbook.{PERPETUAL}") as stream:
        response = stream.connection.response
        assert response is not None
        assert response.headers["sec-websocket-extensions"].startswith("permessage-deflate")
        stream.for_seconds(0.5)


def test_deflate_is_not_required(live: Server) -> None:
    with live.demo.stream(TICKER, f"orderbook.{PERPETUAL}", compression=None) as stream:
        response = stream.connection.response
        assert response is not None
        assert "sec-websocket-extensions" not in response.headers
        stream.for_seconds(0.5)


def test_large_frames_are_compressed_for_those_who_offered_it(live: Server) -> None:
    sizes = {}
    for offer in ((), ("Sec-WebSocket-Extensions: permessage-deflate",)):
        with RawSocket(live.demo, *offer) as raw:
            raw.send(0x81, b'{"op":"subscribe","args":["orderbook.BTCUSDT.PERP"]}')
            raw.receive()
            first, payload = raw.receive()
            sizes[first] = len(payload)
    assert set(sizes) == {0x81, 0xC1}
    assert sizes[0xC1] < sizes[0x81] / 2


@pytest.mark.parametrize(
    "offer", ["permessage-deflate; server_max_window_bits=8", "permessage-bzip2", "x-webkit-deflate-frame"]
)
def test_an_offer_that_does_not_fit_is_passed_over(live: Server, offer: str) -> None:
    with RawSocket(live.demo, f"Sec-WebSocket-Extensions: {offer}") as raw:
        assert raw.status.startswith("HTTP/1.1 101 ")
        assert "sec-websocket-extensions" not in raw.headers
        raw.send(0x81, b"ping")
        assert raw.receive() == (0x81, b"pong")


# Closing.


def test_a_frame_of_64_kib_is_taken_and_a_larger_one_closes(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        stream.connection.send('{"op":"ping"}'.ljust(65_536))
        assert stream.receive()["op"] == "pong"
        stream.connection.send('{"op":"ping"}'.ljust(65_537))
        assert close_of(stream)[0] == 1009


def test_fragments_of_more_than_64_kib_close_too(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        with suppress(ConnectionClosed):
            stream.connection.send(iter(["x" * 30_000] * 5))
        assert close_of(stream)[0] == 1009


def test_a_compressed_bomb_closes(quiet: Server) -> None:
    with quiet.demo.stream(compression="deflate") as stream:
        stream.connection.send("x" * 10_000_000)
        assert close_of(stream)[0] == 1009


BROKEN: dict[str, tuple[list[tuple[int, bytes]], int]] = {
    "text that is no UTF-8": ([(0x81, b"\xff\xfe")], 1007),
    "half a character": ([(0x01, b'{"op":"\xc3'), (0x80, b'"}')], 1007),
    "a reserved opcode": ([(0x83, b"")], 1002),
    "a reserved bit": ([(0xA1, b"ping")], 1002),
    "a continuation of nothing": ([(0x80, b"ping")], 1002),
    "a text within a text": ([(0x01, b"a"), (0x81, b"b")], 1002),
    "a ping in fragments": ([(0x09, b"")], 1002),
    "a ping of 126 bytes": ([(0x89, b"x" * 126)], 1002),
    "a close of one byte": ([(0x88, b"\x03")], 1002),
    "a close with an unused code": ([(0x88, struct.pack(">H", 1005))], 1002),
}


@pytest.mark.parametrize(("frames", "code"), BROKEN.values(), ids=BROKEN)
def test_what_the_rfc_demands(quiet: Server, frames: list[tuple[int, bytes]], code: int) -> None:
    with RawSocket(quiet.demo) as raw:
        for first, payload in frames:
            raw.send(first, payload)
        assert raw.close_code() == code


def test_an_unmasked_frame_closes(quiet: Server) -> None:
    with RawSocket(quiet.demo) as raw:
        raw.send(0x81, b"ping", masked=False)
        assert raw.close_code() == 1002


def test_the_closing_handshake_is_answered(quiet: Server) -> None:
    with RawSocket(quiet.demo) as raw:
        raw.send(CLOSE, struct.pack(">H", 1000) + b"bye")
        assert raw.close_code() == 1000
        assert raw.receive() == (0, b"")


def test_a_peer_that_just_goes_is_forgotten(quiet: Server) -> None:
    sessions = quiet.control("GET", "health")["sessions"]
    raw = RawSocket(quiet.demo)
    assert quiet.control("GET", "health")["sessions"] == sessions + 1
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.file.close()
    raw.socket.close()
    until(lambda: quiet.control("GET", "health")["sessions"] == sessions)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_stops_says_so_and_is_soon_gone(tmp_path: Path, number: int) -> None:
    with Server(tmp_path / "data", "--no-limits", "--symbols", PERPETUAL) as server:
        demo = server.demo
        with demo.stream(TICKER, "account") as first, demo.stream() as second, RawSocket(demo) as deaf:
            # One that never answers a close frame does not keep the others waiting.
            server.process.send_signal(number)
            started = time.monotonic()
            assert close_of(first) == close_of(second) == (1001, "server stopping")
            assert deaf.close_code() == 1001
            assert server.process.wait(20) == 0
            assert time.monotonic() - started < 10
        assert not (tmp_path / "data" / "server.json").exists()
        assert server.process.stdout is not None
        server.process.stdout.close()
        server.http.close()


# Limits.


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with small limits."""
    flags = (
        "--sockets-per-key", "3", "--topics-per-socket", "55", "--topics-per-frame", "5",
        "--operations-per-second", "20", "--upgrades-per-minute", "600", "--upgrade-burst", "1000",
    )  # fmt: skip
    with Server(tmp_path_factory.mktemp("limited") / "data", "--no-market", *flags) as server:
        yield server


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the limits that it has of itself."""
    with Server(tmp_path_factory.mktemp("default") / "data", "--no-market") as server:
        yield server


PERPETUALS = ("BTCUSDT.PERP", "ETHUSDT.PERP", "SOLUSDT.PERP", "XRPUSDT.PERP", "DOGEUSDT.PERP", "BNBUSDT.PERP")
SYMBOLS = (*PERPETUALS, "BTCUSDT", "ETHUSDT")
INTERVALS = ("1", "3", "5", "15", "30", "60", "120", "180", "240", "360", "720", "1D", "1W", "1M")
KLINES = [f"kline.{interval}.{symbol}" for symbol in SYMBOLS for interval in INTERVALS]


@pytest.mark.parametrize("op", ["subscribe", "unsubscribe"])
def test_more_than_50_topics_a_frame_are_refused_whole(default: Server, op: str) -> None:
    with default.demo.stream(*KLINES[:3]) as stream:
        stream.send(*KLINES[:51], op=op, id=1)
        reply = stream.receive()
        assert (reply["success"], reply["op"], reply["error"], reply["id"]) == (False, op, "TooManyTopics", 1)
        assert reply["args"] == KLINES[:51]
        assert "50" in reply["message"]
        assert stream.barrier() == []
        stream.subscribe(*KLINES[:50])


def test_topics_a_frame_are_a_setting(limited: Server) -> None:
    with limited.demo.stream(*KLINES[:5]) as stream:
        stream.send(*KLINES[:6], op="subscribe")
        assert stream.receive()["error"] == "TooManyTopics"


def test_topics_a_socket(limited: Server) -> None:
    with limited.demo.stream() as stream:
        for start in range(0, 50, 5):
            stream.subscribe(*KLINES[start : start + 5])
        stream.subscribe(*KLINES[50:53])
        stream.send(*KLINES[52:57], op="subscribe")
        # One is there already, two more have room.
        assert stream.receive() == {"success": True, "op": "subscribe", "args": KLINES[52:55]}
        reply = stream.receive()
        assert (reply["error"], reply["args"]) == ("TooManyTopics", KLINES[55:57])
        for topic in KLINES[52:55]:
            assert stream.receive()["topic"] == topic
        stream.send(KLINES[0], op="unsubscribe")
        stream.receive()
        stream.subscribe(KLINES[55])


def test_sockets_a_key(limited: Server) -> None:
    account, other = limited.account(), limited.account()
    with account.stream(), account.stream():
        with account.stream():
            with pytest.raises(InvalidStatus) as caught, account.stream():
                pass
            check_too_many(caught.value.response)
            with other.stream(TICKER):
                pass
        until(lambda: opens(account))


def opens(account: Account) -> bool:
    try:
        with account.stream():
            return True
    except InvalidStatus:
        return False


def check_too_many(response: Any) -> None:
    """Status, body and headers of a refusal for too many."""
    headers = response.headers
    body = response.body if hasattr(response, "body") else response.content
    assert response.status_code == 429
    assert body.startswith(b'{"error":"TooManyRequests"')
    assert (headers["content-type"], headers["x-prex-error-type"]) == ("application/json", "TooManyRequests")
    wait, reset = int(headers["retry-after"]), int(headers["x-ratelimit-reset"])
    assert wait >= 1
    assert 0 <= reset - time.time() <= wait + 1


def test_upgrades_an_address(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market", "--upgrade-burst", "4", "--upgrades-per-minute", "20") as server:
        wrong = server.demo.headers("GET", STREAM) | {"api-signature": "0" * 64}
        statuses = []
        for _ in range(4):
            # Refused ones count, or signatures could be tried without end.
            with pytest.raises(InvalidStatus) as caught, server.demo.stream(additional_headers=wrong):
                pass
            statuses.append(caught.value.response.status_code)
        assert statuses == [401] * 4
        with pytest.raises(InvalidStatus) as caught, server.demo.stream():
            pass
        check_too_many(caught.value.response)
        # REST is counted by itself.
        assert server.demo.get("/account")
        time.sleep(int(caught.value.response.headers["retry-after"]))
        with server.demo.stream(TICKER):
            pass


def test_upgrades_may_come_in_a_burst_of_100(default: Server) -> None:
    headers = {
        "upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    taken = 0
    while (reply := default.http.get(STREAM, headers=headers)).status_code == 401:
        taken += 1
    # Others of this module's tests may have taken some, and time gives some back.
    assert 85 <= taken <= 120
    check_too_many(reply)


def test_too_many_operations_get_an_error_and_then_the_end(limited: Server) -> None:
    with limited.demo.stream() as stream:
        for number in range(50):
            stream.send(op="ping", id=number)
        replies = [stream.receive() for _ in range(50)]
        assert [reply.get("op") for reply in replies[:20]] == ["pong"] * 20
        refused = [reply for reply in replies if "success" in reply]
        assert {reply["error"] for reply in refused} == {"TooManyOperations"}
        assert {reply["success"] for reply in refused} == {False}
        # Patience helps.
        time.sleep(2)
        stream.send(op="ping")
        assert stream.receive()["op"] == "pong"
        # One that keeps on is closed.
        send_until_closed(stream, ["nonsense"] * 2_000)
        assert close_of(stream)[0] == 1008


def test_no_limits_turns_every_limit_off(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        stream.subscribe(*KLINES)
        for number in range(500):
            stream.send(op="ping", id=number)
        assert [stream.receive()["op"] for _ in range(500)] == ["pong"] * 500
    reply = quiet.demo.send("GET", "/account")
    assert not [name for name in reply.headers if name.startswith("x-ratelimit")]


# Slow readers.


def test_a_slow_reader_misses_states_but_never_the_newest(live: Server) -> None:
    topics = [f"orderbook.delta.{symbol}" for symbol in SYMBOLS] + [f"orderbook.{symbol}" for symbol in SYMBOLS]
    with RawSocket(live.demo) as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        names = ",".join(f'"{topic}"' for topic in topics)
        raw.send(0x81, f'{{"op":"subscribe","args":[{names}]}}'.encode())
        time.sleep(2)
        seq: dict[str, int] = {}
        jumps: set[str] = set()
        left = 100
        while left:
            frame = json.loads(raw.receive()[1])
            if not frame.get("topic", "").startswith("orderbook.delta."):
                continue
            (part,) = frame["data"]
            (row,) = part["rows"]
            if part["actionType"] == "SNAPSHOT":
                jumps |= {frame["topic"]} & set(seq)
            else:
                # Each follows exactly from what came before it, and so from a SNAPSHOT that came in between.
                assert row["prevSeq"] == seq[frame["topic"]]
                left -= bool(jumps)
            seq[frame["topic"]] = row["seq"]
        assert set(seq) == set(topics[: len(SYMBOLS)])


def test_the_server_pings_every_20_seconds(silent: tuple[RawSocket, float]) -> None:
    # The last test, as it waits for what is left of them.
    raw, opened = silent
    raw.socket.settimeout(30)
    assert raw.receive() == (PING, b"")
    # Sooner would be a waste; how much later is up to the machine.
    assert time.monotonic() - opened > 18
    raw.send(PONG)
    raw.send(PING, b"still there")
    # On a slow day the next ping has come before.
    while (frame := raw.receive()) == (PING, b""):
        pass
    assert frame == (PONG, b"still there")
