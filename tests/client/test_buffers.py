import pytest

from tickwire.client.buffers import Latest, Queue, make_buffer


def test_latest_keeps_one_of_each_key_in_the_order_of_the_first() -> None:
    buffer = make_buffer(Latest())
    for key, item in [("a", 1), ("b", 2), ("a", 3)]:
        buffer.put(key, item)
    buffer.put_event("lost")
    buffer.put_event("back")
    assert len(buffer) == 4
    assert [buffer.take() for _ in range(4)] == [3, 2, "lost", "back"]
    assert not buffer
    with pytest.raises(IndexError):
        buffer.take()


def test_latest_has_a_bound() -> None:
    buffer = make_buffer(Latest(limit=3))
    for key in range(5):
        buffer.put(key, key)
    assert len(buffer) == 3
    assert buffer.dropped == 2
    assert [buffer.take() for _ in range(3)] == [2, 3, 4]


def test_a_queue_that_blocks() -> None:
    buffer = make_buffer(Queue(2))
    buffer.put("a", 1)
    assert not buffer.full
    buffer.put("a", 2)
    assert buffer.full
    assert buffer.take() == 1
    assert not buffer.full


def test_a_queue_that_drops_the_oldest() -> None:
    buffer = make_buffer(Queue(2, "drop_oldest"))
    for item in range(5):
        buffer.put("a", item)
    assert not buffer.full
    assert buffer.dropped == 3
    assert [buffer.take(), buffer.take()] == [3, 4]


def test_a_queue_that_ends_the_stream() -> None:
    buffer = make_buffer(Queue(1, "close"))
    buffer.put("a", 1)
    assert not buffer.overflown
    buffer.put("a", 2)
    assert buffer.overflown
    assert buffer.take() == 1
    with pytest.raises(IndexError):
        buffer.take()


@pytest.mark.parametrize("policy", [Latest(), Queue(10)])
def test_rows_can_be_dropped_without_the_events(policy: Latest | Queue) -> None:
    buffer = make_buffer(policy)
    buffer.put("a", 1)
    buffer.put_event("lost")
    buffer.put("b", 2)
    buffer.clear_rows()
    assert len(buffer) == 1
    assert buffer.take() == "lost"


def test_a_queue_without_room() -> None:
    with pytest.raises(ValueError, match="size: expected at least 1, got 0"):
        Queue(0)
