"""The hub with real sessions and outboxes; only the socket is a list."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.stream.support import BOOK, KLINE, ORDER, TICKER, ManualTimers, MemoryFeed, key, read_messages

from tickwire.stream import hub
from tickwire.stream.hub import Hub, Reader
from tickwire.stream.session import Session
from tickwire.stream.settings import StreamCounters, StreamLimits, StreamSettings
from tickwire.wire.topics import TopicKey


class Client:
    """One socket: what it sends goes through a session, what it is sent is checked against the promise."""

    def __init__(self, bench: "Bench", account: str, held_bytes: int) -> None:
        self.hub = bench.hub
        self.account = account
        self.written: list[bytes] = []
        self.closed: list[str] = []
        self.reader = Reader(
            bench.hub, f"key of {account}", self.written.append, self.end, deflate=False, held_bytes=held_bytes
        )
        self.session = Session(
            account,
            StreamSettings(limits=StreamLimits.unlimited()),
            bench.hub.counters,
            refusal=bench.feed.refusal,
            clock=lambda: 0,
            now=0.0,
        )
        bench.hub.attach(self.reader)
        self.sent = 0
        self.replies = 0
        # What the client knows: a version, or None between the reply to a subscribe and the snapshot.
        self.known: dict[str, int | None] = {}
        self.read: list[tuple[str, str, int]] = []

    def end(self, name: str) -> None:
        self.closed.append(name)
        self.hub.detach(self.reader)

    def send(self, op: str, *names: str) -> None:
        self.sent += 1
        text = msgspec.json.encode({"op": op, "args": names}).decode()
        self.hub.perform(self.reader, self.session.receive_text(text, 0.0))

    def receive(self) -> list[dict[str, Any]]:
        """Read what was written, and check it as a careful client would."""
        messages = read_messages(b"".join(self.written))
        self.written.clear()
        for message in messages:
            if "topic" in message:
                self._check_data(message)
            else:
                self._check_reply(message)
        return messages

    def _check_reply(self, message: dict[str, Any]) -> None:
        self.replies += 1
        assert message["success"]
        for name in message["args"]:
            if message["op"] == "subscribe":
                self.known[name] = None
            else:
                self.known.pop(name, None)

    def _check_data(self, message: dict[str, Any]) -> None:
        name, action, version = message["topic"], message["data"][0]["actionType"], message["data"][0]["rows"][0]
        self.read.append((name, action, version))
        assert name in self.known, "data of a topic that is not subscribed"
        known = self.known[name]
        if action == "UPDATE":
            assert known is not None, "an update before the snapshot"
            assert version == known + 1, "a gap or a repeat"
        elif known is not None:
            assert name != ORDER, "a snapshot in the middle of what must not be conflated"
            assert version >= known, "an old state"
        self.known[name] = version


class Bench:
    def __init__(self, settings: StreamSettings | None = None) -> None:
        self.feed = MemoryFeed()
        self.timers = ManualTimers()
        self.hub = Hub(self.feed, StreamCounters(), self.timers, settings or StreamSettings(), epoch="e")

    def client(self, account: str = "alice", held_bytes: int = 1_000_000) -> Client:
        return Client(self, account, held_bytes)

    def end_turn(self) -> None:
        self.timers.end_turn()

    def settle(self) -> None:
        """Let everything happen that is under way."""
        self.feed.commit()
        while self.timers.turn:
            self.end_turn()
            self.feed.commit()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_reply_then_snapshots_then_what_follows(bench: Bench) -> None:
    client = bench.client()
    bench.feed.change(key(TICKER))
    client.send("subscribe", TICKER, BOOK)
    bench.feed.change(key(TICKER))
    bench.settle()
    messages = client.receive()
    assert messages[0] == {"success": True, "op": "subscribe", "args": [TICKER, BOOK]}
    assert client.read == [(TICKER, "SNAPSHOT", 1), (BOOK, "SNAPSHOT", 0), (TICKER, "UPDATE", 2)]


def test_nothing_before_the_snapshot_and_everything_after_it(bench: Bench) -> None:
    early, late = bench.client(), bench.client()
    early.send("subscribe", TICKER)
    bench.feed.held = True
    bench.feed.change(key(TICKER))
    late.send("subscribe", TICKER)
    bench.feed.change(key(TICKER))
    bench.settle()
    early.receive()
    late.receive()
    assert early.read == [(TICKER, "SNAPSHOT", 0), (TICKER, "UPDATE", 1), (TICKER, "UPDATE", 2)]
    assert late.read == [(TICKER, "SNAPSHOT", 1), (TICKER, "UPDATE", 2)]


def test_one_frame_serves_all(bench: Bench) -> None:
    clients = [bench.client() for _ in range(3)]
    for client in clients:
        client.send("subscribe", TICKER)
    bench.settle()
    for client in clients:
        client.receive()
    bench.feed.change(key(TICKER))
    assert len(bench.timers.turn) == 1
    bench.end_turn()
    assert clients[0].written == clients[1].written == clients[2].written
    assert len(clients[0].written) == 1


def test_unsubscribing_ends_the_data_with_the_reply(bench: Bench) -> None:
    client = bench.client()
    client.send("subscribe", TICKER, BOOK)
    bench.feed.held = True
    bench.feed.change(key(TICKER))
    client.send("unsubscribe", TICKER)
    bench.feed.change(key(TICKER))
    bench.feed.change(key(BOOK))
    bench.settle()
    client.receive()
    assert client.read[-2:] == [(TICKER, "UPDATE", 1), (BOOK, "UPDATE", 1)]
    assert bench.hub.subscription_count == 1
    assert +bench.feed.interest == {key(BOOK): 1}


def test_unsubscribing_while_the_join_is_under_way(bench: Bench) -> None:
    client = bench.client()
    bench.feed.held = True
    client.send("subscribe", TICKER)
    client.send("unsubscribe", TICKER)
    bench.feed.change(key(TICKER))
    bench.settle()
    messages = client.receive()
    assert [message.get("op", "data") for message in messages] == ["subscribe", "data", "unsubscribe"]
    assert +bench.feed.interest == {}


def test_subscribing_again_brings_a_fresh_snapshot_and_no_second_interest(bench: Bench) -> None:
    client = bench.client()
    client.send("subscribe", TICKER)
    bench.feed.change(key(TICKER))
    client.send("subscribe", TICKER)
    bench.feed.change(key(TICKER))
    bench.settle()
    client.receive()
    assert client.read == [
        (TICKER, "SNAPSHOT", 0),
        (TICKER, "UPDATE", 1),
        (TICKER, "SNAPSHOT", 1),
        (TICKER, "UPDATE", 2),
    ]
    assert bench.feed.interest[key(TICKER)] == 1
    assert bench.hub.subscription_count == 1


def test_a_socket_that_goes_away_leaves_everything(bench: Bench) -> None:
    client = bench.client()
    client.send("subscribe", TICKER)
    bench.settle()
    client.receive()
    bench.feed.change(key(TICKER))
    bench.feed.held = True
    client.send("subscribe", TICKER, BOOK)
    client.send("unsubscribe", KLINE)
    bench.hub.detach(client.reader)
    bench.hub.detach(client.reader)
    assert bench.hub.session_count == bench.hub.subscription_count == 0
    bench.settle()
    assert client.receive() == []
    assert +bench.feed.interest == {}


def test_an_account_sees_its_own(bench: Bench) -> None:
    alice, bob = bench.client("alice"), bench.client("bob")
    for client in (alice, bob):
        client.send("subscribe", ORDER)
    bench.feed.change(key(ORDER, "bob"))
    bench.settle()
    alice.receive()
    bob.receive()
    assert alice.read == [(ORDER, "SNAPSHOT", 0)]
    assert bob.read == [(ORDER, "SNAPSHOT", 0), (ORDER, "UPDATE", 1)]


def test_revoking_a_key_closes_its_sockets(bench: Bench) -> None:
    alices, bob = [bench.client("alice"), bench.client("alice")], bench.client("bob")
    assert bench.hub.sockets("key of alice") == 2
    bench.hub.close_key("key of alice")
    bench.hub.close_key("key of nobody")
    assert [client.closed for client in alices] == [["key_revoked"], ["key_revoked"]]
    assert bob.closed == []
    assert (bench.hub.session_count, bench.hub.sockets("key of alice")) == (1, 0)


def test_a_reader_that_was_behind_gets_the_newest_state(bench: Bench) -> None:
    client = bench.client()
    client.send("subscribe", TICKER, ORDER)
    bench.settle()
    client.reader.outbox.pause()
    for _ in range(5):
        bench.feed.change(key(TICKER))
        bench.feed.change(key(ORDER))
    bench.settle()
    client.receive()
    client.reader.outbox.resume()
    bench.settle()
    bench.feed.change(key(TICKER))
    bench.settle()
    client.receive()
    assert [entry for entry in client.read if entry[0] == TICKER] == [
        (TICKER, "SNAPSHOT", 0),
        (TICKER, "SNAPSHOT", 5),
        (TICKER, "UPDATE", 6),
    ]
    assert [version for name, _, version in client.read if name == ORDER] == [0, 1, 2, 3, 4, 5]
    assert bench.feed.interest[key(TICKER)] == 1


def test_catching_up_with_many_topics_goes_in_parts(bench: Bench) -> None:
    client = bench.client()
    names = [f"ticker.S{number}" for number in range(40)]
    client.send("subscribe", *names)
    bench.settle()
    client.reader.outbox.pause()
    for name in names:
        bench.feed.change(key(name))
    client.reader.outbox.resume()
    client.receive()
    bench.end_turn()
    assert sum(bench.feed.interest.values()) == 40
    bench.end_turn()
    assert len(client.receive()) == 16
    for name in (names[0], names[39]):  # one that has been caught up, and one that has not
        bench.feed.change(key(name))
    bench.settle()
    assert len(client.receive()) == 25
    assert client.known == dict.fromkeys(names, 1) | {names[0]: 2, names[39]: 2}


def behind(bench: Bench, client: Client, *names: str) -> None:
    """Let topics of a reader be set aside and the reader come back, with a catch-up of the first of them under way."""
    client.send("subscribe", *names)
    bench.settle()
    client.reader.outbox.pause()
    for name in names:
        bench.feed.change(key(name))
    bench.feed.held = True


def test_what_is_unsubscribed_while_catching_up_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_CATCH_UP_TOPICS", 1)
    client = bench.client()
    behind(bench, client, TICKER, BOOK)
    client.send("unsubscribe", TICKER)
    client.reader.outbox.resume()
    bench.end_turn()
    bench.feed.commit(1)  # the unsubscribe
    bench.end_turn()
    assert [message.get("op") for message in client.receive()[-1:]] == ["unsubscribe"]
    bench.feed.commit(1)  # the snapshot of what is no longer wanted; the other topic must follow
    bench.settle()
    client.receive()
    assert client.read[-1] == (BOOK, "SNAPSHOT", 1)
    assert +bench.feed.interest == {key(BOOK): 1}


def test_what_is_subscribed_afresh_while_catching_up_has_one_snapshot(bench: Bench) -> None:
    client = bench.client()
    behind(bench, client, TICKER)
    client.send("subscribe", TICKER)
    client.reader.outbox.resume()
    bench.end_turn()
    bench.settle()
    client.receive()
    assert client.read == [(TICKER, "SNAPSHOT", 0), (TICKER, "SNAPSHOT", 1)]
    assert +bench.feed.interest == {key(TICKER): 1}


def test_falling_behind_again_while_catching_up(bench: Bench) -> None:
    client = bench.client()
    behind(bench, client, TICKER)
    client.reader.outbox.resume()
    bench.end_turn()
    client.reader.outbox.pause()
    bench.settle()
    bench.feed.held = False
    bench.feed.change(key(TICKER))
    client.reader.outbox.resume()
    bench.settle()
    client.receive()
    assert client.read == [(TICKER, "SNAPSHOT", 0), (TICKER, "SNAPSHOT", 2)]


def test_a_reader_that_holds_too_much_is_closed_without_harm_to_others(bench: Bench) -> None:
    slow, quick = bench.client(held_bytes=500), bench.client()
    for client in (slow, quick):
        client.send("subscribe", ORDER)
    bench.settle()
    slow.reader.outbox.pause()
    for _ in range(20):
        bench.feed.change(key(ORDER))
    bench.settle()
    quick.receive()
    assert slow.closed == ["too_slow"]
    assert quick.known == {ORDER: 20}
    assert bench.feed.interest[key(ORDER, "alice")] == 1


TOPICS = [TICKER, BOOK, ORDER]
ACCOUNTS = ["alice", "bob"]
KEYS = [key(TICKER), key(BOOK), key(ORDER, "alice"), key(ORDER, "bob")]
some_topics = st.lists(st.sampled_from(TOPICS), min_size=1, max_size=3)
some_client = st.integers(0, 2)


class OrderingMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, each client sees a snapshot and then exactly what follows."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(hub, "_CATCH_UP_TOPICS", 1)  # so that catching up is seen half done
        self.bench = Bench()
        self.clients = [self.bench.client(ACCOUNTS[number % 2]) for number in range(3)]
        self.bench.settle()

    @rule(number=some_client, names=some_topics)
    def subscribe(self, number: int, names: list[str]) -> None:
        if self.clients[number].reader.attached:
            self.clients[number].send("subscribe", *names)

    @rule(number=some_client, names=some_topics)
    def unsubscribe(self, number: int, names: list[str]) -> None:
        if self.clients[number].reader.attached:
            self.clients[number].send("unsubscribe", *names)

    @rule(keys=st.sets(st.sampled_from(KEYS), min_size=1))
    def change(self, keys: set[TopicKey]) -> None:
        for topic_key in KEYS:
            if topic_key in keys:
                self.bench.feed.change(topic_key)

    @rule(number=some_client, back=st.booleans())
    def fall_behind(self, number: int, back: bool) -> None:
        """What random steps would seldom bring about: everything changes while a reader is behind."""
        client = self.clients[number]
        client.reader.outbox.pause()
        self.change(set(KEYS))
        if back:
            client.reader.outbox.resume()

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        self.bench.feed.held = held

    @rule(count=st.integers(1, 4))
    def commit(self, count: int) -> None:
        self.bench.feed.commit(count)

    @rule()
    def end_turn(self) -> None:
        self.bench.end_turn()

    @rule(number=some_client)
    def pause(self, number: int) -> None:
        self.clients[number].reader.outbox.pause()

    @rule(number=some_client)
    def resume(self, number: int) -> None:
        if self.clients[number].reader.outbox.paused:
            self.clients[number].reader.outbox.resume()

    @rule(number=some_client)
    def reconnect(self, number: int) -> None:
        client = self.clients[number]
        client.end("lost")
        self.clients[number] = self.bench.client(client.account)

    @rule()
    def come_to_rest(self) -> None:
        """Everything happens that is under way: then all know the newest state, and nobody watches for nothing."""
        bench = self.bench
        bench.feed.held = False
        bench.settle()
        for client in self.clients:
            if client.reader.outbox.paused:
                client.reader.outbox.resume()
        bench.settle()
        wanted: Counter[TopicKey] = Counter()
        for client in self.clients:
            client.receive()
            assert client.replies == client.sent
            assert client.known == {
                name: bench.feed.versions[topic_key] for name, topic_key in client.session.topics.items()
            }
            wanted.update(client.session.topics.values())
        assert +bench.feed.interest == wanted
        assert bench.hub.subscription_count == wanted.total()

    @invariant()
    def promise_is_kept(self) -> None:
        for client in getattr(self, "clients", ()):
            client.receive()

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            self.patch.undo()


OrderingMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestOrdering = OrderingMachine.TestCase
