"""Heads of frames, and what is noticed about their order."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.cli.load.tally import ReaderState, Tally, decode_head, read_head
from tickwire.wire.envelope import data_frame, failure_reply, success_reply
from tickwire.wire.errors import ApiError

TICKER = "ticker.BTCUSDT.PERP"
BOOK = "orderbook.BTCUSDT.PERP"
DELTA = "orderbook.delta.BTCUSDT.PERP"
NOW = 1_765_975_842_095_607_088

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=4,
)
FRAMES = st.fixed_dictionaries(
    {
        "topic": st.one_of(st.sampled_from([TICKER, BOOK]), st.text()),
        "ts": st.one_of(st.integers(0, 10**19 - 1).map(str), st.text()),
        "data": st.lists(
            st.fixed_dictionaries({"actionType": st.sampled_from(["SNAPSHOT", "UPDATE", "OTHER"]), "rows": JSON}),
            max_size=2,
        ),
    }
)


def update(topic: str, ts: int, action: str = "UPDATE", **row: object) -> bytes:
    return data_frame(topic, ts, action, [row])  # type: ignore[arg-type]


@given(FRAMES, st.permutations(["topic", "ts", "data"]), st.sampled_from([(",", ":"), (", ", ": ")]))
def test_the_expression_reads_what_decoding_reads(
    frame: dict[str, object], order: list[str], separators: tuple[str, str]
) -> None:
    payload = json.dumps({name: frame[name] for name in order}, separators=separators).encode()
    assert read_head(payload) == decode_head(payload)


@given(st.binary())
def test_what_is_no_frame_has_no_head(payload: bytes) -> None:
    assert read_head(payload) is None


def test_a_frame_of_the_server_takes_the_short_way() -> None:
    assert read_head(update(TICKER, NOW, symbol="BTCUSDT.PERP")) == (TICKER.encode(), NOW, False)
    assert read_head(update(BOOK, NOW, "SNAPSHOT")) == (BOOK.encode(), NOW, True)
    assert read_head(success_reply("subscribe", [TICKER], None)) is None


def test_counts_and_latencies() -> None:
    tally, state = Tally(offset=1_000_000), ReaderState(0, (TICKER, BOOK))
    tally.take(state, [success_reply("subscribe", [TICKER, BOOK], None)], NOW)
    tally.take(state, [update(TICKER, NOW, "SNAPSHOT"), update(BOOK, NOW, "SNAPSHOT")], NOW)
    assert (state.missing, tally.latency.total) == (0, 0), "the ts of a first SNAPSHOT is no latency"
    tally.take(state, [update(TICKER, NOW), update(BOOK, NOW, "SNAPSHOT")], NOW + 2_000_000)
    # By the server's clock, which is a millisecond ahead.
    assert (tally.latency.total, tally.latency.largest) == (2, 3000)
    tally.take(state, [update(TICKER, NOW + 9_000_000)], NOW)
    assert (tally.early, tally.latency.percentile(1)) == (1, 0)
    assert (tally.frames, state.frames) == (5, 5)
    assert tally.gaps == tally.backwards == tally.unannounced == tally.unknown == tally.conflated == 0
    tally.begin()
    assert (tally.frames, tally.latency.total) == (0, 0)


def test_faults_are_found() -> None:
    tally, state = Tally(0), ReaderState(0, (TICKER, BOOK, DELTA))
    tally.take(state, [update(TICKER, NOW)], NOW)
    assert tally.unannounced == 1
    tally.take(state, [update(TICKER, NOW - 1)], NOW)
    assert tally.backwards == 1
    tally.take(state, [update(TICKER, NOW, "SNAPSHOT")], NOW)
    assert tally.conflated == 1
    tally.take(state, [update(BOOK, NOW, "SNAPSHOT"), update(BOOK, NOW, "SNAPSHOT")], NOW)
    assert tally.conflated == 1, "every frame of this topic is whole"
    deltas = [
        update(DELTA, NOW, "SNAPSHOT", seq=5, prevSeq=4),
        update(DELTA, NOW, seq=6, prevSeq=5),
        update(DELTA, NOW, seq=8, prevSeq=7),
        update(DELTA, NOW, seq=9, prevSeq=8),
    ]
    tally.take(state, deltas, NOW)
    assert tally.gaps == 1
    tally.take(state, [update(DELTA, NOW, seq="none")], NOW)
    tally.take(state, [b"[1]", b"{", update("ticker.OTHER", NOW)], NOW)
    assert tally.unknown == 4


def test_refusals_are_counted_by_code() -> None:
    tally, state = Tally(0), ReaderState(0, (TICKER,))
    tally.take(state, [failure_reply("subscribe", [TICKER], ApiError("InvalidSymbol", "no symbol 'X'"), None)], NOW)
    assert tally.errors == {"InvalidSymbol": 1}
    assert state.refusal == f"{TICKER}: InvalidSymbol: no symbol 'X'"


def test_a_topic_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="expected"):
        ReaderState(0, ("nothing",))
