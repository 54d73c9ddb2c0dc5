"""Readers that share what they are sent, on a hub whose turns are the test's. `tests/property/test_stream.py` compares
it with a stream that shares nothing.
"""

import msgspec
import pytest
from tests.stream.support import BOOK, KLINE, ORDER, TICKER, ManualTimers, MemoryFeed, key, read_messages

from tickwire.stream.frames import text_frame
from tickwire.stream.hub import Hub, Reader
from tickwire.stream.session import Session
from tickwire.stream.settings import StreamCounters, StreamLimits, StreamSettings

SETTINGS = StreamSettings(limits=StreamLimits.unlimited())


class Client:
    def __init__(self, bench: "Bench", account: str = "alice", deflate: bool = False) -> None:
        self.bench = bench
        self.written: list[bytes] = []
        self.closed: list[str] = []
        self.reader = Reader(
            bench.hub, account, self.written.append, self.closed.append, deflate=deflate, held_bytes=1 << 20
        )
        self.outbox = self.reader.outbox
        self.session = Session(
            account, SETTINGS, bench.hub.counters, refusal=bench.feed.refusal, clock=lambda: 0, now=0.0
        )
        bench.hub.attach(self.reader)

    def send(self, op: str, *names: str, **more: object) -> None:
        text = msgspec.json.encode({"op": op, "args": names} | more).decode()
        self.bench.hub.perform(self.reader, self.session.receive_text(text, 0.0))

    def versions(self) -> list[int]:
        """What it has been sent of the ticker."""
        messages = read_messages(b"".join(self.written))
        self.written.clear()
        return [message["data"][0]["rows"][0] for message in messages if message.get("topic") == TICKER]  # type: ignore[index]


class Bench:
    def __init__(self) -> None:
        self.feed = MemoryFeed()
        self.timers = ManualTimers()
        self.hub = Hub(self.feed, StreamCounters(), self.timers, SETTINGS, epoch="e")

    def clients(self, count: int, *names: str) -> list[Client]:
        """Readers of the same topics, which share already."""
        clients = [Client(self) for _ in range(count)]
        for client in clients:
            client.send("subscribe", *(names or (TICKER, BOOK)))
        self.rest()
        for client in clients:
            client.written.clear()
        return clients

    def change(self, times: int = 1) -> None:
        for _ in range(times):
            self.feed.change(key(TICKER))

    def rest(self) -> None:
        """Time enough for all who may share to be found."""
        self.timers.advance(3.0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_those_who_read_the_same_are_written_the_same_object(bench: Bench) -> None:
    clients = bench.clients(3)
    bench.change(2)
    bench.feed.change(key(BOOK))
    bench.timers.end_turn()
    (first,), *others = [client.written for client in clients]
    for (data,) in others:
        assert data is first
    assert [client.outbox.frames for client in clients] == [6] * 3
    assert bench.hub.counters.frames_out == sum(client.outbox.frames for client in clients)
    assert bench.hub.counters.bytes_out == sum(client.outbox.written for client in clients)


def test_other_topics_forms_and_paces_are_not_shared(bench: Bench) -> None:
    plain = bench.clients(2)
    others = [Client(bench), Client(bench, deflate=True), Client(bench), Client(bench)]
    others[0].send("subscribe", TICKER)
    others[1].send("subscribe", TICKER, BOOK)
    others[2].send("configure", resume=True)
    others[3].send("configure", conflate_ms=100)
    for client in others[2:]:
        client.send("subscribe", TICKER, BOOK)
    bench.rest()
    assert plain[0].outbox.cohort is plain[1].outbox.cohort is not None
    assert [client.outbox.cohort for client in others] == [None] * 4


def test_private_topics_are_shared_within_an_account(bench: Bench) -> None:
    clients = [Client(bench, account) for account in ("alice", "bob", "alice")]
    for client in clients:
        client.send("subscribe", ORDER)
    bench.rest()
    assert clients[0].outbox.cohort is clients[2].outbox.cohort is not None
    assert clients[1].outbox.cohort is None


def test_one_who_asks_something_leaves_with_what_the_turn_has_brought(bench: Bench) -> None:
    first, second, third = bench.clients(3)
    bench.change()
    first.send("ping")
    bench.change()
    bench.timers.end_turn()
    kinds = [message.get("op", "data") for message in read_messages(b"".join(first.written))]
    assert kinds == ["data", "pong", "data"]
    assert first.versions() == second.versions() == third.versions() == [1, 2]
    assert first.outbox.cohort is None
    bench.rest()
    assert first.outbox.cohort is second.outbox.cohort is not None


def test_another_topic_is_another_cohort(bench: Bench) -> None:
    first, second, third = bench.clients(3)
    first.send("subscribe", KLINE)
    bench.change()
    bench.timers.end_turn()
    assert first.versions() == second.versions() == [1]
    first.send("unsubscribe", KLINE)
    bench.rest()
    assert first.outbox.cohort is third.outbox.cohort is not None


def test_one_who_falls_behind_in_the_midst_of_the_write_holds_nobody_up(bench: Bench) -> None:
    clients = bench.clients(4)
    slow = clients[1]

    def write(data: bytes) -> None:
        slow.written.append(data)
        slow.outbox.pause()

    slow.outbox._write = write
    bench.feed.padding = "x" * 100_000
    bench.change(4)  # the third one is more than a turn gathers
    bench.timers.end_turn()
    assert [client.versions() for client in clients] == [[1, 2, 3, 4], [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4]]
    assert list(slow.outbox.aside) == [key(TICKER)]
    slow.outbox.resume()
    bench.timers.advance(0.0)
    assert slow.versions() == [4]


def test_one_who_is_behind_is_not_taken_in(bench: Bench) -> None:
    (slow,) = bench.clients(1)
    slow.outbox.pause()
    bench.change()
    quick = Client(bench)
    quick.send("subscribe", TICKER, BOOK)
    bench.rest()
    assert slow.outbox.cohort is quick.outbox.cohort is None
    bench.change()
    slow.outbox.resume()
    bench.rest()
    assert slow.outbox.cohort is quick.outbox.cohort is not None
    assert slow.versions() == [2]
    assert quick.versions() == [1, 2]


def test_two_who_part_are_none(bench: Bench) -> None:
    first, second = bench.clients(2)
    bench.change()
    bench.hub.detach(first.reader)
    bench.change()
    bench.timers.end_turn()
    assert second.versions() == [1, 2]
    assert first.written == []
    assert second.outbox.cohort is None
    assert bench.hub._cohorts._cohorts == {}


def test_a_socket_that_fails_does_not_hold_up_the_others(bench: Bench) -> None:
    clients = bench.clients(3)

    def fail(data: bytes) -> None:
        raise RuntimeError("broken")

    clients[0].outbox._write = fail
    bench.change()
    with pytest.raises(RuntimeError, match="broken"):
        bench.timers.end_turn()
    assert [client.versions() for client in clients] == [[], [1], [1]]


def test_many_are_found_over_several_turns(bench: Bench) -> None:
    clients = bench.clients(250)
    cohorts = {client.outbox.cohort for client in clients} - {None}
    # No more in one than are written to without a look at other sockets.
    assert sorted(len(cohort.members) for cohort in cohorts if cohort is not None) == [26, *[32] * 7]


@pytest.mark.parametrize("others", [1, 2])
def test_nobody_is_taken_in_while_frames_wait_for_the_others(bench: Bench, others: int) -> None:
    clients = bench.clients(others)
    late = Client(bench)
    late.send("subscribe", TICKER, BOOK)
    bench.timers.end_turn()
    late.versions()
    for timer in bench.timers.waiting:
        timer.callback()  # looking is what the next turn begins with
    late.send("ping")
    # Two frames that may just wait for the turn's end, but not where a pong has come before them.
    bench.feed.padding = "x" * 100_000
    bench.feed.padding += "x" * (late.outbox.write_at // 2 - len(text_frame(bench.feed._render(key(TICKER), "UPDATE"))))
    bench.change(2)
    assert late.versions() == [1, 2]
    bench.timers.end_turn()
    bench.change()
    bench.rest()
    assert late.versions() == [3]
    assert [client.versions() for client in clients] == [[1, 2, 3]] * others
