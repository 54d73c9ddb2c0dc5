"""The load generator against a server whose every byte is written down here."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from benchmarks.load import Load, Report, subscription, upgrade_lines

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
MILLISECOND = 1_000_000


pytestmark = pytest.mark.usefixtures("compiler")


class Scripted:
    """Accepts connections and keeps them, with what each has sent first."""

    def __init__(self, answer: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answer = answer
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                connection, _ = self._listener.accept()
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                self.requests.append(request)
                self.connections.append(connection)
                connection.sendall(self._answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self.connections:
            connection.close()


@contextlib.contextmanager
def loaded(count: int = 1, answer: bytes = UPGRADED, **options: int) -> Iterator[tuple[Load, Scripted]]:
    """A generator with ``count`` readers of a scripted server."""
    with contextlib.closing(Scripted(answer)) as server:
        load = Load(server.port, count, [upgrade_lines("/", {})], topics=3, **options)
        with contextlib.closing(load):
            yield load, server


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """Unmasked, with the shortest length."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def data(sequence: int, topic: int = 0, late: int = 0, more: int = 0) -> bytes:
    """A data payload that was due ``late`` ns ago."""
    text = '{"topic":"t","ts":"%d","data":[%s{"mark":"%03d.%08d"}]}'
    return (text % (time.time_ns() - late, " " * more, topic, sequence)).encode()


def wait(load: Load, until: Callable[[Report], bool]) -> Report:
    """The first report that fulfils ``until``."""
    deadline = time.monotonic() + 20
    while not until(report := load.report()):
        assert time.monotonic() < deadline, report
        time.sleep(0.01)
    return report


def test_frames_of_every_length_are_counted_however_they_are_cut() -> None:
    payloads = [data(1), data(2, more=100), data(3, more=70_000), data(4)]
    stream = b"".join(map(frame, payloads))
    with loaded() as (load, server):
        load.measure()
        for start, end in ((0, 1), (1, 3), (3, 150), (150, 70_100), (70_100, len(stream))):
            server.connections[0].sendall(stream[start:end])
            wait(load, lambda report, end=end: report.wire_bytes == end)  # type: ignore[misc]
        report = load.report()
    assert (report.frames, report.payload_bytes) == (4, sum(map(len, payloads)))
    assert (report.gaps, report.missing, report.repeats, report.replies, report.deflated) == (0, 0, 0, 0, 0)
    assert report.reads >= 5


def test_latency_counts_from_the_time_in_the_payload() -> None:
    with loaded() as (load, server):
        load.measure()
        for late in (10, 20, 5_000):
            server.connections[0].sendall(frame(data(late, late=late * MILLISECOND)))
        report = wait(load, lambda report: report.timed == 3)
    # What is slept before does not pass for less than it was; how much more it is depends on the machine.
    assert report.smallest >= 10 * MILLISECOND
    assert report.largest >= 5_000 * MILLISECOND
    assert report.latency.count == 3
    assert report.latency.percentile(50.0) >= 20 * MILLISECOND


def test_missing_and_repeated_frames_are_noticed_by_reader_and_topic() -> None:
    with loaded(2) as (load, server):
        load.measure()
        first, second = server.connections
        for sequence in (5, 6, 9, 9, 8, 10):  # begins anywhere; 7 and 8 are missing; the same again is a snapshot
            first.sendall(frame(data(sequence)))
        for sequence in (1, 2):
            first.sendall(frame(data(sequence, topic=2)))
            second.sendall(frame(data(sequence)))
        report = wait(load, lambda report: report.frames == 10)
    assert (report.gaps, report.missing, report.repeats) == (2, 3, 1)


def test_replies_and_compressed_frames_are_told_from_data() -> None:
    with loaded() as (load, server):
        load.measure()
        server.connections[0].sendall(frame(b'{"success":true}') + frame(bytes(200), 0xC1) + frame(data(1)))
        report = wait(load, lambda report: report.frames == 2)
    assert (report.replies, report.deflated, report.timed) == (1, 1, 1)
    assert report.payload_bytes == 200 + len(data(1))


def test_a_ping_is_answered_and_a_close_ends_the_reader() -> None:
    with loaded() as (load, server):
        peer = server.connections[0]
        load.measure()
        peer.sendall(frame(b"hello", 0x89))
        assert peer.recv(100) == b"\x8a\x85\0\0\0\0hello"
        peer.sendall(frame(b"\x03\xe9", 0x88))
        report = wait(load, lambda report: report.closed == 1)
        assert report.frames == 0
        assert peer.recv(100) == b""


def test_everybody_subscribes_and_waits_for_what_is_to_come() -> None:
    messages = [subscription(["a"]), subscription(["b", "c"])]
    with contextlib.closing(Scripted(UPGRADED)) as server:
        load = Load(server.port, 3, [upgrade_lines("/", {"x": "1"}), upgrade_lines("/", {})], messages, ready=2)
        with contextlib.closing(load):
            assert (load.opened.opened, load.opened.refused) == (3, 0)
            assert [b"\r\nx: 1\r\n" in request for request in server.requests] == [True, False, True]

            def answer() -> None:
                for peer in server.connections:
                    while not peer.recv(1000):
                        pass
                    peer.sendall(frame(b'{"success":true}') + frame(data(1)))

            thread = threading.Thread(target=answer)
            thread.start()
            assert load.subscribe() > 0
            thread.join()


def test_a_subscription_is_masked_frames_of_fifty_topics() -> None:
    frames = subscription([f"topic-{number}" for number in range(60)])
    size = int.from_bytes(frames[2:4], "big")
    assert frames[:2] == b"\x81\xfe"
    assert frames[4:8] == bytes(4)
    assert len(re.findall(rb'"topic-\d+"', frames[8 : 8 + size])) == 50
    assert len(re.findall(rb'"topic-\d+"', frames[8 + size :])) == 10


def test_who_stalls_gets_what_has_come_once_it_reads_again() -> None:
    with loaded(2) as (load, server):
        load.measure()
        load.stall(1)
        for peer in server.connections:
            peer.sendall(frame(data(1)))
        wait(load, lambda report: report.frames == 1)
        time.sleep(0.05)
        assert load.report().frames == 1
        load.resume()
        wait(load, lambda report: report.frames == 2)


def test_a_refusal_is_an_error_with_its_status_line() -> None:
    with (
        pytest.raises(RuntimeError, match=r"got 2 x 'HTTP/1\.1 401 Unauthorized'"),
        loaded(2, b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"),
    ):
        pass


def test_it_says_when_it_is_the_bottleneck_itself() -> None:
    counts = dict.fromkeys(Report.__struct_fields__, 0)
    busy = Report(**{**counts, "seconds": 2.0, "cpu": 1.9, "buckets": []})  # type: ignore[arg-type]
    idle = Report(**{**counts, "seconds": 2.0, "cpu": 0.5, "buckets": []})  # type: ignore[arg-type]
    assert busy.bottleneck == "the load generator is the bottleneck (95% of its core)"
    assert idle.bottleneck == ""


def test_it_settles_when_everything_is_there_or_nothing_more_comes() -> None:
    with loaded() as (load, server):
        load.measure()
        server.connections[0].sendall(frame(data(1)) + frame(data(2)))
        assert load.settle(2).frames == 2
        begin = time.monotonic()
        assert load.settle(3).frames == 2
        assert time.monotonic() - begin < 5  # and not the ten seconds that it would give who still sends
