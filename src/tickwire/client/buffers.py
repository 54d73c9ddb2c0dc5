"""What waits for a reader, and what happens when the reader is slow. Never without a bound.

``Latest`` is for states: of each key (a symbol, an asset, an order) only the newest row waits. ``Queue`` is for readers
that want every row: at its bound it blocks the whole client, drops the oldest, or ends the stream.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Any, Literal, Protocol

import msgspec

__all__ = ["Buffer", "BufferPolicy", "Latest", "LatestBuffer", "Queue", "QueueBuffer", "make_buffer"]


class Latest(msgspec.Struct, frozen=True):
    """Of each key the newest row. ``limit`` keys at most wait: beyond it the oldest are dropped, with a ``Gap``."""

    limit: int = 10_000


class Queue(msgspec.Struct, frozen=True):
    """Every row, up to ``size`` of them (and those of one frame more).

    When it is full: ``block`` stops the client, and so the socket, until there is room; all its streams wait.
    ``drop_oldest`` makes room, and says so with a ``Gap``. ``close`` ends the stream with ``StreamOverflow``.
    """

    size: int
    when_full: Literal["block", "drop_oldest", "close"] = "block"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size: expected at least 1, got {self.size}")


BufferPolicy = Latest | Queue


class Buffer(Protocol):
    """What the two have in common; items are rows and events."""

    dropped: int
    """Items dropped since this was last set to 0."""

    def put(self, key: Hashable, item: Any) -> None:
        """Add an item."""

    def put_event(self, event: Any) -> None:
        """Add an event; no other takes its place."""

    def take(self) -> Any:
        """The oldest item. Raises ``IndexError`` when there is none."""

    def clear_rows(self) -> None:
        """Drop all rows and keep the events."""

    def __len__(self) -> int: ...

    @property
    def full(self) -> bool:
        """Whether the client has to wait."""

    @property
    def overflown(self) -> bool:
        """Whether the stream has to end."""


class _Event:
    """Key of an event: equal to no other key."""

    __slots__ = ()


class LatestBuffer:
    """An ordered dict: a row takes the place of an older one with its key."""

    full = False
    overflown = False

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._items: OrderedDict[Hashable, Any] = OrderedDict()
        self._limit = limit

    def put(self, key: Hashable, item: Any) -> None:
        """Add a row, or replace the one of the same key where it stands."""
        self._items[key] = item
        if len(self._items) > self._limit:
            self._items.popitem(last=False)
            self.dropped += 1

    def put_event(self, event: Any) -> None:
        """Add an event behind all that waits."""
        self.put(_Event(), event)

    def take(self) -> Any:
        """The item that has waited longest."""
        try:
            return self._items.popitem(last=False)[1]
        except KeyError:
            raise IndexError("nothing waits") from None

    def clear_rows(self) -> None:
        """Drop all rows and keep the events."""
        self._items = OrderedDict((key, item) for key, item in self._items.items() if type(key) is _Event)

    def __len__(self) -> int:
        return len(self._items)


class QueueBuffer:
    """A deque with a bound."""

    def __init__(self, policy: Queue) -> None:
        self.dropped = 0
        self.overflown = False
        self._items: deque[tuple[bool, Any]] = deque()
        self._size = policy.size
        self._blocks = policy.when_full == "block"
        self._drops = policy.when_full == "drop_oldest"

    def put(self, key: Hashable, item: Any, event: bool = False) -> None:  # noqa: ARG002
        """Add a row; keys mean nothing here."""
        items = self._items
        if len(items) >= self._size:
            if self._drops:
                items.popleft()
                self.dropped += 1
            elif not self._blocks:
                self.overflown = True
                return
        items.append((event, item))

    def put_event(self, event: Any) -> None:
        """Add an event."""
        self.put(None, event, event=True)

    def take(self) -> Any:
        """The oldest item."""
        return self._items.popleft()[1]

    def clear_rows(self) -> None:
        """Drop all rows and keep the events."""
        self._items = deque(entry for entry in self._items if entry[0])

    def __len__(self) -> int:
        return len(self._items)

    @property
    def full(self) -> bool:
        """Whether the client has to wait."""
        return self._blocks and len(self._items) >= self._size


def make_buffer(policy: BufferPolicy) -> Buffer:
    """The buffer of a policy."""
    return LatestBuffer(policy.limit) if isinstance(policy, Latest) else QueueBuffer(policy)
