from collections.abc import Callable

import pytest
from tests.stream.support import BOOK, ORDER, TICKER, key, read_frames

from tickwire.stream import outbox
from tickwire.stream.frames import DEFLATED, Frame
from tickwire.stream.outbox import Flusher, Outbox
from tickwire.stream.settings import StreamCounters


class Bench:
    """An outbox, its writes, and the callbacks of the turn to come."""

    def __init__(self, deflate: bool = False, held_bytes: int = 1_000) -> None:
        self.writes: list[bytes] = []
        self.turn: list[Callable[[], None]] = []
        self.calls: list[str] = []
        self.counters = StreamCounters()
        self.outbox = Outbox(
            self.writes.append,
            Flusher(self.turn.append),
            self.counters,
            deflate=deflate,
            held_bytes=held_bytes,
            catch_up=lambda: self.calls.append("catch up"),
            overflowed=lambda: self.calls.append("overflowed"),
        )

    def end_turn(self) -> None:
        turn = self.turn[:]
        self.turn.clear()
        for callback in turn:
            callback()

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload in read_frames(b"".join(self.writes))]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_turn_is_one_write(bench: Bench) -> None:
    bench.outbox.reply(b"reply")
    bench.outbox.publish(key(TICKER), Frame(b"one"))
    bench.outbox.publish(key(BOOK), Frame(b"two"))
    assert bench.writes == []
    assert len(bench.turn) == 1
    bench.end_turn()
    assert len(bench.writes) == 1
    assert bench.payloads == [b"reply", b"one", b"two"]
    assert (bench.counters.frames_out, bench.counters.bytes_out) == (3, len(bench.writes[0]))
    bench.end_turn()
    assert len(bench.writes) == 1


def test_the_flusher_serves_many_with_one_callback(bench: Bench) -> None:
    other = Bench()
    other.outbox._flusher = bench.outbox._flusher
    bench.outbox.reply(b"a")
    other.outbox.reply(b"b")
    assert len(bench.turn) == 1
    bench.end_turn()
    assert (bench.payloads, other.payloads) == ([b"a"], [b"b"])


def test_who_reads_its_account_is_written_to_first(bench: Bench) -> None:
    others = [Bench() for _ in range(3)]
    order: list[int] = []
    for number, other in enumerate(others):
        other.outbox._flusher = bench.outbox._flusher
        other.outbox._write = lambda _data, number=number: order.append(number)  # type: ignore[misc]
        other.outbox.urgent = number == 2
        other.outbox.reply(b"reply")
    bench.end_turn()
    assert order == [2, 0, 1]


def test_many_writes_leave_turns_to_others_and_pass_nobody_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_SLICE_SECONDS", 0.0)
    others = [Bench() for _ in range(4)]
    order: list[int] = []
    for number, other in enumerate(others):
        other.outbox._flusher = bench.outbox._flusher
        other.outbox._write = lambda _data, number=number: order.append(number)  # type: ignore[misc]
        other.outbox.reply(b"reply")
    bench.turn.pop(0)()
    assert order == [0]
    # What comes now waits for the others' first, and what is urgent does not.
    others[0].outbox.reply(b"next")
    bench.outbox.urgent = True
    bench.outbox.reply(b"urgent")
    assert len(bench.turn) == 1
    bench.end_turn()
    assert bench.payloads == [b"urgent"]
    assert order == [0]
    while bench.turn:
        bench.end_turn()
    assert order == [0, 1, 2, 3, 0]
    assert bench.outbox._flusher.seconds.count == 6


def test_a_socket_that_fails_does_not_hold_up_the_others(bench: Bench) -> None:
    def fail(data: bytes) -> None:
        raise RuntimeError("broken")

    others = [Bench(), Bench()]
    for other in others:
        other.outbox._flusher = bench.outbox._flusher
    others[0].outbox._write = fail
    for each in (bench, *others):
        each.outbox.reply(b"reply")
    with pytest.raises(RuntimeError, match="broken"):
        bench.end_turn()
    bench.end_turn()
    assert bench.payloads == others[1].payloads == [b"reply"]


def test_a_deflating_reader_gets_the_shared_deflated_frame() -> None:
    bench = Bench(deflate=True)
    frame = Frame(b"tick" * 100)
    bench.outbox.publish(key(TICKER), frame)
    bench.end_turn()
    assert bench.writes == [frame.form(DEFLATED)]


def test_a_large_turn_is_written_early(bench: Bench) -> None:
    bench.outbox.publish(key(TICKER), Frame(b"x" * 2_000))
    assert len(bench.writes) == 1
    bench.end_turn()
    assert len(bench.writes) == 1


def test_behind_states_are_set_aside_and_the_rest_is_held(bench: Bench) -> None:
    outbox = bench.outbox
    outbox.pause()
    for payload in (b"1", b"2"):
        outbox.publish(key(TICKER), Frame(payload))
        outbox.publish(key(ORDER), Frame(b"order " + payload))
    outbox.reply(b"reply")
    bench.end_turn()
    assert bench.writes == []
    assert list(outbox.aside) == [key(TICKER)]
    assert bench.counters.conflated == 1
    outbox.resume()
    bench.end_turn()
    assert bench.payloads == [b"order 1", b"order 2", b"reply"]
    assert bench.calls == ["catch up"]
    # Until its snapshot is there nothing of the topic goes out.
    outbox.publish(key(TICKER), Frame(b"3"))
    outbox.publish(key(BOOK), Frame(b"book"))
    outbox.snapshot(key(TICKER), Frame(b"snapshot"))
    outbox.publish(key(TICKER), Frame(b"4"))
    bench.end_turn()
    assert bench.payloads[3:] == [b"book", b"snapshot", b"4"]
    assert not outbox.aside


def test_a_snapshot_for_a_reader_that_is_behind_is_set_aside(bench: Bench) -> None:
    bench.outbox.pause()
    bench.outbox.snapshot(key(TICKER), Frame(b"old"))
    bench.outbox.snapshot(key(ORDER), Frame(b"orders"))
    bench.outbox.resume()
    bench.end_turn()
    assert bench.payloads == [b"orders"]
    assert list(bench.outbox.aside) == [key(TICKER)]


def test_a_snapshot_that_comes_too_late_leaves_the_topic_aside(bench: Bench) -> None:
    bench.outbox.pause()
    bench.outbox.publish(key(TICKER), Frame(b"1"))
    bench.outbox.snapshot(key(TICKER), Frame(b"old"))
    bench.outbox.resume()
    bench.end_turn()
    assert bench.writes == []
    assert list(bench.outbox.aside) == [key(TICKER)]
    assert bench.counters.conflated == 1


def test_a_stopped_outbox_is_silent(bench: Bench) -> None:
    bench.outbox.pause()
    bench.outbox.publish(key(TICKER), Frame(b"1"))
    bench.outbox.reply(b"reply")
    bench.outbox.stop()
    bench.outbox.resume()
    bench.end_turn()
    assert (bench.writes, bench.calls) == ([], [])


def test_what_is_forgotten_is_not_fetched(bench: Bench) -> None:
    bench.outbox.pause()
    bench.outbox.publish(key(TICKER), Frame(b"1"))
    bench.outbox.forget(key(TICKER))
    bench.outbox.resume()
    bench.end_turn()
    assert bench.calls == []


def test_no_second_catch_up_while_one_is_under_way(bench: Bench) -> None:
    bench.outbox.pause()
    bench.outbox.publish(key(TICKER), Frame(b"1"))
    bench.outbox.catching_up = True
    bench.outbox.resume()
    bench.end_turn()
    assert bench.calls == []


def test_too_much_held_overflows_once_the_turn_is_over(bench: Bench) -> None:
    bench.outbox.pause()
    for _ in range(200):
        bench.outbox.publish(key(ORDER), Frame(b"12345678"))
    bench.outbox.reply(b"reply")
    assert bench.calls == []
    bench.end_turn()
    assert bench.calls == ["overflowed"]
    bench.outbox.resume()
    bench.outbox.publish(key(ORDER), Frame(b"late"))
    bench.end_turn()
    assert bench.writes == []


def test_holding_up_to_the_bound_is_fine(bench: Bench) -> None:
    bench.outbox.pause()
    for _ in range(100):
        bench.outbox.publish(key(ORDER), Frame(b"12345678"))  # 10 bytes a frame
    bench.end_turn()
    assert bench.calls == []
    bench.outbox.resume()
    bench.end_turn()
    assert len(bench.payloads) == 100


def test_draining_writes_what_is_held_even_when_behind(bench: Bench) -> None:
    bench.outbox.pause()
    bench.outbox.publish(key(ORDER), Frame(b"order"))
    bench.outbox.drain()
    bench.outbox.stop()
    bench.outbox.publish(key(ORDER), Frame(b"late"))
    bench.outbox.reply(b"late")
    bench.end_turn()
    assert bench.payloads == [b"order"]


def test_control_frames_go_ahead_and_are_counted(bench: Bench) -> None:
    bench.outbox.reply(b"reply")
    bench.outbox.control(b"\x89\x00")
    bench.end_turn()
    assert read_frames(b"".join(bench.writes)) == [(9, b""), (1, b"reply")]
    assert bench.outbox.written == bench.counters.bytes_out == 9
