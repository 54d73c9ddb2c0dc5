"""The hub with real sessions and outboxes; only the socket is a list."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.stream.support import BOOK, KLINE, ORDER, TICKER, ManualTimers, MemoryFeed, ShapedFeed, key, read_messages

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
    def __init__(self, settings: StreamSettings | None = None, feed: MemoryFeed | None = None) -> None:
        self.feed = feed or MemoryFeed()
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


def test_a_snapshot_that_is_not_known_yet_is_the_next_payload(bench: Bench) -> None:
    bench.feed.late = True
    one, two = bench.client(), bench.client()
    for client in (one, two):
        client.send("subscribe", TICKER)
    bench.settle()
    for client in (one, two):
        assert [message["op"] for message in client.receive()] == ["subscribe"]
    bench.feed.reveal(key(TICKER))
    bench.feed.change(key(TICKER))
    bench.settle()
    for client in (one, two):
        client.receive()
        assert client.read == [(TICKER, "SNAPSHOT", 0), (TICKER, "UPDATE", 1)]


def test_a_message_that_is_no_data_reaches_all_or_a_topics_readers(bench: Bench) -> None:
    one, two = bench.client(), bench.client()
    one.send("subscribe", TICKER)
    bench.settle()
    one.written.clear()
    bench.hub.tell(b'{"to":"all"}')
    bench.hub.tell(b'{"to":"readers"}', key(TICKER))
    bench.hub.tell(b'{"to":"nobody"}', key(BOOK))
    bench.hub.notice = b'{"to":"newcomers"}'
    three = bench.client()
    bench.settle()
    sent = [[message["to"] for message in read_messages(b"".join(client.written))] for client in (one, two, three)]
    assert sent == [["all", "readers"], ["all"], ["newcomers"]]


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


def test_the_hub_says_whether_anybody_is_behind(bench: Bench) -> None:
    first, second = bench.client(), bench.client()
    assert not bench.hub.behind
    second.reader.outbox.pause()
    assert bench.hub.behind
    second.reader.outbox.resume()
    assert not bench.hub.behind
    first.reader.outbox.pause()
    bench.hub.detach(first.reader)
    assert not bench.hub.behind


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


# Positions: coming back to where one was.


def operate(client: Client, **operation: object) -> None:
    text = msgspec.json.encode(operation).decode()
    client.hub.perform(client.reader, client.session.receive_text(text, 0.0))


def resume(client: Client, epochs: dict[str, str], offset: int = 0) -> None:
    """Subscribe from one offset in all topics."""
    where = {name: {"epoch": epoch, "offset": offset} for name, epoch in epochs.items()}
    operate(client, op="subscribe", args=list(epochs), resume=where)


def configure(client: Client, **choice: object) -> None:
    operate(client, op="configure", **choice)


def messages_of(client: Client) -> list[dict[str, Any]]:
    messages = read_messages(b"".join(client.written))
    client.written.clear()
    return messages


def lost_reader(bench: Bench, *names: str, changes: int = 3) -> None:
    """One that could resume has gone, and the topics have changed since."""
    client = bench.client()
    configure(client, resume=True)
    client.send("subscribe", *names)
    bench.settle()
    client.end("lost")
    for _ in range(changes):
        for name in names:
            bench.feed.change(key(name))
    bench.settle()


def test_every_frame_of_a_resumable_session_has_its_position(bench: Bench) -> None:
    client = bench.client()
    configure(client, resume=True)
    client.send("subscribe", TICKER, ORDER)
    bench.feed.change(key(TICKER))
    bench.feed.change(key(ORDER))
    bench.feed.change(key(TICKER))
    bench.settle()
    data = [message for message in messages_of(client) if "topic" in message]
    assert [(message["epoch"], message["offset"]) for message in data] == [
        ("e.1", 0), ("e.2", 0), ("e.1", 1), ("e.2", 1), ("e.1", 2),
    ]  # fmt: skip


def test_positions_come_and_go_with_the_choice(bench: Bench) -> None:
    client = bench.client()
    client.send("subscribe", TICKER)
    for wanted in (True, False):
        configure(client, resume=wanted)
        bench.feed.change(key(TICKER))
    bench.settle()
    assert [message.get("offset") for message in messages_of(client) if "topic" in message] == [None, 1, None]


def test_what_was_missed_comes_right_after_the_reply(bench: Bench) -> None:
    lost_reader(bench, TICKER, ORDER)
    client = bench.client()
    where = {TICKER: {"epoch": "e.1", "offset": 1}, ORDER: {"epoch": "e.2", "offset": 0}}
    operate(client, op="subscribe", args=[TICKER, BOOK, ORDER], resume=where)
    bench.feed.change(key(TICKER))
    bench.settle()
    reply, *data = messages_of(client)
    assert reply["resumed"] == {TICKER: True, ORDER: True}
    assert [(message["topic"], message["data"][0]["actionType"], message["offset"]) for message in data] == [
        (TICKER, "UPDATE", 2), (TICKER, "UPDATE", 3), (BOOK, "SNAPSHOT", 0),
        (ORDER, "UPDATE", 1), (ORDER, "UPDATE", 2), (ORDER, "UPDATE", 3), (TICKER, "UPDATE", 4),
    ]  # fmt: skip
    assert (bench.hub.counters.resumed, bench.hub.counters.not_resumed) == (2, 0)


@pytest.mark.parametrize(("epoch", "offset"), [("e.2", 3), ("other.1", 3), ("e.1", 4), ("e.1", 2**63 - 1)])
def test_a_position_that_is_not_of_this_topic_begins_anew(bench: Bench, epoch: str, offset: int) -> None:
    lost_reader(bench, TICKER)
    client = bench.client()
    resume(client, {TICKER: epoch}, offset)
    bench.settle()
    reply, snapshot = messages_of(client)
    assert reply["resumed"] == {TICKER: False}
    assert (snapshot["data"][0]["actionType"], snapshot["epoch"], snapshot["offset"]) == ("SNAPSHOT", "e.1", 3)
    assert (bench.hub.counters.resumed, bench.hub.counters.not_resumed) == (0, 1)


def test_nothing_missed_is_resumed_with_nothing(bench: Bench) -> None:
    lost_reader(bench, TICKER)
    client = bench.client()
    resume(client, {TICKER: "e.1"}, 3)
    bench.settle()
    (reply,) = messages_of(client)
    assert reply["resumed"] == {TICKER: True}


@pytest.mark.parametrize(("offset", "offsets"), [(1, [2, 3, 6]), (3, [6])])
def test_what_was_missed_comes_frame_by_frame_and_what_follows_is_conflated(offset: int, offsets: list[int]) -> None:
    bench = Bench(feed=ShapedFeed())
    lost_reader(bench, TICKER)
    client = bench.client()
    configure(client, conflate_ms=100)
    resume(client, {TICKER: "e.1"}, offset)
    for _ in range(3):
        bench.feed.change(key(TICKER))
    bench.timers.advance(0.1)
    _, reply, *data = messages_of(client)
    assert reply["resumed"] == {TICKER: True}
    assert [(message["data"][0]["actionType"], message["offset"]) for message in data] == [
        ("UPDATE", each) for each in offsets
    ]


def test_another_account_gets_nothing_of_it(bench: Bench) -> None:
    lost_reader(bench, ORDER)
    bob = bench.client("bob")
    resume(bob, {ORDER: "e.1"})
    bench.settle()
    reply, snapshot = messages_of(bob)
    assert reply["resumed"] == {ORDER: False}
    assert (snapshot["data"][0]["rows"][0], snapshot["epoch"]) == (0, "e.2")


def test_frames_are_kept_for_a_time_and_then_the_topic_is_left(bench: Bench) -> None:
    lost_reader(bench, TICKER)
    assert bench.feed.interest[key(TICKER)] == 1
    assert bench.hub.subscription_count == 0
    bench.timers.advance(StreamSettings().resume_seconds)
    assert +bench.feed.interest == {}
    client = bench.client()
    resume(client, {TICKER: "e.1"}, 3)
    bench.settle()
    reply, snapshot = messages_of(client)
    assert (reply["resumed"], snapshot["epoch"]) == ({TICKER: False}, "e.2")


def test_who_comes_back_in_time_keeps_it_alive(bench: Bench) -> None:
    lost_reader(bench, TICKER)
    client = bench.client()
    resume(client, {TICKER: "e.1"})
    bench.settle()
    assert bench.feed.interest[key(TICKER)] == 1
    bench.timers.advance(1_000.0)
    bench.feed.change(key(TICKER))
    bench.settle()
    assert [message["offset"] for message in messages_of(client)[1:]] == [1, 2, 3, 4]


@pytest.mark.parametrize("settings", [StreamSettings(resume_frames=2), StreamSettings(resume_bytes=250)])
def test_more_than_is_kept_is_not_resumed_in_part(settings: StreamSettings) -> None:
    bench = Bench(settings)
    lost_reader(bench, TICKER)
    for offset, resumed in ((0, False), (1, True)):
        client = bench.client()
        resume(client, {TICKER: "e.1"}, offset)
        bench.settle()
        reply, *data = messages_of(client)
        assert reply["resumed"] == {TICKER: resumed}
        assert len(data) == (2 if resumed else 1)


def test_one_that_is_behind_resumes_orders_but_no_states(bench: Bench) -> None:
    lost_reader(bench, TICKER, ORDER)
    client = bench.client()
    client.reader.outbox.pause()
    resume(client, {TICKER: "e.1", ORDER: "e.2"})
    bench.settle()
    client.reader.outbox.resume()
    bench.settle()
    reply, *data = messages_of(client)
    assert reply["resumed"] == {TICKER: False, ORDER: True}
    assert [(message["topic"], message["data"][0]["actionType"]) for message in data] == [
        (ORDER, "UPDATE"), (ORDER, "UPDATE"), (ORDER, "UPDATE"), (TICKER, "SNAPSHOT"),
    ]  # fmt: skip


def test_what_is_too_much_for_one_reader_is_not_resumed_and_orders_come_first() -> None:
    bench = Bench(StreamSettings(held_bytes=600))
    lost_reader(bench, TICKER, ORDER)
    client = bench.client(held_bytes=600)
    resume(client, {TICKER: "e.1", ORDER: "e.2"})
    bench.settle()
    assert messages_of(client)[0]["resumed"] == {TICKER: False, ORDER: True}
    assert client.closed == []


def test_resuming_what_is_subscribed_brings_a_snapshot(bench: Bench) -> None:
    client = bench.client()
    configure(client, resume=True)
    client.send("subscribe", TICKER)
    bench.feed.change(key(TICKER))
    bench.settle()
    messages_of(client)
    resume(client, {TICKER: "e.1"})
    bench.settle()
    reply, snapshot = messages_of(client)
    assert reply["resumed"] == {TICKER: False}
    assert (snapshot["data"][0]["actionType"], snapshot["offset"]) == ("SNAPSHOT", 1)


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
