"""One reader's end of a topic: an asynchronous iterator, or a callback."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable
from types import TracebackType
from typing import Any, Generic, TypeVar

from tickwire.client.events import Event, RawFrame
from tickwire.client.mailboxes import BufferPolicy, Source, make_mailbox

__all__ = ["Callback", "Stream"]

T = TypeVar("T")

_logger = logging.getLogger("tickwire.client")


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
        self._box = make_mailbox(policy, source, view, view_late=view_late, raw=raw, events=events)
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

    def __anext__(self) -> Coroutine[Any, Any, T]:
        """The next row. Raises ``ClientError`` when the stream has ended for another reason than ``close``."""
        if self._loop is None:
            self._start()
        return self._box.take()

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
