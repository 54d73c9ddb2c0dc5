"""What a replay knows at a moment; what can't be read is counted and changes nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.record.format import FRAME, REST, STATE, Row
from tickwire.record.replay_state import ReplayState
from tickwire.wire.envelope import data_frame

SYMBOL = "BTCUSDT.PERP"
KLINE = f"/api/v1/market/kline?symbol={SYMBOL}&interval=1&limit=1000"


def candle(start: int, close: str = "1") -> list[str]:
    return [str(start), "1", "1", "1", close, "0", "0"]


def played(*rows: tuple[str, str, bytes]) -> ReplayState:
    state = ReplayState()
    for place, (kind, topic, data) in enumerate(rows):
        state.apply(Row(place, kind, 1, topic, data))
    return state


def kline(start: int, close: str) -> tuple[str, str, bytes]:
    topic = f"kline.1.{SYMBOL}"
    return FRAME, topic, data_frame(topic, start, "UPDATE", [candle(start, close)])


def test_candles_of_rest_and_topic_are_one_series() -> None:
    state = played(
        (REST, KLINE, json.dumps([candle(1), candle(2), candle(3)]).encode()),
        kline(3, "2"),
        kline(4, "5"),
        kline(4, "6"),
    )
    assert [row[:1] + row[4:5] for row in state.candles(SYMBOL, "1") or ()] == [
        ("1", "1"), ("2", "1"), ("3", "2"), ("4", "6"),
    ]  # fmt: skip
    assert state.candles(SYMBOL, "5") is None
    assert state.topics.failures == 0


def test_old_candles_are_dropped() -> None:
    starts = range(10_000, 12_500)
    state = played(*(kline(start, "1") for start in starts))
    assert [int(row[0]) for row in state.candles(SYMBOL, "1") or ()] == list(starts)[-2_000:]


def test_a_ticker_is_that_of_rest_with_what_the_topic_has_changed() -> None:
    rest = [{"symbol": SYMBOL, "lastPrice": "1", "openInterest": "5"}]
    topic = f"ticker.{SYMBOL}"
    state = played(
        (REST, "/api/v1/market/ticker", json.dumps(rest).encode()),
        (STATE, topic, data_frame(topic, 1, "SNAPSHOT", [{"symbol": SYMBOL, "lastPrice": "2"}])),
    )
    assert state.ticker(SYMBOL) == {"symbol": SYMBOL, "lastPrice": "2", "openInterest": "5"}
    assert state.ticker("ETHUSDT") is None
    assert state.symbols() == [SYMBOL]


@pytest.mark.parametrize("target", ["/api/v1/market/contract", "/api/v1/trade/symbol", KLINE])
@pytest.mark.parametrize("body", [b"no json", b"5", b"[5]", b'{"error":"x"}', b"\xff", b'[["1"]]'])
def test_replies_of_another_shape_are_counted(target: str, body: bytes) -> None:
    state = played((REST, target, body))
    assert state.topics.failures == 1
    assert state.reply(target) is None
    assert state.symbols() == []


names = st.sampled_from(
    (
        "ticker.A",
        "kline.1.A",
        "orderbook.A",
        "orderbook.delta.A",
        "account",
        "account.order",
        "account.position",
        "new.A",
    )
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
row_values = json_values | st.dictionaries(
    st.sampled_from(("symbol", "orderId", "status", "bids", "asks", "seq", "prevSeq")), json_values, max_size=5
)
frames = st.tuples(names, st.sampled_from(("SNAPSHOT", "UPDATE", "OTHER")), st.lists(row_values, max_size=3))


@given(st.lists(frames | st.tuples(names, st.binary(max_size=30)), max_size=12))
def test_nothing_that_a_recording_may_hold_is_an_exception(found: list[tuple[object, ...]]) -> None:
    state = ReplayState()
    for place, (topic, *rest) in enumerate(found):
        data = rest[0] if len(rest) == 1 else data_frame(str(topic), place, rest[0], rest[1])  # type: ignore[arg-type]
        assert isinstance(data, bytes)
        state.apply(Row(place, FRAME, 1, str(topic), data))
        state.topics.snapshots()
        state.rows(str(topic))
        state.ticker("A")
        state.candles("A", "1")
        state.symbols()
