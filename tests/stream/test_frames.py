import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stream.support import read_frames

from tickwire.stream.frames import DEFLATE_WINDOW_BITS, Frame, text_frame


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
    assert read_frames(frame.plain) == [(1, payload)]
    assert read_frames(frame.deflated) == [(1, payload)]
    assert len(frame.deflated) <= len(frame.plain)


def test_what_deflates_badly_stays_plain() -> None:
    for payload in (b"{}", os.urandom(1_000)):
        frame = Frame(payload)
        assert frame.deflated is frame.plain


def test_deflating_is_done_once() -> None:
    frame = Frame(b"tick" * 100)
    assert frame.deflated is frame.deflated
    assert frame.deflated[0] == 0xC1


def test_no_frame_needs_more_than_the_window() -> None:
    block = os.urandom(6_000).hex().encode()
    payload = block * 2  # a larger window would find the first half in the second
    frame = Frame(payload)
    assert frame.deflated is not frame.plain
    inflater = zlib.decompressobj(-DEFLATE_WINDOW_BITS)
    assert inflater.decompress(frame.deflated[4:] + b"\x00\x00\xff\xff") == payload
