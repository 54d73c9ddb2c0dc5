import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.stream.frames import Frame
from tickwire.stream.history import History


def frame(size: int) -> Frame:
    return Frame(b"x" * size)


def test_the_newest_come_oldest_first() -> None:
    history = History(max_frames=10, max_bytes=100)
    frames = [frame(1) for _ in range(4)]
    for each in frames:
        history.add(each)
    assert history.newest(0) == []
    assert history.newest(2) == frames[2:]
    assert history.newest(4) == frames


@pytest.mark.parametrize("count", [-1, 5])
def test_what_is_not_all_there_is_not_given(count: int) -> None:
    history = History(max_frames=10, max_bytes=100)
    for _ in range(4):
        history.add(frame(1))
    assert history.newest(count) is None


def test_a_frame_larger_than_all_there_is_room_for_empties_it() -> None:
    history = History(max_frames=10, max_bytes=100)
    history.add(frame(1))
    history.add(frame(101))
    assert len(history) == 0
    assert history.newest(1) is None


@given(st.integers(0, 5), st.integers(0, 30), st.lists(st.integers(0, 12), max_size=30))
def test_it_keeps_the_longest_end_within_both_bounds(max_frames: int, max_bytes: int, sizes: list[int]) -> None:
    history = History(max_frames, max_bytes)
    frames = [frame(size) for size in sizes]
    for each in frames:
        history.add(each)
    ends = [frames[begin:] for begin in range(len(frames) + 1)]
    within = [end for end in ends if len(end) <= max_frames and sum(len(each.payload) for each in end) <= max_bytes]
    # One that is too large has emptied it, with all that came before.
    assert history.newest(len(history)) == max(within, key=len)
