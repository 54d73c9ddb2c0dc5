from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stream.support import BOOK, KLINE, TICKER, MemoryFeed, key

from tickwire.stream.session import UNANSWERED_COST, Configuration, Session, Step
from tickwire.stream.settings import StreamCounters, StreamLimits, StreamSettings
from tickwire.wire.envelope import Position

NOW_NS = 1_765_975_842_095_607_088


def make(**limits: int) -> Session:
    return Session(
        "alice",
        StreamSettings(limits=StreamLimits(**limits)),
        StreamCounters(),
        refusal=MemoryFeed().refusal,
        clock=lambda: NOW_NS,
        now=0.0,
    )


@pytest.fixture
def session() -> Session:
    return make()


def operation(op: str, *args: str, **more: object) -> str:
    return msgspec.json.encode({"op": op, "args": args, **more}).decode()


def replies(step: Step) -> list[dict[str, Any]]:
    return [msgspec.json.decode(payload) for payload in step.replies]


# Subscribing.


def test_subscribing_joins_with_one_reply(session: Session) -> None:
    step = session.receive_text(operation("subscribe", TICKER, "account"), 0.0)
    assert replies(step) == [{"success": True, "op": "subscribe", "args": [TICKER, "account"]}]
    assert step.join == (key(TICKER), key("account", "alice"))
    assert step.join[0].account == ""
    assert step.join[1].account == "alice"
    assert step.leave == ()
    assert not step.at_once


def test_a_mixed_frame_subscribes_the_good_and_names_each_reason_once(session: Session) -> None:
    names = ["kline.7.BTCUSDT.PERP", TICKER, "ticker.NONE", "nonsense", BOOK]
    step = session.receive_text(operation("subscribe", *names, id="a"), 0.0)
    good, *bad = replies(step)
    assert good == {"success": True, "op": "subscribe", "args": [TICKER, BOOK], "id": "a"}
    assert [(reply["error"], reply["args"], reply["success"], reply["id"]) for reply in bad] == [
        ("InvalidTopic", ["kline.7.BTCUSDT.PERP", "nonsense"], False, "a"),
        ("InvalidSymbol", ["ticker.NONE"], False, "a"),
    ]
    assert "'7'" in bad[0]["message"]
    assert step.join == (key(TICKER), key(BOOK))


def test_nothing_good_is_no_success(session: Session) -> None:
    step = session.receive_text(operation("subscribe", "nonsense"), 0.0)
    assert [reply["success"] for reply in replies(step)] == [False]
    assert step.join == ()


def test_subscribing_again_joins_again(session: Session) -> None:
    for _ in range(2):
        assert session.receive_text(operation("subscribe", TICKER), 0.0).join == (key(TICKER),)
    assert list(session.topics) == [TICKER]


def test_a_topic_twice_in_a_frame_counts_once(session: Session) -> None:
    step = session.receive_text(operation("subscribe", TICKER, TICKER), 0.0)
    assert replies(step)[0]["args"] == [TICKER]
    assert step.join == (key(TICKER),)


def test_no_topics_at_all_is_accepted(session: Session) -> None:
    step = session.receive_text(operation("subscribe"), 0.0)
    assert replies(step) == [{"success": True, "op": "subscribe", "args": []}]


def test_unsubscribing_what_is_not_subscribed_is_accepted(session: Session) -> None:
    step = session.receive_text(operation("unsubscribe", TICKER, "ticker.NONE"), 0.0)
    assert replies(step) == [{"success": True, "op": "unsubscribe", "args": [TICKER, "ticker.NONE"]}]
    assert step.leave == (key(TICKER), key("ticker.NONE"))
    assert step.join == ()


def test_unsubscribing_frees_the_place(session: Session) -> None:
    session.receive_text(operation("subscribe", TICKER, BOOK), 0.0)
    session.receive_text(operation("unsubscribe", TICKER), 0.0)
    assert list(session.topics) == [BOOK]


# Choices.


def choose(session: Session, **choice: object) -> Step:
    return session.receive_text(msgspec.json.encode({"op": "configure"} | choice).decode(), 0.0)


def test_what_is_not_chosen_stays(session: Session) -> None:
    for choice, conflate_ms, resume in (
        ({"conflate_ms": 250}, 250, False),
        ({"resume": True, "id": 1}, 250, True),
        ({"conflate_ms": 0, "resume": None}, 0, True),
    ):
        step = choose(session, **choice)
        (reply,) = replies(step)
        assert (reply["conflate_ms"], reply["resume"], reply.get("id")) == (conflate_ms, resume, choice.get("id"))
        assert step.configure == Configuration(conflate_ms, resume)
        assert (step.at_once, step.join, step.leave) == (False, (), ())


def test_a_refused_choice_changes_nothing(session: Session) -> None:
    choose(session, conflate_ms=250)
    step = choose(session, conflate_ms=-1, resume=True)
    assert (replies(step)[0]["error"], step.configure) == ("InvalidParameter", None)
    assert choose(session, resume=False).configure == Configuration(250, False)


def test_resuming_names_the_topics_that_were_taken_and_chooses_positions(session: Session) -> None:
    where = {"epoch": "e", "offset": 3}
    step = session.receive_text(
        operation("subscribe", TICKER, "ticker.NONE", "account", resume={TICKER: where, "ticker.NONE": where}), 0.0
    )
    assert step.join == (key(TICKER), key("account"))
    assert step.resume == {key(TICKER): Position("e", 3)}
    assert step.configure == Configuration(0, True)
    assert session.receive_text(operation("subscribe", BOOK), 0.0).configure is None


def test_a_frame_with_too_many_topics_resumes_none() -> None:
    session = make(topics_per_frame=1)
    step = session.receive_text(operation("subscribe", TICKER, BOOK, resume={TICKER: {"epoch": "e", "offset": 1}}), 0.0)
    assert (step.join, step.resume, step.configure) == ((), {}, None)


# Limits of topics.


def kline_names(count: int) -> list[str]:
    return [f"ticker.S{number}" for number in range(count)]


def test_fifty_topics_a_frame_and_no_more(session: Session) -> None:
    assert len(session.receive_text(operation("subscribe", *kline_names(50)), 0.0).join) == 50
    step = session.receive_text(operation("subscribe", *kline_names(51)), 0.0)
    assert step.join == ()
    (reply,) = replies(step)
    assert (reply["error"], reply["op"], len(reply["args"])) == ("TooManyTopics", "subscribe", 51)
    step = session.receive_text(operation("unsubscribe", *kline_names(51)), 0.0)
    assert (replies(step)[0]["error"], step.leave) == ("TooManyTopics", ())


def test_topics_beyond_the_sockets_limit_are_refused() -> None:
    session = make(topics_per_socket=2)
    step = session.receive_text(operation("subscribe", TICKER, BOOK, KLINE), 0.0)
    good, bad = replies(step)
    assert good["args"] == [TICKER, BOOK]
    assert (bad["args"], bad["error"]) == ([KLINE], "TooManyTopics")
    # What is subscribed already takes no new place; what is dropped makes one.
    assert session.receive_text(operation("subscribe", TICKER), 0.0).join == (key(TICKER),)
    session.receive_text(operation("unsubscribe", BOOK), 0.0)
    assert session.receive_text(operation("subscribe", KLINE), 0.0).join == (key(KLINE),)


# Pings and errors.


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("ping", b"pong"),
        ('{"op":"ping"}', b'{"op":"pong","ts":"1765975842095607088"}'),
        ('{"op":"ping","id":7}', b'{"op":"pong","ts":"1765975842095607088","id":7}'),
    ],
)
def test_pings_are_answered_at_once(session: Session, text: str, reply: bytes) -> None:
    assert session.receive_text(text, 0.0) == Step((reply,), at_once=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"error": "InvalidJson"}),
        ("{", {"error": "InvalidJson"}),
        ("PING", {"error": "InvalidJson"}),
        ('{"id":' + "[" * 50_000, {"error": "InvalidParameter"}),
        ('{"x":' * 10_000, {"error": "InvalidJson"}),
        ("[]", {"error": "InvalidParameter"}),
        ('"subscribe"', {"error": "InvalidParameter"}),
        ("{}", {"error": "InvalidParameter"}),
        ('{"op":1,"id":3}', {"error": "InvalidParameter", "id": 3}),
        ('{"op":"buy","id":"x"}', {"error": "InvalidOperation", "op": "buy", "id": "x"}),
        ('{"op":"subscribe"}', {"error": "InvalidParameter", "op": "subscribe"}),
        ('{"op":"subscribe","args":"x","id":1}', {"error": "InvalidParameter", "op": "subscribe", "id": 1}),
        ('{"op":"subscribe","args":[1]}', {"error": "InvalidParameter", "op": "subscribe"}),
        ('{"op":"subscribe","args":null}', {"error": "InvalidParameter", "op": "subscribe"}),
        ('{"op":"subscribe","args":[],"id":true}', {"error": "InvalidParameter", "op": "subscribe"}),
        ('{"op":"subscribe","args":[],"id":1.5}', {"error": "InvalidParameter", "op": "subscribe"}),
    ],
)
def test_what_can_not_be_read_is_answered(session: Session, text: str, expected: dict[str, object]) -> None:
    (reply,) = replies(session.receive_text(text, 0.0))
    assert isinstance(reply.pop("message"), str)
    assert reply == {"success": False, **expected}


def test_an_id_too_long_is_not_echoed(session: Session) -> None:
    (reply,) = replies(session.receive_text('{"op":"ping","id":"%s"}' % ("x" * 129), 0.0))
    assert (reply["error"], reply.get("id")) == ("InvalidParameter", None)
    assert session.receive_text('{"op":"ping","id":"%s"}' % ("x" * 128), 0.0).replies[0].endswith(b'x"}')


def test_binary_is_refused(session: Session) -> None:
    (reply,) = replies(session.receive_binary(0.0))
    assert (reply["success"], reply["error"]) == (False, "BinaryNotSupported")


# Rate.


def test_fifty_operations_then_errors_then_the_end(session: Session) -> None:
    answers: list[str] = []
    for _ in range(151):
        step = session.receive_text("ping", 1.0)
        answers.append("closed" if step.close else "pong" if step.at_once else replies(step)[0]["error"])
        if step.close:
            assert (step.close.code, step.replies) == (1008, ())
    assert answers == ["pong"] * 50 + ["TooManyOperations"] * 100 + ["closed"]


def test_operations_come_back_with_time(session: Session) -> None:
    for _ in range(50):
        assert session.receive_text("ping", 0.0).at_once
    assert not session.receive_text("ping", 0.0).at_once
    # One was too much: it is paid back first.
    assert not session.receive_text("ping", 0.021).at_once
    for tick in range(4, 204, 2):
        assert session.receive_text("ping", tick / 50).at_once


@pytest.mark.parametrize(
    ("receive", "allowed"),
    [
        (lambda session: session.receive_control(0.0), 150),
        (lambda session: session.receive_binary(0.0), 150),
        (lambda session: session.receive_control(0.0, UNANSWERED_COST), 600),
    ],
)
def test_everything_counts(session: Session, receive: Callable[[Session], Step], allowed: int) -> None:
    # One more or less is fine.
    ends = [receive(session).close is not None for _ in range(allowed + 2)]
    assert ends.count(True) in (1, 2, 3)
    assert ends[-1]


def test_without_limits_there_are_none() -> None:
    session = Session(
        "alice",
        StreamSettings(limits=StreamLimits.unlimited()),
        StreamCounters(),
        refusal=MemoryFeed().refusal,
        clock=lambda: NOW_NS,
        now=0.0,
    )
    assert len(session.receive_text(operation("subscribe", *kline_names(2_000)), 0.0).join) == 2_000
    assert all(session.receive_text("ping", 0.0).at_once for _ in range(2_000))


# Keep-alive.


def test_a_ping_every_twenty_seconds(session: Session) -> None:
    assert session.due == 20.0
    assert session.tick(19.9) is None
    assert session.tick(20.0) == "ping"
    session.heard(20.1)
    assert session.due == 40.0


def test_silence_ends_the_socket(session: Session) -> None:
    session.heard(5.0)
    for time in (20.0, 40.0, 60.0):
        assert session.tick(time) == "ping"
    assert session.due == 65.0
    assert session.tick(64.9) is None
    assert session.tick(65.0) == "silent"


def test_any_sign_of_life_counts(session: Session) -> None:
    for second in range(0, 600, 20):
        session.heard(float(second))
        assert session.tick(float(second)) != "silent"


# Anything at all.

names = st.sampled_from([TICKER, BOOK, KLINE, "account", "account.order", "ticker.NONE", "x"]) | st.text(max_size=20)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=10,
)
shaped = st.fixed_dictionaries(
    {"op": st.sampled_from(["subscribe", "unsubscribe", "ping"]) | json},
    optional={"args": st.lists(names, max_size=60) | json, "id": json},
)


@given(st.lists(st.text(max_size=50) | (shaped | json).map(lambda value: msgspec.json.encode(value).decode())))
def test_no_message_escapes_and_no_reply_looks_like_data(texts: list[str]) -> None:
    session = make(topics_per_socket=4, topics_per_frame=10)
    for text in texts:
        step = session.receive_text(text, 0.0)
        assert step.replies or step.close
        for payload in step.replies:
            if payload != b"pong":
                reply = msgspec.json.decode(payload)
                assert "topic" not in reply
                assert "data" not in reply
                assert reply.get("op") == "pong" or reply["success"] in (True, False)
        assert len(session.topics) <= 4
        assert not (step.join and step.leave)
