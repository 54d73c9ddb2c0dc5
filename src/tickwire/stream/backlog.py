"""What waits for slow readers, of all sockets together, and who is closed when it is too much.

Each reader's share is bounded by its outbox and its transport; ten thousand of those are still more than a machine
has. They are looked at from time to time, and only those that are behind.
"""

from collections.abc import Callable
from typing import Protocol

__all__ = ["Backlog", "Waiting"]

# Between two looks. What may be added meanwhile is bounded for each reader: a reader that is behind is given no more
# market data.
_SECONDS = 0.5


class Waiting(Protocol):
    """A socket whose reader is behind."""

    @property
    def backlog(self) -> int:
        """Bytes that wait for it, in outbox and transport."""

    def close(self, name: str) -> None:
        """End it; ``name`` is one of ``CLOSES``."""


class Backlog:
    """The readers that are behind. ``limit`` is in bytes."""

    def __init__(self, limit: int, call_later: Callable[[float, Callable[[], object]], object]) -> None:
        self._limit = limit
        self._call_later = call_later
        self._waiting: dict[Waiting, None] = {}
        self._armed = False

    def add(self, socket: Waiting) -> None:
        """A reader has fallen behind."""
        self._waiting[socket] = None
        if not self._armed:
            self._armed = True
            self._call_later(_SECONDS, self._look)

    def remove(self, socket: Waiting) -> None:
        """It has caught up, or is gone."""
        self._waiting.pop(socket, None)

    @property
    def readers(self) -> int:
        """How many are behind."""
        return len(self._waiting)

    @property
    def bytes(self) -> int:
        """What waits for all of them."""
        return sum(socket.backlog for socket in self._waiting)

    def _look(self) -> None:
        self._armed = bool(self._waiting)
        if not self._armed:
            return
        sizes = {socket: socket.backlog for socket in self._waiting}
        total = sum(sizes.values())
        if total > self._limit:
            # Those who hold most, so that few have to go.
            for socket in sorted(sizes, key=lambda each: -sizes[each]):
                if total <= self._limit:
                    break
                total -= sizes[socket]
                socket.close("overloaded")
        self._call_later(_SECONDS, self._look)
