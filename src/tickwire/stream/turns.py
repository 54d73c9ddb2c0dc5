"""How much of each loop turn goes into reading from clients.

The loop reads from every socket that has something before it does anything else. Thousands of clients that flood the
server would each be cut off within a millisecond or two, and all together hold up the readers for seconds. Here what
they have sent is taken until a turn's share of time is used up; the rest waits for the next turns, in its order, and
its sockets are not read from meanwhile.
"""

from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

__all__ = ["Readable", "Turns"]

# Of each turn; what it has to write takes longer than that on a busy server.
_SHARE_SECONDS = 0.002


class Readable(Protocol):
    """A socket with something to read."""

    def process(self, data: bytes) -> None:
        """Carry out what has come, unless the socket is closed."""

    def pause_reading(self) -> None:
        """Leave what comes in the kernel."""

    def resume_reading(self) -> None:
        """Read again."""


class Turns:
    """The reading of all sockets of one loop."""

    def __init__(self, call_soon: Callable[[Callable[[], object]], object]) -> None:
        self._call_soon = call_soon
        self._left = _SHARE_SECONDS  # of this turn
        self._armed = False
        self._waiting: deque[tuple[Readable, bytes]] = deque()

    def read(self, socket: Readable, data: bytes) -> None:
        """Let ``socket`` process what has come: at once, or when it is its turn."""
        if not self._armed:
            self._armed = True
            self._call_soon(self._turn)
        if self._waiting or self._left <= 0:
            socket.pause_reading()
            self._waiting.append((socket, data))
        else:
            self._process(socket, data)

    def _process(self, socket: Readable, data: bytes) -> None:
        begun = perf_counter()
        try:
            socket.process(data)
        finally:
            self._left -= perf_counter() - begun

    def _turn(self) -> None:
        self._left = _SHARE_SECONDS
        self._armed = bool(self._waiting)
        if self._armed:
            self._call_soon(self._turn)  # first: an exception of one socket is not to hold up the others
        while self._waiting and self._left > 0:
            socket, data = self._waiting.popleft()
            socket.resume_reading()
            self._process(socket, data)
