from typing import Any

import pytest
from tests.stream.support import DELTA, KLINE, TICKER, ManualTimers, key, read_messages

from tickwire.stream.outbox import Flusher, Outbox
from tickwire.stream.pace import Lane, Pace
from tickwire.stream.settings import StreamCounters
from tickwire.wire.envelope import data_frame


class Bench:
    """One pace of an eighth of a second, and what its readers were written, with the time of each write."""

    def __init__(self) -> None:
        self.timers = ManualTimers()
        self.pace = Pace(0.125, self.timers, StreamCounters())
        self.flusher = Flusher(self.timers.call_soon)
        self.offset = 0

    def reader(self) -> tuple[Outbox, list[tuple[float, bytes]]]:
        writes: list[tuple[float, bytes]] = []
        outbox = Outbox(
            lambda data: writes.append((round(self.timers.now, 3), data)),
            self.flusher,
            StreamCounters(),
            deflate=False,
            held_bytes=1_000,
            catch_up=lambda: None,
            overflowed=lambda: None,
        )
        return outbox, writes

    def lane(self, name: str = TICKER) -> Lane:
        return Lane(key(name), "e", self.pace)

    def publish(self, lane: Lane, name: str = TICKER, **row: Any) -> None:
        self.offset += 1
        payload = data_frame(name, self.offset, "UPDATE", [{"symbol": "BTCUSDT.PERP", **row}])
        lane.publish(self.offset, payload)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def rows(data: bytes) -> list[Any]:
    return [message["data"][0]["rows"][0] for message in read_messages(data)]


def test_the_first_frame_comes_at_once_and_the_next_ones_together(bench: Bench) -> None:
    lane = bench.lane()
    outbox, writes = bench.reader()
    lane.add(outbox)
    for number in range(25):
        bench.publish(lane, a=number)
        bench.timers.advance(1 / 64)
    bench.timers.advance(1.0)
    assert [time for time, _ in writes] == [0.0, 0.125, 0.25, 0.375, 0.5]
    assert [rows(data)[0]["a"] for _, data in writes] == [0, 7, 15, 23, 24]


def test_all_topics_of_a_tick_leave_in_one_write(bench: Bench) -> None:
    lanes = {TICKER: bench.lane(), "account": bench.lane("account")}
    outbox, writes = bench.reader()
    for name, lane in lanes.items():
        lane.add(outbox)
        bench.publish(lane, name, a=1)
    bench.timers.advance(0.0)
    ((_, data),) = writes
    assert [message["topic"] for message in read_messages(data)] == list(lanes)


def test_readers_share_the_bytes(bench: Bench) -> None:
    lane = bench.lane()
    readers = [bench.reader() for _ in range(3)]
    for outbox, _ in readers:
        lane.add(outbox)
    bench.publish(lane, a=1)
    bench.publish(lane, b=2)
    for segment in lane._segments:
        assert len(segment.readers) == 3
    lane.send()
    chunks = [outbox._chunks[0] for outbox, _ in readers]
    assert chunks[0] is chunks[1] is chunks[2]
    assert rows(chunks[0]) == [{"symbol": "BTCUSDT.PERP", "a": 1, "b": 2}]


def test_one_that_joins_in_the_midst_is_not_told_what_it_knows(bench: Bench) -> None:
    lane = bench.lane(DELTA)
    (early, early_writes), (late, late_writes) = bench.reader(), bench.reader()
    lane.add(early)

    def change(seq: int) -> None:
        row = {"symbol": "S", "seq": seq, "prevSeq": seq - 1, "bids": [[str(seq), "1"]], "asks": []}
        lane.publish(seq, data_frame(DELTA, seq, "UPDATE", [row]))

    change(1)
    bench.timers.advance(0.05)
    change(2)
    lane.add(late)
    change(3)
    bench.timers.advance(0.1)
    change(4)
    bench.timers.advance(0.125)
    numbers = [[(row["prevSeq"], row["seq"]) for _, data in writes for row in rows(data)]
               for writes in (early_writes, late_writes)]  # fmt: skip
    assert numbers == [[(0, 1), (1, 3), (3, 4)], [(2, 3), (3, 4)]]


def test_one_that_leaves_is_owed_what_it_has_not_got(bench: Bench) -> None:
    lane = bench.lane()
    (early, _), (late, _) = bench.reader(), bench.reader()
    lane.add(early)
    bench.publish(lane, a=1)
    lane.add(late)
    bench.publish(lane, b=2)
    assert [rows(frame.form(0)) for frame in lane.owed(early)] == [[{"symbol": "BTCUSDT.PERP", "a": 1, "b": 2}]]
    assert [rows(frame.form(0)) for frame in lane.owed(late)] == [[{"symbol": "BTCUSDT.PERP", "b": 2}]]


def test_a_lane_is_true_while_it_has_readers(bench: Bench) -> None:
    lane = bench.lane(KLINE)
    outbox, _ = bench.reader()
    assert not lane
    lane.add(outbox)
    assert lane
    lane.remove(outbox)
    assert not lane
    lane.send()  # a tick that was on its way finds nobody
