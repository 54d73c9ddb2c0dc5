"""Frames folded into the state of their topic: as the contract has it, and as a plain fold does it."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.record.conftest import Recorded
from tests.record.support import Fold, frames, state_after

from tickwire.record.topic_state import FrameError, TopicState, TopicStates, stamped, topic_of
from tickwire.wire.envelope import data_frame
from tickwire.wire.topics import parse_topic

SYMBOL = "BTCUSDT.PERP"
DELTA = f"orderbook.delta.{SYMBOL}"
TICKER = f"ticker.{SYMBOL}"


def update(topic: str, row: Any, time: int = 1) -> bytes:
    return data_frame(topic, time, "UPDATE", [row])


def snapshot(topic: str, *rows: Any, time: int = 1) -> bytes:
    return data_frame(topic, time, "SNAPSHOT", rows)


decimals = st.integers(1, 9).map(lambda number: f"{number}.0")
sizes = st.sampled_from(("0", "0.000", "0.5", "3", "10"))
levels = st.lists(st.tuples(decimals, sizes), max_size=4, unique_by=lambda level: level[0])
rows_of = {
    TICKER: st.dictionaries(
        st.sampled_from(("bidPrice", "askPrice", "lastPrice", "news")), st.none() | decimals, max_size=3
    ).map(lambda row: {"symbol": SYMBOL} | row),
    f"orderbook.{SYMBOL}": st.fixed_dictionaries({"symbol": st.just(SYMBOL), "bids": levels, "asks": levels}),
    f"kline.1.{SYMBOL}": st.lists(decimals, min_size=7, max_size=7),
    "account": st.fixed_dictionaries({"totalWalletBalance": decimals}),
    "account.margin": st.fixed_dictionaries({"currency": st.sampled_from(("USDT", "BTC")), "marginBalance": decimals}),
    "account.balance": st.fixed_dictionaries({"asset": st.sampled_from(("USDT", "BTC")), "balance": decimals}),
    "account.position": st.fixed_dictionaries({"symbol": st.sampled_from(("A", "B")), "positionQty": decimals}),
    "account.order": st.fixed_dictionaries(
        {
            "orderId": st.sampled_from("abc"),
            "status": st.sampled_from(("NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED")),
        }
    ),
    "account.execution": st.fixed_dictionaries({"execId": decimals}),
}
steps = st.sampled_from(sorted(rows_of)).flatmap(
    lambda topic: st.tuples(st.just(topic), st.sampled_from(("SNAPSHOT", "UPDATE", "UPDATE")), rows_of[topic])
)


def comparable(topic: str, rows: list[Any]) -> Any:
    """The rows of a SNAPSHOT in the form of the plain fold."""
    fold = Fold()
    fold.apply(data_frame(topic, 1, "SNAPSHOT", rows))
    return fold.state[topic]


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=30), st.sets(st.integers(0, 30)))
def test_it_is_what_a_plain_fold_makes_of_the_same_frames(steps: list[tuple[str, Any, Any]], looks: set[int]) -> None:
    states, plain = TopicStates(), Fold()
    for place, (topic, action, row) in enumerate(steps):
        frame = data_frame(topic, place, action if topic in plain.state else "SNAPSHOT", [row])
        states.apply(topic, frame)
        plain.apply(frame)
        assert states.states[topic].time == place
        # A look changes nothing, and neither does a SNAPSHOT that is read late or never.
        for name in plain.state if place in looks else [topic]:
            found = json.loads(states.states[name].snapshot())
            shown = found["data"][0]["rows"]
            expected = plain.state[name]
            if name.startswith("orderbook"):
                shown = [{**row, "bids": [x for x in row["bids"] if Decimal(x[1])]} for row in shown]
                shown = [{**row, "asks": [x for x in row["asks"] if Decimal(x[1])]} for row in shown]
            if shown or expected:
                assert comparable(name, shown) == expected


def test_the_recording_of_a_server(recorded: Recorded) -> None:
    states = TopicStates()
    data = frames(recorded.directory)
    for frame in data:
        states.apply(topic_of(frame), frame)
    assert states.failures == 0
    assert state_after([payload for _, payload in states.snapshots()]) == state_after(data)


def test_a_snapshot_is_kept_as_it_came_until_something_follows() -> None:
    state = TopicState(parse_topic(DELTA))
    assert (state.time, state.rows()) == (0, [])
    empty = json.loads(state.snapshot(7))
    assert empty == {"topic": DELTA, "ts": "7", "data": [{"actionType": "SNAPSHOT", "rows": []}]}
    odd = (
        b'{ "topic":"%b", "ts":"5","data":[{"actionType":"SNAPSHOT","rows":[{"symbol":"BTCUSDT.PERP","seq":3,'
        b'"prevSeq":3,"bids":[["1","2"],["3","4"]],"asks":[]}]}],"more":1}' % DELTA.encode()
    )
    state.apply(odd)
    assert state.snapshot() is odd
    assert state.time == 5
    state.apply(update(DELTA, {"seq": 4, "prevSeq": 3, "bids": [["1", "0"], ["10", "1"]], "asks": [["11", "1"]]}, 6))
    assert json.loads(state.snapshot()) == {
        "topic": DELTA,
        "ts": "6",
        "data": [
            {
                "actionType": "SNAPSHOT",
                "rows": [
                    {
                        "seq": 4,
                        "prevSeq": 4,
                        "bids": [["10", "1"], ["3", "4"]],
                        "asks": [["11", "1"]],
                        "symbol": SYMBOL,
                    }
                ],
            }
        ],
    }


def test_missing_deltas_are_noticed_and_a_snapshot_makes_them_good() -> None:
    states = TopicStates()
    row = {"symbol": SYMBOL, "seq": 3, "prevSeq": 3, "bids": [["1", "2"]], "asks": []}
    states.apply(DELTA, snapshot(DELTA, row))
    for seq, previous in ((5, 4), (3, 2), (9, 8)):
        with pytest.raises(FrameError, match=f"expected prevSeq 3, got {previous}: frames are missing"):
            states.apply(DELTA, update(DELTA, {"seq": seq, "prevSeq": previous, "bids": [["1", "0"]], "asks": []}))
    assert comparable(DELTA, states.states[DELTA].rows()) == comparable(DELTA, [row])
    states.apply(DELTA, snapshot(DELTA, {**row, "seq": 9, "prevSeq": 9}))
    states.apply(DELTA, update(DELTA, {"seq": 10, "prevSeq": 9, "bids": [], "asks": [["4", "1"]]}))
    assert states.states[DELTA].rows()[0]["asks"] == [("4", "1")]
    assert states.failures == 3


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        (TICKER, b"no json"),
        (TICKER, b"[]"),
        (TICKER, b'{"topic":"x"}'),
        (TICKER, b'{"topic":"x","ts":5,"data":[]}'),
        (TICKER, b'{"topic":"x","ts":"5","data":[{"rows":[]}]}'),
        (TICKER, update(TICKER, 7)),
        (TICKER, b'{"topic":"\xff","ts":"5","data":[]}'),
        (DELTA, update(DELTA, {"seq": 2, "prevSeq": 1, "bids": [["1"]], "asks": []})),
        (DELTA, update(DELTA, {"seq": 2, "prevSeq": 1, "bids": 5, "asks": []})),
        (DELTA, update(DELTA, {"seq": 2, "prevSeq": 1, "bids": [[1, 2]], "asks": []})),
        ("account.balance", update("account.balance", "USDT")),
        ("new.topic", update("new.topic", {})),
    ],
)
def test_frames_that_can_not_be_read_change_nothing(topic: str, data: bytes) -> None:
    states = TopicStates()
    first = {"symbol": SYMBOL, "asset": "USDT", "seq": 1, "prevSeq": 1, "bids": [], "asks": []}
    if topic != "new.topic":
        states.apply(topic, snapshot(topic, first))
    before = dict(states.snapshots())
    with pytest.raises(FrameError):
        states.apply(topic, data)
    assert states.failures == 1
    assert dict(states.snapshots()).keys() == before.keys()
    assert all(state.rows() == [first] for state in states.states.values())


def test_a_snapshot_that_can_not_be_read_leaves_nothing_of_before() -> None:
    states = TopicStates()
    states.apply(TICKER, snapshot(TICKER, {"symbol": SYMBOL, "lastPrice": "1"}))
    states.apply(TICKER, snapshot(TICKER, 7))
    with pytest.raises(FrameError):
        states.apply(TICKER, update(TICKER, {"symbol": SYMBOL, "markPrice": "2"}))
    states.apply(TICKER, update(TICKER, {"symbol": SYMBOL, "markPrice": "3"}))
    assert states.states[TICKER].rows() == [{"symbol": SYMBOL, "markPrice": "3"}]
    states.apply(TICKER, b'{"topic":"ticker.A","ts":"1","data":[{"actionType":"SNAPSHOT",')
    # As it came: what it can't be read as is for its reader to say.
    assert states.states[TICKER].snapshot().endswith(b'"SNAPSHOT",')
    with pytest.raises(FrameError):
        states.states[TICKER].rows()


def test_an_update_of_a_book_without_a_snapshot_is_none() -> None:
    with pytest.raises(FrameError, match="expected a SNAPSHOT first"):
        TopicStates().apply(DELTA, update(DELTA, {"seq": 2, "prevSeq": 1, "bids": [], "asks": []}))


@pytest.mark.parametrize(
    ("data", "topic"),
    [
        (b'{"topic":"ticker.A","ts":"1"}', "ticker.A"),
        (b'{"ts":"1","topic":"ticker.A"}', "ticker.A"),
        (b'{"topic":"ticker.\\u0041"}', "ticker.A"),
        (b'{"success":true,"op":"subscribe","args":[]}', ""),
        (b'{"op":"pong","ts":"1"}', ""),
    ],
)
def test_the_topic_of_a_message(data: bytes, topic: str) -> None:
    assert topic_of(data) == topic


@pytest.mark.parametrize("data", [b"pong", b"", b'{"topic":', b'{"topic":5}', b"[]", b"\xff\xfe", b"[" * 5_000])
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(FrameError):
        topic_of(data)


def test_times_are_moved_where_there_is_one() -> None:
    frame = data_frame("account", 1_765_975_842_095_607_088, "UPDATE", [{"ts": "5"}])
    assert json.loads(stamped(frame, 0, 1_000)) == json.loads(frame) | {"ts": "1765975842095608088"}
    assert stamped(frame, 0, 0) == frame
    assert json.loads(stamped(frame, 2 * 10**18, 5))["ts"] == str(2 * 10**18 + 5)
    for odd in (b"pong", b'{"ts":5}', b'{"ts":"soon"}', b'{"ts":"'):
        assert stamped(odd, 0, 7) == odd
