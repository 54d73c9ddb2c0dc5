"""One reader's end of a topic: an asynchronous iterator, or a callback."""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, cast

from tickwire.client.buffers import Buffer, BufferPolicy, make_buffer
from tickwire.client.errors import ClientError
from tickwire.client.events import Event, Gap, RawFrame

__all__ = ["Callback", "Mailbox", "Reader", "Source", "Stream", "StreamOverflow"]

T = TypeVar("T")

_logger = logging.getLogger("tickwire.client")


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
    """What a feed knows of a stream. Apart from the stream, so that a stream that nobody holds any more can be told:
    ``break`` out of ``async for`` says nothing to the iterator.

    ``view`` makes what the reader gets of a row. With ``view_late`` it is made when the reader takes the row, and not
    when it comes: a ``Latest`` reader of a book wants one picture when it looks, not one for each change.
    """

    def __init__(
        self,
        source: Source,
        policy: BufferPolicy,
        view: Callable[[Any], Any] | None,
        *,
        view_late: bool,
        raw: bool,
        events: bool,
    ) -> None:
        self.raw = raw
        self.source = source
        self.buffer: Buffer = make_buffer(policy)
        self.view = view
        self.view_late = view_late
        self.events = events
        self.error: Exception | None = None
        self.more: asyncio.Future[None] | None = None  # of the reader that waits
        self.closed = False

    def put(self, key: Hashable, item: Any) -> None:
        """Take a row."""
        if self.view is not None and not self.view_late:
            item = self.view(item)
        buffer = self.buffer
        buffer.put(key, item)
        if buffer.full:
            self.source.blocked(self)
        elif buffer.overflown:
            self.fail(StreamOverflow(f"{self.source.name}: the reader is too slow; its queue was full"))
            return
        more = self.more
        if more is not None and not more.done():
            more.set_result(None)

    def put_event(self, event: Event) -> None:
        """Take an event, where the reader wants events."""
        if self.events:
            self.buffer.put_event(event)
            self.wake()

    def forget(self) -> None:
        """Drop what waits to be looked at; pictures that were taken before are true of their moment."""
        if self.view_late:
            self.buffer.clear_rows()

    def fail(self, error: Exception | None) -> None:
        """End with an error, behind what waits."""
        if self.error is None:
            self.error = error
            self.close()

    def close(self) -> None:
        """Get nothing more."""
        if not self.closed:
            self.closed = True
            self.source.unblocked(self)
            self.source.detach(self)
            self.wake()

    def wake(self) -> None:
        """The reader is to look again."""
        if self.more is not None and not self.more.done():
            self.more.set_result(None)

    async def take(self) -> Any:
        """The next item for the reader. Raises why there is none any more."""
        buffer = self.buffer
        while not buffer:
            if self.error is not None:
                raise self.error
            if self.closed:
                raise StopAsyncIteration
            self.more = asyncio.get_running_loop().create_future()
            await self.more
        if buffer.dropped and self.events:
            count, buffer.dropped = buffer.dropped, 0
            return Gap(time.time_ns(), self.source.name, f"{count} rows were dropped: the reader is too slow")
        item = buffer.take()
        if not buffer.full:
            self.source.unblocked(self)
        if self.view_late and self.view is not None and not isinstance(item, Event):
            item = self.view(item)
        return item


class Stream(Generic[T]):
    """Rows of a topic as they come: ``async for row in client.ticker("BTCUSDT.PERP")``.

    It begins with the first iteration, or with ``async with``, which also waits until the first state is here. It ends
    when it is left by ``break``, closed, or the client is. A stream has one reader; make another for another.
    """

    def __init__(
        self,
        source: Source,
        policy: BufferPolicy,
        view: Callable[[Any], Any] | None = None,
        *,
        view_late: bool = False,
        raw: bool = False,
        events: bool = False,
    ) -> None:
        self._source = source
        self._policy = policy
        self._box = Mailbox(source, policy, view, view_late=view_late, raw=raw, events=events)
        self._loop: asyncio.AbstractEventLoop | None = None  # once it has begun

    # Variants, to be chosen before the first iteration.

    def with_events(self) -> "Stream[T | Event]":
        """The same with events in-band, such as ``Gap``, ``Reconnecting`` and ``Resynchronised``."""
        box = self._box
        return Stream(self._source, self._policy, box.view, view_late=box.view_late, raw=box.raw, events=True)

    def frames(self) -> "Stream[RawFrame]":
        """The topic's frames as they came, instead of rows. All of them, so choose a ``Queue``."""
        return Stream(self._source, self._policy, raw=True, events=self._box.events)

    def each(self, callback: Callable[[T], None]) -> "Callback":
        """Call a function with each row, at once and in order, within the client's own task.

        What it raises is logged and counted, and the next row comes all the same. ``close`` ends it.
        """
        return Callback(self._source, callback, self._box.view)

    # Iteration.

    def __aiter__(self) -> "Stream[T]":
        self._start()
        return self

    async def __anext__(self) -> T:
        """The next row. Raises ``ClientError`` when the stream has ended for another reason than ``close``."""
        if self._loop is None:
            self._start()
        return cast(T, await self._box.take())

    async def __aenter__(self) -> "Stream[T]":
        """Begin, and wait until the first state is here: nothing that happens from now on is missed."""
        self._start()
        await self._source.ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; what waits can still be read. Its topic is unsubscribed, unless another stream reads it."""
        self._box.close()

    def __del__(self) -> None:
        if self._loop is not None and not self._box.closed and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._box.close)

    def _start(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._source.attach(self._box)


class Callback:
    """A function that is called with each row."""

    raw = False

    def __init__(self, source: Source, callback: Callable[[Any], None], view: Callable[[Any], Any] | None) -> None:
        self.failures = 0
        self.error: Exception | None = None
        """Why there will be no more rows."""
        self._source = source
        self._callback = callback
        self._view = view
        source.attach(self)

    def put(self, key: Hashable, item: Any) -> None:  # noqa: ARG002
        """Call it."""
        try:
            self._callback(item if self._view is None else self._view(item))
        except Exception:
            self.failures += 1
            _logger.exception("a callback of %s has failed", self._source.name)

    def put_event(self, event: Event) -> None:
        """Events are not passed on: see ``Client.events``."""

    def forget(self) -> None:
        """Nothing waits here."""

    def fail(self, error: Exception | None) -> None:
        """Keep the reason, and say it once."""
        if error is not None:
            self.error = error
            _logger.error("%s: %s", self._source.name, error)

    def close(self) -> None:
        """Call it no more."""
        self._source.detach(self)
