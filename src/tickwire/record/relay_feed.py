"""The stream's feed, from another server's stream.

A topic is subscribed upstream with its first local reader, and given up some time after its last one. Payloads are
passed on as they came, byte for byte; beside that their state is kept, so that a reader who comes later begins with
the newest one at once. A topic whose first SNAPSHOT is still on its way has none to hand over: its reader gets that
one when it comes.

While the upstream is away what is known stays as it is, and readers are told (``notice``). When it is back each topic
begins with a SNAPSHOT again, which goes to all its readers: states are whole with that. Executions that happened
meanwhile are read from the upstream's history, and passed on before what the stream brings (``relay_executions``).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from tickwire.bus.feed import Listener
from tickwire.record.relay_executions import EXECUTIONS, SeenExecutions
from tickwire.record.topic_state import FrameError, TopicState, topic_of
from tickwire.record.upstream import Upstream
from tickwire.stream.pace import Timer, Timers
from tickwire.wire import rows
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import TopicKey

__all__ = ["RelayFeed", "notice"]

_SNAPSHOT = b'"actionType":"SNAPSHOT"'
# A topic whose frames do not fit together is asked for afresh; at most this often, in seconds.
_REFRESH_SECONDS = 1.0
# How long the SNAPSHOT of a topic is waited for before its history is read without it.
_SNAPSHOT_SECONDS = 1.0


class _Reply(msgspec.Struct):
    """What of an upstream's reply is of interest."""

    success: bool = True
    args: list[str] = []


class _Entry:
    """One topic that is subscribed upstream."""

    __slots__ = ("count", "key", "known", "last_asked", "linger", "state")

    def __init__(self, key: TopicKey, now: float) -> None:
        self.key = key
        self.count = 0  # of the hub's interest
        self.state = TopicState(key.topic)
        self.known = False  # has begun with a SNAPSHOT, and has no gap since
        self.linger: Timer | None = None
        self.last_asked = now


class RelayFeed:
    """A ``Feed`` over an ``Upstream``.

    ``account`` is the local account that stands for the upstream's: only its keys see account topics. ``linger`` is
    how long, in seconds, a topic is kept without readers. ``tell`` sends a message to the readers of a topic;
    ``history`` gets the executions from a time on, and ``None`` when that can't be had.
    """

    def __init__(
        self,
        symbols: Iterable[str],
        account: str,
        timers: Timers,
        *,
        linger: float,
        tell: Callable[[TopicKey, bytes], None],
        history: Callable[[int], Awaitable[list[rows.Execution] | None]],
    ) -> None:
        self.symbols = dict.fromkeys(symbols)  # in the upstream's order
        self.upstream: Upstream
        self.frames = 0  # passed on
        self.failures = 0  # frames that could not be read, or did not follow from the one before
        self._account = account
        self._timers = timers
        self._linger = linger
        self._tell = tell
        self._history = history
        self._executions = SeenExecutions()
        self._held: list[bytes] | None = None  # executions that wait for those before them
        self._reading: asyncio.Task[None] | None = None
        self._topics: dict[str, _Entry] = {}
        self._listener: Listener | None = None

    @property
    def topics(self) -> int:
        """Topics that are subscribed upstream."""
        return len(self._topics)

    # What the hub asks for.

    def refusal(self, key: TopicKey) -> ApiError | None:
        """Account topics are for keys of the upstream's account alone; symbols are the upstream's."""
        topic = key.topic
        if topic.private:
            if key.account == self._account:
                return None
            return ApiError(
                "Forbidden",
                f"{topic.name}: expected a key of {self._account!r}, the account that stands for the upstream's, "
                f"got one of {key.account!r}",
            )
        if topic.symbol not in self.symbols:
            return ApiError("InvalidSymbol", f"no symbol {topic.symbol[:40]!r}")
        return None

    def listen(self, listener: Listener) -> None:
        """Send every payload of every joined key to ``listener``."""
        self._listener = listener

    def join(self, keys: Sequence[TopicKey], then: Callable[[Sequence[bytes | None]], None]) -> None:
        """The newest states; ``None`` for a topic whose first SNAPSHOT has not come yet."""
        snapshots: list[bytes | None] = []
        for key in keys:
            entry = self._topics.get(key.topic.name)
            if entry is None:
                entry = self._topics[key.topic.name] = _Entry(key, self._timers.time())
                self.upstream.subscribe(key.topic.name)
            if entry.linger is not None:
                entry.linger.cancel()
                entry.linger = None
            entry.count += 1
            snapshots.append(self._snapshot(entry))
        then(snapshots)

    def leave(self, key: TopicKey) -> None:
        """Drop one count of interest."""
        entry = self._topics[key.topic.name]
        entry.count -= 1
        if not entry.count:
            entry.linger = self._timers.call_later(self._linger, lambda: self._drop(entry))

    def settle(self, then: Callable[[], None]) -> None:
        """Nothing is ever under way."""
        then()

    def _drop(self, entry: _Entry) -> None:
        name = entry.key.topic.name
        if name == EXECUTIONS:
            self._forget_executions()
        del self._topics[name]
        self.upstream.unsubscribe(name)

    def _snapshot(self, entry: _Entry) -> bytes | None:
        try:
            return entry.state.snapshot() if entry.known else None
        except FrameError:  # the SNAPSHOT was passed on unread, and can't be read
            self._refuse(entry)
            return None

    # What the upstream brings.

    def receive(self, data: bytes) -> None:
        """Take in a message of the upstream."""
        try:
            name = topic_of(data)
        except FrameError:
            self.failures += 1
            return
        if not name:
            self._reply(data)
            return
        entry = self._topics.get(name)
        if entry is None:
            return  # given up, and still on its way
        if name == EXECUTIONS and self._held is not None:
            self._held.append(data)
            self._read_history()  # the topic is subscribed: nothing later is missed
            return
        self._take(entry, data)

    def _take(self, entry: _Entry, data: bytes) -> None:
        if not entry.known and _SNAPSHOT not in data:
            return  # of a subscription before this one, or behind a gap
        payload: bytes | None = data
        try:
            entry.state.apply(data)
            if entry.key.topic.name == EXECUTIONS:
                payload = self._executions.take(data)
        except FrameError:
            self._refuse(entry)
            return
        entry.known = True
        if payload is not None:
            self._publish(entry.key, payload)

    def _publish(self, key: TopicKey, payload: bytes) -> None:
        self.frames += 1
        if self._listener is not None:
            self._listener(key, payload)

    # Executions that were missed.

    def resubscribed(self, topics: Iterable[str]) -> None:
        """The upstream is back: what comes next of executions has to wait for those before it."""
        if EXECUTIONS not in topics or not self._executions.newest:
            return
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        self._held = self._held or []
        # Servers that do not begin with a SNAPSHOT may have nothing to send for long.
        self._timers.call_later(_SNAPSHOT_SECONDS, self._read_history)

    def _read_history(self) -> None:
        if self._held is not None and self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read_missed())

    async def _read_missed(self) -> None:
        history = await self._history(self._executions.newest)
        entry = self._topics[EXECUTIONS]
        payload = None if history is None else self._executions.missed(history)
        if history is None:
            self._tell(entry.key, msgspec.json.encode({"op": "upstream", "missing": [EXECUTIONS]}))
        if payload is not None:
            self._publish(entry.key, payload)
        held, self._held, self._reading = self._held or [], None, None
        for data in held:
            self._take(entry, data)

    def _forget_executions(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        self._held = None
        self._executions = SeenExecutions()

    # What can't be passed on.

    def _refuse(self, entry: _Entry) -> None:
        """Ask for a topic afresh: a frame of it was not passed on, so that none that follows would be true."""
        self.failures += 1
        entry.state = TopicState(entry.key.topic)
        entry.known = False
        now = self._timers.time()
        wait = entry.last_asked + _REFRESH_SECONDS - now
        entry.last_asked = now + max(wait, 0.0)
        self._timers.call_later(max(wait, 0.0), lambda: self._ask(entry))

    def _ask(self, entry: _Entry) -> None:
        if self._topics.get(entry.key.topic.name) is entry and not entry.known:
            self.upstream.subscribe(entry.key.topic.name)

    def _reply(self, data: bytes) -> None:
        """Pass on a refusal to those who wait for the topics."""
        try:
            reply = msgspec.json.decode(data, type=_Reply)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            self.failures += 1
            return
        if not reply.success:
            for name in reply.args:
                entry = self._topics.get(name)
                if entry is not None:
                    self._tell(entry.key, data)


def notice(connected: bool, reason: str, time: int) -> bytes:
    """The message that tells readers of the upstream: neither a reply nor data, as it has neither's keys.

    ``time`` is in ns since the epoch.
    """
    content: dict[str, object] = {"op": "upstream", "connected": connected, "ts": str(time)}
    if reason:
        content["reason"] = reason
    return msgspec.json.encode(content)
