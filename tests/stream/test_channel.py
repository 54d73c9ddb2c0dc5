import pytest
from tests.stream.support import ORDER, TICKER, ManualTimers, key, read_messages

from tickwire.stream.channel import Channel
from tickwire.stream.history import History
from tickwire.stream.outbox import Flusher, Outbox
from tickwire.stream.pace import Pace
from tickwire.stream.settings import StreamCounters
from tickwire.wire.envelope import Position, data_frame


class Bench:
    def __init__(self) -> None:
        self.timers = ManualTimers()
        self.flusher = Flusher(self.timers.call_soon)
        self.counters = StreamCounters()
        self.written: dict[Outbox, list[bytes]] = {}

    def reader(self, pace: Pace | None = None, positions: bool = False) -> Outbox:
        written: list[bytes] = []
        outbox = Outbox(
            written.append, self.flusher, self.counters, deflate=False, held_bytes=10_000,
            catch_up=lambda: None, overflowed=lambda: None,
        )  # fmt: skip
        outbox.pace = pace
        outbox.positions = positions
        self.written[outbox] = written
        return outbox

    def offsets(self, outbox: Outbox) -> list[object]:
        """Of each frame that a reader has been sent: its offset where it has one, else its ``ts``."""
        self.timers.advance(10.0)
        messages = read_messages(b"".join(self.written[outbox]))
        return [message.get("offset", message["ts"]) for message in messages]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def publish(channel: Channel, *times: int) -> None:
    for time in times:
        channel.publish(data_frame(channel.key.topic.name, time, "UPDATE", [{"symbol": "S", "a": time}]))


def test_each_gets_frames_in_its_own_way(bench: Bench) -> None:
    channel = Channel(key(TICKER), "e")
    pace = Pace(1.0, bench.timers, bench.counters)
    plain, positioned, fewer = bench.reader(), bench.reader(positions=True), bench.reader(pace, positions=True)
    for outbox in (plain, positioned, fewer):
        channel.add(outbox)
    publish(channel, 101, 102)
    assert [bench.offsets(outbox) for outbox in (plain, positioned, fewer)] == [["101", "102"], [1, 2], [2]]
    for outbox in (plain, positioned, fewer):
        channel.remove(outbox)
    publish(channel, 103)
    assert [len(bench.offsets(outbox)) for outbox in (plain, positioned, fewer)] == [2, 2, 1]
    assert not channel.readers


def test_orders_have_no_pace(bench: Bench) -> None:
    channel = Channel(key(ORDER), "e")
    outbox = bench.reader(Pace(1.0, bench.timers, bench.counters))
    channel.add(outbox)
    publish(channel, 101, 102)
    bench.timers.end_turn()
    assert len(read_messages(b"".join(bench.written[outbox]))) == 2


def test_it_is_resumable_while_a_reader_may_resume(bench: Bench) -> None:
    channel = Channel(key(TICKER), "e")
    plain, positioned = bench.reader(), bench.reader(positions=True)
    channel.add(plain)
    assert not channel.resumable
    channel.add(positioned)
    assert channel.resumable
    channel.remove(positioned)
    assert not channel.resumable


def test_what_was_missed_is_all_of_it_or_none(bench: Bench) -> None:
    channel = Channel(key(TICKER), "e")
    publish(channel, 101)
    assert channel.missed(Position("e", 1)) is None
    channel.history = History(2, 10_000)
    publish(channel, 102, 103, 104)
    found = [channel.missed(Position("e", offset)) for offset in range(6)]
    assert [None if frames is None else len(frames) for frames in found] == [None, None, 2, 1, 0, None]
    assert channel.missed(Position("other", 3)) is None


def test_a_snapshot_has_the_offset_of_what_it_includes(bench: Bench) -> None:
    channel = Channel(key(TICKER), "e")
    outbox = bench.reader(positions=True)
    publish(channel, 101, 102)
    outbox.snapshot(channel.key, channel.snapshot(data_frame(TICKER, 102, "SNAPSHOT", [])))
    assert bench.offsets(outbox) == [2]
