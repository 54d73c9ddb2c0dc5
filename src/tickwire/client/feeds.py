"""One topic of the stream as the client knows it: its frames become state, its state goes to the readers.

A feed is *synced* while its state follows, frame by frame, from a SNAPSHOT of the stream or of REST. It loses that with
the connection, and by itself when a frame cannot be read, goes back in time or does not fit the state: then readers
are told (``Gap``) and get nothing of it until it is made anew (``Resynchronised``).

Where a server sends no SNAPSHOT (none is documented), the state is fetched by REST, after subscribing: rows that the
stream brought meanwhile are put on top of it, so nothing is missed. For that the state must be made of whole rows;
a book is not, and waits for its SNAPSHOT.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, Literal, Protocol, TypeVar

from tickwire.client.errors import ClientError
from tickwire.client.events import BadFrame, Event, Gap, RawFrame, Resynchronised
from tickwire.client.frames import FrameError, decoder
from tickwire.client.mailboxes import Reader
from tickwire.client.states import Inconsistent, Items, TopicState
from tickwire.wire.decimals import DecimalError

__all__ = ["Feed", "Hub", "SubscriptionRefused"]

R = TypeVar("R")
T = TypeVar("T")

# After so many seconds without a SNAPSHOT it is fetched by REST. Ours comes within milliseconds.
SNAPSHOT_PATIENCE = 1.0
# Rows of the stream that are kept until REST has answered.
_MAX_EARLY = 10_000
# A topic that gets lost again soon is asked for after a pause, which doubles up to a bound.
_CALM_SECONDS = 10.0
_LONGEST_PAUSE = 5.0


class SubscriptionRefused(ClientError):
    """The server does not serve the topic; ``code`` is its reason."""

    def __init__(self, topic: str, code: str, message: str) -> None:
        self.topic = topic
        self.code = code
        super().__init__(f"{topic}: {code}: {message}")


class Hub(Protocol):
    """What a feed needs of the client."""

    connected: bool

    def ask(self, operation: Literal["subscribe", "unsubscribe"], topic: str) -> None:
        """Send an operation."""

    def emit(self, event: Event) -> None:
        """Tell those who listen to all events."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run it as long as the client does."""

    def dropped(self, feed: "Feed[Any, Any]") -> None:
        """The feed has no reader any more."""

    def blocked(self, reader: Reader) -> None:
        """Stop reading the socket."""

    def unblocked(self, reader: Reader) -> None:
        """Go on."""

    def now(self) -> int:
        """The machine's time, ns."""


class Feed(Generic[R, T]):
    """One topic. ``fetch`` gets the state's rows by REST, where that can stand in for a SNAPSHOT."""

    def __init__(
        self,
        hub: Hub,
        name: str,
        state: TopicState[R, T],
        fetch: Callable[[], Awaitable[list[R]]] | None = None,
    ) -> None:
        self.name = name
        self.state = state
        self.synced = False
        self.readers: list[Reader] = []
        self.hub = hub
        self._frame_readers: list[Reader] = []
        self._fetch = fetch
        self._decode = decoder(state.row)
        self._exact = self._decode.exact
        self._update = state.update
        self._ts = ""  # of the newest frame
        self._early: list[R] = []  # rows before the state
        self._doubt = ""  # why what came since the topic was asked for is of no use
        self._told = False  # whether readers know of the gap
        self._whole: asyncio.Future[None] | None = None  # of those who wait for the first state
        self._error: Exception | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._lost_at = 0.0  # seconds of the loop's clock
        self._pause = 0.0

    # Readers.

    def attach(self, reader: Reader) -> None:
        """Begin to give a reader rows: the state as it is known first."""
        first = not self.readers and not self._frame_readers
        (self._frame_readers if reader.raw else self.readers).append(reader)
        if self._error is not None:
            reader.fail(self._error)
        elif first:
            self.begin()
        elif self.synced and not reader.raw:
            for key, item in self.state.current():
                reader.put(key, item)

    def detach(self, reader: Reader) -> None:
        """Give it nothing more. The topic is unsubscribed with its last reader."""
        for readers in (self.readers, self._frame_readers):
            if reader in readers:
                readers.remove(reader)
        if not self.readers and not self._frame_readers:
            self.interrupted()
            self.end()
            self.hub.dropped(self)

    async def ready(self) -> None:
        """Wait until the state is whole. Raises why it never will be."""
        if self._error is not None:
            raise self._error
        if not self.synced:
            if self._whole is None:
                self._whole = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._whole)

    def blocked(self, reader: Reader) -> None:
        """A reader's queue is full."""
        self.hub.blocked(reader)

    def unblocked(self, reader: Reader) -> None:
        """It has room again."""
        self.hub.unblocked(reader)

    # The life of the subscription.

    def begin(self) -> None:
        """Ask for the topic."""
        self.hub.ask("subscribe", self.name)
        if self.hub.connected:
            self.connected()

    def end(self) -> None:
        """Ask for it no more."""
        self.hub.ask("unsubscribe", self.name)

    def connected(self) -> None:
        """The topic has just been asked for on a fresh connection."""
        if not self.state.stands_alone:
            self._later(SNAPSHOT_PATIENCE, self._check_snapshot if self._fetch is None else self._fetch_state)

    def interrupted(self) -> None:
        """The connection is lost."""
        self.synced = False
        self._ts = ""
        self._early.clear()
        self._doubt = ""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._fetching is not None:
            self._fetching.cancel()
            self._fetching = None

    def refused(self, code: str, message: str) -> None:
        """The server does not serve the topic."""
        self.fail(SubscriptionRefused(self.name, code, message))

    def fail(self, error: Exception | None) -> None:
        """There will be no more rows, because of an error or because the client is closed."""
        self._error = error or ClientError(f"{self.name}: the client is closed")
        if self._whole is not None and not self._whole.done():
            self._whole.set_exception(self._error)
            self._whole.exception()  # whoever waits gets it; nobody may
        for reader in [*self.readers, *self._frame_readers]:
            reader.fail(error)

    def event(self, event: Event) -> None:
        """Pass on an event of the connection."""
        for reader in [*self.readers, *self._frame_readers]:
            reader.put_event(event)

    # Frames.

    def receive(self, received: int, data: bytes) -> None:
        """Read one frame of the topic; ``received`` in ns since the epoch."""
        if self._frame_readers:
            frame_read = RawFrame(received, data)
            for reader in self._frame_readers:
                reader.put(received, frame_read)
        if not self.readers:
            return
        try:
            frame = self._exact(data)
        except (ValueError, RecursionError):  # msgspec's errors are the former
            try:
                frame = self._decode(data)
            except FrameError as error:
                self._tell(BadFrame(received, str(error), data))
                self.lose(received, "a frame could not be read")
                return
        ts = frame.ts
        if ts < self._ts:
            self.lose(received, f"expected a ts of {self._ts} or later, got {ts}")
            return
        self._ts = ts
        try:
            for change in frame.data:
                action: str = change.action_type
                if action == "UPDATE":
                    if not self.synced and not self._takes_early(received, change.rows):
                        continue
                    items = self._update(change.rows, ts)
                elif action == "SNAPSHOT":
                    items = self._take_snapshot(received, change.rows, ts)
                else:
                    self._tell(BadFrame(received, f"expected SNAPSHOT or UPDATE, got {action[:40]!r}", data))
                    continue
                for reader in self.readers:
                    for key, item in items:
                        reader.put(key, item)
        except (Inconsistent, DecimalError) as error:
            self.lose(received, str(error))

    def _takes_early(self, received: int, rows: list[R]) -> bool:
        """Whether rows that come before any state can be shown at once; otherwise they are kept for it."""
        if self.state.stands_alone:
            self.sync(received, "stream")
            return True
        if self._fetch is None:
            # Changes of a subscription that has just been given up may still be on their way.
            self._doubt = "changes came, and no SNAPSHOT to apply them to"
            if self._timer is None:
                self._check_snapshot()
            return False
        self._early.extend(rows)
        if len(self._early) > _MAX_EARLY:
            self._early.clear()
            self.lose(received, f"more than {_MAX_EARLY} rows came before the state could be fetched")
        elif self._timer is None and self._fetching is None:
            self._fetch_state()
        return False

    def _take_snapshot(self, received: int, whole: list[R], ts: str) -> Items[T]:
        items = self.state.snapshot(whole, ts)
        if not self.synced:
            self.sync(received, "stream")
        return items

    def _check_snapshot(self) -> None:
        self._timer = None
        if self._doubt:
            self.lose(self.hub.now(), self._doubt)

    def sync(self, received: int, source: Literal["stream", "rest"]) -> None:
        """The state is whole."""
        self.synced = True
        self._told = False
        self._doubt = ""
        self._early.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell(Resynchronised(received, self.name, source))
        if self._whole is not None and not self._whole.done():
            self._whole.set_result(None)

    def lose(self, received: int, reason: str) -> None:
        """The state can no longer be believed: say so, and ask for it anew."""
        if not self.synced and self._timer is not None:
            self._doubt = reason
            return  # it has been asked for, or will be; that is looked at when the time is up
        if not self._told:
            self._told = True
            self._tell(Gap(received, self.name, reason))
            for reader in self.readers:
                reader.forget()
        now = asyncio.get_running_loop().time()
        calm = now - self._lost_at >= _CALM_SECONDS
        self.interrupted()
        self._pause = 0.0 if calm else min(max(0.25, 2 * self._pause), _LONGEST_PAUSE)
        self._lost_at = now
        self._later(self._pause, self._ask_again)

    def _ask_again(self) -> None:
        self._timer = None
        self.hub.ask("unsubscribe", self.name)
        self.hub.ask("subscribe", self.name)
        self.connected()

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, call)

    # REST instead of a SNAPSHOT.

    def _fetch_state(self) -> None:
        self._timer = None
        if self._fetching is None and not self.synced and self.hub.connected:
            self._fetching = self.hub.spawn(self._fetch_and_sync())

    async def _fetch_and_sync(self) -> None:
        assert self._fetch is not None
        try:
            fetched = await self._fetch()
        except ClientError as error:
            self._fetching = None
            if error.temporary:
                self._later(SNAPSHOT_PATIENCE, self._fetch_state)
            else:
                self.fail(error)
            return
        self._fetching = None
        if self.synced:
            return  # the stream's own SNAPSHOT was faster
        early = list(self._early)
        items: Items[T] = self.state.snapshot(fetched, self._ts)
        self.sync(self.hub.now(), "rest")
        items = items + self.state.update(early, self._ts)
        self._deliver(items)

    def _deliver(self, items: Items[T]) -> None:
        for key, item in items:
            for reader in self.readers:
                reader.put(key, item)

    def _tell(self, event: Event) -> None:
        self.event(event)
        self.hub.emit(event)
