import contextlib
import time
from collections.abc import Callable

from tickwire.stream.turns import Turns


class Socket:
    """Needs some seconds for each byte that it is given."""

    def __init__(self, seconds: float = 0.0, fails: bool = False) -> None:
        self.seconds = seconds
        self.fails = fails
        self.got = b""
        self.paused = 0

    def process(self, data: bytes) -> None:
        self.got += data
        until = time.perf_counter() + self.seconds * len(data)
        while time.perf_counter() < until:
            pass
        if self.fails:
            raise ValueError("as it happens")

    def pause_reading(self) -> None:
        self.paused += 1

    def resume_reading(self) -> None:
        self.paused -= 1


class Loop:
    def __init__(self) -> None:
        self.soon: list[Callable[[], object]] = []
        self.turns = Turns(self.soon.append)

    def turn(self) -> None:
        due, self.soon[:] = self.soon[:], []
        for callback in due:
            with contextlib.suppress(ValueError):
                callback()


def test_what_comes_is_processed_at_once() -> None:
    loop, sockets = Loop(), [Socket(), Socket()]
    for socket in sockets:
        loop.turns.read(socket, b"a")
        loop.turns.read(socket, b"b")
    assert [(socket.got, socket.paused) for socket in sockets] == [(b"ab", 0)] * 2
    assert len(loop.soon) == 1, "one callback a turn"
    loop.turn()
    assert loop.soon == []


def test_beyond_a_turns_share_the_rest_waits_in_its_order() -> None:
    loop, greedy, other = Loop(), Socket(0.003), Socket(0.003)
    loop.turns.read(greedy, b"a")
    loop.turns.read(other, b"b")
    loop.turns.read(greedy, b"c")
    assert (greedy.got, greedy.paused, other.got, other.paused) == (b"a", 1, b"", 1)
    loop.turn()
    assert (greedy.got, greedy.paused, other.got, other.paused) == (b"a", 1, b"b", 0)
    # What comes now is behind what waits.
    loop.turns.read(other, b"d")
    loop.turn()
    assert (greedy.got, greedy.paused, other.got, other.paused) == (b"ac", 0, b"b", 1)
    loop.turn()
    assert (other.got, other.paused) == (b"bd", 0)
    loop.turn()
    assert loop.soon == []


def test_a_share_serves_as_many_as_it_can() -> None:
    loop, greedy, quick = Loop(), Socket(0.003), [Socket() for _ in range(100)]
    loop.turns.read(greedy, b"a")
    for socket in quick:
        loop.turns.read(socket, b"b")
    loop.turn()
    assert all(socket.got == b"b" for socket in quick)


def test_the_exception_of_one_does_not_hold_up_the_others() -> None:
    loop, greedy, broken, other = Loop(), Socket(0.003), Socket(fails=True), Socket()
    for socket in (greedy, broken, other):
        loop.turns.read(socket, b"a")
    loop.turn()
    loop.turn()
    assert (broken.got, other.got, other.paused) == (b"a", b"a", 0)
