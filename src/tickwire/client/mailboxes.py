"""What waits for a reader, and what happens when the reader is slow. Never without a bound.

``Latest`` is for states: of each key (a symbol, an asset, an order) only the newest row waits. ``Queue`` is for readers
that want every row: at its bound it blocks the whole client, drops the oldest, or ends the stream.

A mailbox is what a feed knows of a stream. It knows nothing of the stream: so a stream that nobody holds any more can
be told, as ``break`` out of ``async for`` says nothing to the iterator.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any, Literal, Protocol

import msgspec

from tickwire.client.errors import ClientError
from tickwire.client.events import Event, Gap

__all__ = [
    "BufferPolicy",
    "Latest",
    "LatestMailbox",
    "Mailbox",
    "Queue",
    "QueueMailbox",
    "Reader",
    "Source",
    "StreamOverflow",
    "make_mailbox",
]


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


class StreamOverflow(ClientError):
    """The reader of a ``Queue(..., "close")`` was too slow."""


class Reader(Protocol):
    """What a feed gives its rows to."""

    raw: bool
    """Whether it wants frames as they come, instead of rows."""

    def put(self, key: Hashable, item: Any) -> None:
        """Take a row, or a frame."""

    def put_event(self, event: Event) -> None:
        """Take an event."""

    def forget(self) -> None:
        """The state behind the rows given so far is no longer true."""

    def fail(self, error: Exception | None) -> None:
        """There will be nothing more: because of an error, or because the client is closed."""


class Source(Protocol):
    """What a stream reads from; made of one or more feeds of the client."""

    name: str

    def attach(self, reader: Reader) -> None:
        """Begin to give it rows."""

    def detach(self, reader: Reader) -> None:
        """Give it nothing more."""

    async def ready(self) -> None:
        """Wait until the state is whole."""

    def blocked(self, reader: Reader) -> None:
        """The reader's queue is full: nothing more is read from the socket for now."""

    def unblocked(self, reader: Reader) -> None:
        """It has room again."""


class Mailbox:
    """What the two kinds have in common. ``raw`` and ``events`` say what the reader wants.

    ``view`` makes what the reader gets of a row. With ``view_late`` it is made when the reader takes the row, and not
    when it comes: a ``Latest`` reader of a book wants one picture when it looks, not one for each change.
    """

    def __init__(
        self,
        source: Source,
        view: Callable[[Any], Any] | None = None,
        *,
        view_late: bool = False,
        raw: bool = False,
        events: bool = False,
    ) -> None:
        self.raw = raw
        self.events = events
        self.view = view
        self.view_late = view_late
        self.closed = False
        self._source = source
        self._view_early = None if view_late else view
        self._error: Exception | None = None
        self._more: asyncio.Future[None] | None = None  # of the reader that waits
        self._dropped = 0  # rows of which the reader has not been told

    def put(self, key: Hashable, item: Any) -> None:
        """Take a row."""
        raise NotImplementedError

    def _put_event(self, event: Event) -> None:
        raise NotImplementedError

    def _pop(self) -> Any:
        """The oldest item."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def put_event(self, event: Event) -> None:
        """Take an event, where the reader wants events."""
        if self.events:
            self._put_event(event)
            self._wake()

    def forget(self) -> None:
        """Rows that were given are true of their moment."""

    def fail(self, error: Exception | None) -> None:
        """End with an error, behind what waits."""
        if self._error is None:
            self._error = error
            self.close()

    def close(self) -> None:
        """Get nothing more."""
        if not self.closed:
            self.closed = True
            self._source.unblocked(self)
            self._source.detach(self)
            self._wake()

    def _wake(self) -> None:
        """The reader is to look again."""
        more, self._more = self._more, None
        if more is not None and not more.done():
            more.set_result(None)

    async def _wait(self) -> None:
        """Until something is there. Raises why nothing will be."""
        while not len(self):
            if self._error is not None:
                raise self._error
            if self.closed:
                raise StopAsyncIteration
            self._more = asyncio.get_running_loop().create_future()
            await self._more

    def _gap(self) -> Gap:
        count, self._dropped = self._dropped, 0
        return Gap(time.time_ns(), self._source.name, f"{count} rows were dropped: the reader is too slow")

    async def take(self) -> Any:
        """The next item for the reader. Raises why there is none any more."""
        if not len(self):
            await self._wait()
        return self._gap() if self._dropped and self.events else self._pop()


class LatestMailbox(Mailbox):
    """An ordered dict: a row takes the place of an older one with its key."""

    def __init__(self, policy: Latest, source: Source, view: Callable[[Any], Any] | None = None, **more: bool) -> None:
        super().__init__(source, view, **more)
        self._items: OrderedDict[Hashable, Any] = OrderedDict()
        self._limit = policy.limit
        self._events_put = 0

    def put(self, key: Hashable, item: Any) -> None:
        """Add a row, or replace the one of the same key where it stands."""
        if self._view_early is not None:
            item = self._view_early(item)
        items = self._items
        if items.get(key) is not item:  # a book is one object, however often it changes
            items[key] = item
            if len(items) > self._limit:
                items.popitem(last=False)
                self._dropped += 1
        if self._more is not None:
            self._wake()

    def _put_event(self, event: Event) -> None:
        self._events_put += 1
        key = (self, self._events_put)  # equal to no other key
        self._items[key] = event
        if len(self._items) > self._limit:
            self._items.popitem(last=False)
            self._dropped += 1

    def _pop(self) -> Any:
        item = self._items.popitem(last=False)[1]
        if self.view_late and self.view is not None and not isinstance(item, Event):
            item = self.view(item)
        return item

    def forget(self) -> None:
        """Drop what waits to be looked at: it is no longer what it was."""
        if self.view_late:
            events = [(key, item) for key, item in self._items.items() if isinstance(item, Event)]
            self._items = OrderedDict(events)

    def __len__(self) -> int:
        return len(self._items)


class QueueMailbox(Mailbox):
    """A deque with a bound."""

    def __init__(self, policy: Queue, source: Source, view: Callable[[Any], Any] | None = None, **more: bool) -> None:
        super().__init__(source, view, **more)
        self._items: deque[Any] = deque()
        self._size = policy.size
        self._when_full = policy.when_full
        self._blocking = False  # whether the client waits for room here

    def put(self, key: Hashable, item: Any) -> None:  # noqa: ARG002
        """Add a row; keys mean nothing here."""
        if self._view_early is not None:
            item = self._view_early(item)
        items = self._items
        items.append(item)
        if len(items) >= self._size:
            self._at_the_bound()
        if self._more is not None:
            self._wake()

    def _put_event(self, event: Event) -> None:
        self._items.append(event)
        if len(self._items) >= self._size:
            self._at_the_bound()

    def _at_the_bound(self) -> None:
        if self._when_full == "block":
            self._blocking = True
            self._source.blocked(self)
        elif len(self._items) > self._size:
            if self._when_full == "drop_oldest":
                self._items.popleft()
                self._dropped += 1
            else:
                self._items.pop()
                self.fail(StreamOverflow(f"{self._source.name}: the reader is too slow; its queue was full"))

    async def take(self) -> Any:
        """The next item for the reader. Raises why there is none any more."""
        items = self._items
        if not items:
            await self._wait()
        if self._dropped and self.events:
            return self._gap()
        item = items.popleft()
        if self._blocking and len(items) < self._size:
            self._blocking = False
            self._source.unblocked(self)
        return item

    def __len__(self) -> int:
        return len(self._items)


def make_mailbox(
    policy: BufferPolicy, source: Source, view: Callable[[Any], Any] | None = None, **more: bool
) -> Mailbox:
    """The mailbox of a policy; ``more`` as for ``Mailbox``."""
    if isinstance(policy, Latest):
        return LatestMailbox(policy, source, view, **more)
    return QueueMailbox(policy, source, view, **more)
