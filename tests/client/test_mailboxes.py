import asyncio
from typing import Any

import pytest

from tickwire.client.events import Gap
from tickwire.client.mailboxes import Latest, Mailbox, Queue, Reader, StreamOverflow, make_mailbox

LOST, BACK = Gap(1, "a", "lost"), Gap(2, "a", "lost again")


class Source:
    """Who is attached and blocked."""

    name = "topic"

    def __init__(self) -> None:
        self.waiting = False
        self.detached = False

    def attach(self, reader: Reader) -> None: ...

    def detach(self, reader: Reader) -> None:
        self.detached = True

    async def ready(self) -> None: ...

    def blocked(self, reader: Reader) -> None:
        self.waiting = True

    def unblocked(self, reader: Reader) -> None:
        self.waiting = False


async def take(box: Mailbox, count: int) -> list[Any]:
    return [await box.take() for _ in range(count)]


async def test_latest_keeps_one_of_each_key_in_the_order_of_the_first() -> None:
    box = make_mailbox(Latest(), Source(), events=True)
    for key, item in [("a", 1), ("b", 2), ("a", 3)]:
        box.put(key, item)
    box.put_event(LOST)
    box.put_event(LOST)
    assert len(box) == 4
    assert await take(box, 4) == [3, 2, LOST, LOST]
    assert len(box) == 0


async def test_latest_has_a_bound() -> None:
    box = make_mailbox(Latest(limit=3), Source(), events=True)
    for key in range(4):
        box.put(key, key)
    box.put_event(LOST)
    assert len(box) == 3
    gap, *rest = await take(box, 4)
    assert (gap.topic, gap.reason) == ("topic", "2 rows were dropped: the reader is too slow")
    assert rest == [2, 3, LOST]


async def test_events_are_for_those_who_want_them() -> None:
    for policy in (Latest(limit=1), Queue(1, "drop_oldest")):
        box = make_mailbox(policy, Source())
        box.put_event(LOST)
        box.put("a", 1)
        box.put("b", 2)
        assert await take(box, 1) == [2]


async def test_a_queue_that_blocks() -> None:
    source = Source()
    box = make_mailbox(Queue(2), source, events=True)
    box.put("a", 1)
    assert not source.waiting
    box.put_event(LOST)
    assert source.waiting
    assert await take(box, 1) == [1]
    assert not source.waiting
    box.put("a", 2)
    assert source.waiting
    box.close()
    assert not source.waiting
    assert await take(box, 2) == [LOST, 2]
    with pytest.raises(StopAsyncIteration):
        await box.take()


async def test_a_queue_that_drops_the_oldest() -> None:
    source = Source()
    box = make_mailbox(Queue(2, "drop_oldest"), source, events=True)
    for item in range(4):
        box.put("a", item)
    box.put_event(LOST)
    assert not source.waiting
    gap, *rest = await take(box, 3)
    assert gap.reason == "3 rows were dropped: the reader is too slow"
    assert rest == [3, LOST]


async def test_a_queue_that_ends_the_stream() -> None:
    source = Source()
    box = make_mailbox(Queue(1, "close"), source)
    box.put("a", 1)
    assert not source.detached
    box.put("a", 2)
    assert source.detached
    assert await take(box, 1) == [1]
    with pytest.raises(StreamOverflow, match="topic: the reader is too slow"):
        await box.take()


async def test_views_are_made_early_or_late() -> None:
    live = [1]
    early = make_mailbox(Queue(10), Source(), tuple)
    late = make_mailbox(Latest(), Source(), tuple, view_late=True, events=True)
    for box in (early, late):
        box.put("a", live)
    late.put_event(LOST)
    live.append(2)
    assert await take(early, 1) == [(1,)]
    assert await take(late, 2) == [(1, 2), LOST]
    # A live object that is no longer right is not shown; a picture of its moment is.
    for box in (early, late):
        box.put("a", live)
        box.put_event(BACK)
        box.forget()
    assert await take(early, 1) == [(1, 2)]
    assert await take(late, 1) == [BACK]
    assert len(early) == len(late) == 0


@pytest.mark.parametrize("policy", [Latest(), Queue(5)])
async def test_a_reader_waits_for_a_row_an_error_or_the_end(policy: Latest | Queue) -> None:
    box = make_mailbox(policy, Source())
    waiting = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    box.put("a", 1)
    assert await waiting == 1
    waiting = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    box.fail(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        await waiting
    box = make_mailbox(policy, Source())
    waiting = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    box.fail(None)
    with pytest.raises(StopAsyncIteration):
        await waiting


def test_a_queue_without_room() -> None:
    with pytest.raises(ValueError, match="size: expected at least 1, got 0"):
        Queue(0)
