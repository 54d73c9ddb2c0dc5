"""What is published: of the size asked for, numbered and timed."""

import json

import pytest
from benchmarks.source import Source, requested_topics, text_frame
from hypothesis import given
from hypothesis import strategies as st

from tickwire.stream.frames import text_frame as stream_text_frame
from tickwire.wire.topics import parse_topic

INTENDED = 1_765_975_842_095_607_088


@given(st.integers(100, 9_000), st.integers(0, 50))
def test_payloads_have_exactly_the_size_and_are_json(size: int, before: int) -> None:
    source = Source(3, size)
    for _ in range(before):
        source.next(2, INTENDED)
    payload = source.next(2, INTENDED)
    assert len(payload) == size
    frame = json.loads(payload)
    assert list(frame) == ["topic", "ts", "data"]
    assert frame["topic"] == "ticker.T002.PERP"
    assert frame["ts"] == str(INTENDED)
    row = frame["data"][0]
    row = row["rows"][0] if "rows" in row else row
    assert row["mark"] == f"002.{before + 1:08}"


def test_a_ticker_has_prices_that_change() -> None:
    source = Source(1, 320)
    first, second = (json.loads(source.next(0, INTENDED))["data"][0]["rows"][0] for _ in range(2))
    assert first["symbol"] == "T000.PERP"
    assert first["bidPrice"] != second["bidPrice"]
    assert first["volume24h"] == second["volume24h"]


def test_the_newest_state_is_that_of_the_last_payload() -> None:
    source = Source(2, 320)
    source.next(1, INTENDED)
    newest = json.loads(source.newest(1))
    assert newest["data"][0]["rows"][0]["mark"] == "001.00000001"
    assert int(newest["ts"]) > INTENDED


def test_a_template_filled_in_is_a_payload() -> None:
    source = Source(2, 320)
    template = source.template(1).decode()
    price = 7919
    while "<price>" in template:
        template = template.replace("<price>", f"{price:04}", 1)
        price += 1
    filled = template.replace("<ts>", str(INTENDED)).replace("<sequence>", "00000001")
    assert filled.encode() == source.next(1, INTENDED)


def test_topics_are_those_of_the_wire_and_differ() -> None:
    names = Source(200, 320).names
    assert len(set(names)) == 200
    assert all(parse_topic(name).name == name for name in names)


def test_what_can_not_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match=r"topics: expected 1 to 1000, got 0"):
        Source(0, 320)
    with pytest.raises(ValueError, match=r"size: expected at least \d+ bytes, got 50"):
        Source(1, 50)


@pytest.mark.parametrize("size", [0, 125, 126, 320, 65_535])
def test_the_rivals_frames_are_the_streams(size: int) -> None:
    assert text_frame(bytes(size)) == stream_text_frame(bytes(size))


def test_a_subscription_names_its_topics() -> None:
    assert requested_topics('{"op":"subscribe","args":["a","b"]}') == ["a", "b"]
