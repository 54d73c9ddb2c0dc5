"""Anything a client may do, in any order, to the hub with its channels, lanes and outboxes.

Two things hold after each step. Every reader has been sent the very bytes that the plain stream would have sent it
(``tests/stream/plain.py``). And what each client makes of its frames is the truth: after each frame it knows the state
as of that frame's ``ts``, it has missed nothing that it had not asked to miss, and where it resumes it goes on exactly
where it was or begins with a SNAPSHOT.
"""

import json
from collections import Counter
from math import inf
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.stream.plain import PlainHub, PlainReader
from tests.stream.support import (
    BOOK,
    CANDLE,
    DELTA,
    KLINE,
    POSITION,
    TICKER,
    ManualTimers,
    ShapedFeed,
    fold,
    key,
    read_messages,
    rows_of_state,
)

from tickwire.stream import cohort as cohort_module
from tickwire.stream import hub as hub_module
from tickwire.stream import outbox as outbox_module
from tickwire.stream.hub import Hub, Reader
from tickwire.stream.session import Session
from tickwire.stream.settings import StreamCounters, StreamLimits, StreamSettings
from tickwire.wire.topics import TopicKey, TopicKind, parse_topic

ORDER, EXECUTION = "account.order", "account.execution"
NAMES = [TICKER, KLINE, BOOK, DELTA, POSITION, ORDER, EXECUTION]
ACCOUNTS = ["alice", "bob"]
CLIENTS = 4
KEYS = list(dict.fromkeys(TopicKey.of(parse_topic(name), account) for name in NAMES for account in ACCOUNTS))
SETTINGS = StreamSettings(
    limits=StreamLimits(topics_per_frame=8, topics_per_socket=6, operations_per_second=10**9),
    held_bytes=3_000,
    resume_frames=6,
    resume_bytes=700,
    resume_seconds=2.0,
)


class Side:
    """One implementation with a feed and a clock of its own."""

    def __init__(self, hub_type: Any, reader_type: Any, epoch: str, versions: Counter[TopicKey]) -> None:
        self.feed = ShapedFeed()
        self.feed.versions = Counter(versions)
        self.timers = ManualTimers()
        self.reader_type = reader_type
        self.hub = hub_type(self.feed, StreamCounters(), self.timers, SETTINGS, epoch=epoch)

    def settle(self) -> None:
        """Let everything happen that is under way in this turn and the next ones."""
        self.feed.held = False
        self.feed.commit()
        while self.timers.turn:
            self.timers.end_turn()
            self.feed.commit()


class End:
    """One client's socket and session on one side."""

    def __init__(self, side: Side, account: str, account_key: str) -> None:
        self.side = side
        self.written: list[bytes] = []
        self.closed = ""
        self.reader = side.reader_type(
            side.hub, account_key, self.written.append, self.end, deflate=False, held_bytes=SETTINGS.held_bytes
        )
        self.session = Session(
            account, SETTINGS, side.hub.counters, refusal=side.feed.refusal, clock=lambda: 0, now=0.0
        )
        side.hub.attach(self.reader)

    def end(self, name: str) -> None:
        self.closed = self.closed or name
        self.side.hub.detach(self.reader)

    def receive(self, text: str) -> None:
        step = self.session.receive_text(text, 0.0)
        assert step.close is None
        self.side.hub.perform(self.reader, step)

    def take(self) -> bytes:
        data = b"".join(self.written)
        self.written.clear()
        return data


class Known(NamedTuple):
    """What a client knows of a topic, and where in it that is."""

    epoch: str
    offset: int
    version: int
    state: Any


class Client:
    """What one client knows, as a careful one would keep it; it outlives its sockets."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.ends: tuple[End, End]
        self.known: dict[str, Known] = {}  # as of each topic's last frame, where that had a position
        self.asked: list[dict[str, Known]] = []  # from where to resume, by the id of the subscribe
        self.begin()

    def begin(self) -> None:
        """A new socket: nothing is subscribed, nothing is known to follow."""
        self.states: dict[str, Any] = {}  # of subscribed topics
        self.versions: dict[str, int | None] = {}  # None until the SNAPSHOT
        self.resumed: set[str] = set()  # topics that go on where they were: no SNAPSHOT but for one who is behind
        self.conflating = self.behind = self.resumable = False

    def read(self, data: bytes) -> None:
        for message in read_messages(data):
            if "topic" in message:
                self._read_data(message)
            else:
                self._read_reply(message)

    def _read_reply(self, reply: dict[str, Any]) -> None:
        assert "data" not in reply
        if not reply.get("success"):
            return
        if reply["op"] == "configure":
            self.conflating, self.resumable = reply["conflate_ms"] > 0, reply["resume"]
        for name in reply.get("args", ()):
            self.resumed.discard(name)
            if reply["op"] == "unsubscribe":
                self.versions.pop(name, None)
            elif reply.get("resumed", {}).get(name):
                assert name not in self.versions
                # As it was when it asked: until its unsubscribe was carried out there may have been more.
                self.known[name] = known = self.asked[reply["id"]][name]
                self.versions[name], self.states[name] = known.version, known.state
                self.resumed.add(name)
            else:
                self.versions[name] = None
        self.resumable = self.resumable or "resumed" in reply

    def _read_data(self, message: dict[str, Any]) -> None:
        name, version = message["topic"], int(message["ts"])
        (part,) = message["data"]
        kind = parse_topic(name).kind
        assert name in self.versions, "data of a topic that is not subscribed"
        known = self.versions[name]
        if part["actionType"] == "UPDATE" or (kind is TopicKind.ORDERBOOK and known is not None):
            assert known is not None, "an update before the snapshot"
            assert version > known or kind is TopicKind.ORDERBOOK, "a repeat"
            exact = not self.conflating or kind in (TopicKind.ORDER, TopicKind.EXECUTION)
            if part["actionType"] == "UPDATE" and exact:
                assert version == known + 1, "a gap"
            if kind is TopicKind.KLINE and version // CANDLE != known // CANDLE:
                assert known % CANDLE == CANDLE - 1, "the close of a candle is missing"
                assert version // CANDLE == known // CANDLE + 1, "a candle is missing"
            if "seq" in part["rows"][0]:
                assert part["rows"][0]["prevSeq"] == known
        else:
            assert known is None or version >= known, "an old state"
            assert name not in self.resumed or self.behind, "a SNAPSHOT in place of what was promised"
            self.states[name] = None
        if kind is TopicKind.ORDERBOOK:
            self.states[name] = None
        for row in part["rows"]:
            self.states[name] = fold(self.states[name], row)
        self.versions[name] = version
        if kind is not TopicKind.EXECUTION:
            assert self.states[name] == truth_of(kind, version), "not what it was then"
        self._read_position(name, message)

    def _read_position(self, name: str, message: dict[str, Any]) -> None:
        assert ("epoch" in message) is ("offset" in message) is self.resumable
        old = self.known.pop(name, None)
        if not self.resumable:
            return
        new = Known(message["epoch"], message["offset"], int(message["ts"]), self.states[name])
        if old is not None and old.epoch == new.epoch:
            # Both grow by one with each frame that is published, whether the client gets it or a merged one.
            assert new.offset - old.offset == new.version - old.version >= 0
        else:
            assert name not in self.resumed or old is None, "another epoch than what was promised"
        self.known[name] = new


def truth_of(kind: TopicKind, version: int) -> Any:
    state: Any = None
    for row in rows_of_state(kind, version):
        state = fold(state, row)
    return state


some_client = st.integers(0, CLIENTS - 1)
some_names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
some_paces = st.sampled_from([0, 100, 100, 250])


class StreamMachine(RuleBasedStateMachine):
    """Clients of two accounts; see the module."""

    @initialize(wishes=st.lists(st.tuples(some_paces, st.booleans()), min_size=CLIENTS, max_size=CLIENTS))
    def start(self, wishes: list[tuple[int, bool]]) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(cohort_module, "_SECONDS", 0.01)  # so that sharing is seen at all
        self.patch.setattr(hub_module, "_CATCH_UP_TOPICS", 1)  # so that catching up is seen half done
        self.patch.setattr(outbox_module, "_SLICE_SECONDS", inf)  # else a busy machine ends a turn's writes early
        self.epochs = 0
        self.sides: list[Side] = []
        self.clients = [Client(ACCOUNTS[number % 2]) for number in range(CLIENTS)]
        self.wishes = wishes  # what each client asks for when it comes
        self.restart()

    @rule()
    def restart(self) -> None:
        """The server goes and comes back: new epochs, every socket lost; the exchange's state has survived."""
        self.epochs += 1
        versions = self.sides[0].feed.versions if self.sides else Counter()
        self.sides = [
            Side(hub_type, reader_type, f"epoch{self.epochs}", versions)
            for hub_type, reader_type in ((Hub, Reader), (PlainHub, PlainReader))
        ]
        for number in range(CLIENTS):
            self.connect(number)

    def connect(self, number: int) -> None:
        client = self.clients[number]
        first, second = (End(side, client.account, f"key of {client.account}") for side in self.sides)
        client.ends = (first, second)
        client.begin()
        pace, resume = self.wishes[number]
        if pace or resume:
            self.configure(number, pace, resume)

    @rule(number=some_client, names=some_names, resume=st.booleans(), missed=st.integers(0, 3))
    def reconnect(self, number: int, names: list[str], resume: bool, missed: int = 0) -> None:
        """The socket is lost with all that was on its way, and the client is back after ``missed`` changes."""
        client = self.clients[number]
        for end in client.ends:
            end.end("lost")
        if missed:
            self.publish({key(name, client.account) for name in names}, missed)
        self.connect(number)
        if resume:
            self.resume(number, names)

    @rule(number=some_client, names=some_names)
    def resume(self, number: int, names: list[str]) -> None:
        client = self.clients[number]
        known = {name: client.known[name] for name in names if name in client.known}
        where = {name: {"epoch": each.epoch, "offset": each.offset} for name, each in known.items()}
        self.send(number, {"op": "subscribe", "args": names, "resume": where, "id": len(client.asked)})
        client.asked.append(known)

    def send(self, number: int, operation: Any) -> None:
        for end in self.clients[number].ends:
            if end.reader.attached:
                end.receive(json.dumps(operation))

    @rule(number=some_client, names=some_names)
    def subscribe(self, number: int, names: list[str]) -> None:
        self.send(number, {"op": "subscribe", "args": names})

    @rule(number=some_client, names=some_names)
    def unsubscribe(self, number: int, names: list[str]) -> None:
        self.send(number, {"op": "unsubscribe", "args": names})

    @rule(number=some_client, pace=some_paces | st.none(), resume=st.booleans() | st.none())
    def configure(self, number: int, pace: int | None, resume: bool | None) -> None:
        self.send(number, {"op": "configure", "conflate_ms": pace, "resume": resume})

    @rule(
        number=some_client,
        operation=st.fixed_dictionaries(
            {"op": st.sampled_from(["subscribe", "unsubscribe", "configure", "ping"]) | anything},
            optional={
                "args": st.lists(st.sampled_from([*NAMES, "ticker.NONE"]) | st.text(max_size=9), max_size=9) | anything,
                "id": st.integers() | st.text(max_size=5) | anything,
                "conflate_ms": some_paces | anything,
                "resume": st.booleans() | st.dictionaries(st.sampled_from(NAMES), anything, max_size=2) | anything,
            },
        )
        | anything,
    )
    def send_anything(self, number: int, operation: Any) -> None:
        self.send(number, operation)

    @rule(keys=st.just(KEYS) | st.sets(st.sampled_from(KEYS), min_size=1, max_size=6), times=st.integers(1, 3))
    def publish(self, keys: set[TopicKey], times: int) -> None:
        for _ in range(times):
            for topic_key in KEYS:
                if topic_key in keys:
                    for side in self.sides:
                        side.feed.change(topic_key)

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        for side in self.sides:
            side.feed.held = held

    @rule(count=st.integers(1, 4))
    def commit(self, count: int) -> None:
        for side in self.sides:
            side.feed.commit(count)

    @rule()
    def end_turn(self) -> None:
        for side in self.sides:
            side.timers.end_turn()

    @rule(seconds=st.sampled_from([0.01, 0.05, 0.1, 0.25, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        for side in self.sides:
            side.timers.advance(seconds)

    @rule(number=some_client)
    def pause(self, number: int) -> None:
        self.clients[number].behind = True
        for end in self.clients[number].ends:
            end.reader.outbox.pause()

    @rule(number=some_client)
    def go_on(self, number: int) -> None:
        for end in self.clients[number].ends:
            if end.reader.outbox.paused:
                end.reader.outbox.resume()

    @invariant()
    def every_reader_is_sent_what_it_should_be(self) -> None:
        for client in getattr(self, "clients", ()):
            fast, plain = client.ends
            assert fast.closed == plain.closed
            data = fast.take()
            assert data == plain.take()
            client.read(data)

    @rule()
    def come_to_rest(self) -> None:
        """Everything happens that is under way: then all know the newest state."""
        for side in self.sides:
            side.settle()
        for client in self.clients:
            for end in client.ends:
                if end.reader.outbox.paused:
                    end.reader.outbox.resume()
        for side in self.sides:
            side.settle()
            side.timers.advance(1.0)
            side.settle()
        self.every_reader_is_sent_what_it_should_be()
        feed = self.sides[0].feed
        for client in self.clients:
            end = client.ends[0]
            if not end.closed and end.session._configuration.conflate_ms <= 1_000:
                wanted = {name: feed.versions[key(name, client.account)] for name in end.session.topics}
                assert client.versions == wanted

    def teardown(self) -> None:
        if not hasattr(self, "clients"):
            return
        try:
            self.come_to_rest()
            for client in self.clients:
                for end in client.ends:
                    end.end("done")
            for side in self.sides:
                side.settle()
                side.timers.advance(SETTINGS.resume_seconds)
                assert (side.hub.session_count, side.hub.subscription_count) == (0, 0)
                assert +side.feed.interest == {}
            hub = self.sides[0].hub
            found = hub._cohorts
            assert hub._channels == hub._readers == {}
            assert found._topics == found._single == found._likeness == found._cohorts == {}
        finally:
            self.patch.undo()


StreamMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestStream = StreamMachine.TestCase


ONE = {"number": 0}
NO_WISH = (0, False)
CHANGES = ("publish", {"keys": KEYS, "times": 3})
REST: tuple[str, dict[str, Any]] = ("come_to_rest", {})
STREAM = ONE | {"names": [TICKER, BOOK, ORDER]}


@pytest.mark.parametrize(
    ("pace", "steps"),
    [
        pytest.param(100, [CHANGES], id="conflated"),
        pytest.param(0, [("configure", ONE | {"pace": 100, "resume": None}), CHANGES], id="conflated later"),
        pytest.param(0, [("subscribe", STREAM)], id="subscribed again"),
        pytest.param(0, [("unsubscribe", STREAM), ("subscribe", STREAM)], id="unsubscribed and subscribed"),
        pytest.param(0, [("pause", ONE), CHANGES, ("go_on", ONE)], id="behind"),
        pytest.param(
            0,
            [
                ("configure", ONE | {"pace": 0, "resume": False}),
                CHANGES,
                ("configure", ONE | {"pace": 0, "resume": True}),
            ],
            id="without positions for a while",
        ),
        pytest.param(
            0,
            [("hold", {"held": True}), CHANGES, ("unsubscribe", STREAM), ("resume", STREAM)],
            id="from a position that is not the newest",
        ),
    ],
)
def test_what_may_follow_a_resume(pace: int, steps: list[tuple[str, dict[str, Any]]]) -> None:
    """The clients of the machine take all of it for what it is; chance alone brings it seldom."""
    machine = StreamMachine()
    machine.start([(pace, True), *[NO_WISH] * (CLIENTS - 1)])
    comeback = ("reconnect", STREAM | {"resume": True})
    try:
        for name, arguments in [("subscribe", STREAM), CHANGES, REST, comeback, REST, *steps, REST, CHANGES, REST]:
            getattr(machine, name)(**arguments)
            machine.every_reader_is_sent_what_it_should_be()
        machine.teardown()
    finally:
        machine.patch.undo()
