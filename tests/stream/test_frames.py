import os
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stream.support import read_frames

from tickwire.stream.frames import DEFLATE_WINDOW_BITS, DEFLATED, POSITIONED, Frame, text_frame
from tickwire.wire.envelope import data_frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_every_length_has_its_header(size: int) -> None:
    payload = b"x" * size
    assert read_frames(text_frame(payload)) == [(1, payload)]


def test_the_shortest_length_is_used() -> None:
    assert [len(text_frame(b"x" * size)) - size for size in (125, 126, 65_535, 65_536)] == [2, 4, 4, 10]


@given(st.binary(max_size=2_000), st.integers(1, 60))
def test_both_forms_carry_the_payload(part: bytes, repeat: int) -> None:
    payload = part * repeat
    frame = Frame(payload)
    assert read_frames(frame.form(0)) == [(1, payload)]
    assert read_frames(frame.form(DEFLATED)) == [(1, payload)]
    assert len(frame.form(DEFLATED)) <= len(frame.form(0))


def test_what_deflates_badly_stays_plain() -> None:
    for payload in (b"{}", os.urandom(1_000)):
        frame = Frame(payload)
        assert frame.form(DEFLATED) is frame.form(0)


def test_deflating_is_done_once() -> None:
    frame = Frame(b"tick" * 100)
    assert frame.form(DEFLATED) is frame.form(DEFLATED)
    assert frame.form(DEFLATED)[0] == 0xC1


def test_no_frame_needs_more_than_the_window() -> None:
    block = os.urandom(6_000).hex().encode()
    payload = block * 2  # a larger window would find the first half in the second
    frame = Frame(payload)
    assert frame.form(DEFLATED) is not frame.form(0)
    inflater = zlib.decompressobj(-DEFLATE_WINDOW_BITS)
    assert inflater.decompress(frame.form(DEFLATED)[4:] + b"\x00\x00\xff\xff") == payload


@pytest.mark.parametrize("form", [POSITIONED, POSITIONED | DEFLATED])
def test_a_position_is_the_objects_last_two_keys(form: int) -> None:
    payload = data_frame("ticker.BTCUSDT.PERP", 5, "UPDATE", [{"symbol": "BTCUSDT.PERP"}] * 20)
    frame = Frame(payload, "e.1", 7)
    ((_, positioned),) = read_frames(frame.form(form))
    assert positioned == payload[:-1] + b',"epoch":"e.1","offset":7}'
    assert msgspec.json.decode(positioned) == msgspec.json.decode(payload) | {"epoch": "e.1", "offset": 7}
    assert frame.form(form) is frame.form(form)
    assert read_frames(frame.form(0)) == [(1, payload)]
