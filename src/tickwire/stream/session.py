"""One client's side of the conversation: what its messages ask for, how many it may send, and whether it is still
there.

Sans-I/O: messages and times go in, a ``Step`` comes out. The session knows which topics the client wants; who gets
which frame is the hub's business, and bytes are the transport's. All times are seconds of a clock that never goes
back, except the ``ts`` of a pong, which is the exchange's.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from tickwire.keys.limits import TokenBucket
from tickwire.stream.settings import StreamCounters, StreamSettings
from tickwire.wire.closes import CLOSES, Close
from tickwire.wire.envelope import (
    MAX_ID_LENGTH,
    Operation,
    Position,
    configured_reply,
    decode_operation,
    failure_reply,
    pong_reply,
    success_reply,
)
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import TopicError, TopicKey, parse_topic

__all__ = ["UNANSWERED_COST", "Configuration", "Session", "Step"]

# A peer that is over its operations for this many seconds' worth of them is closed.
_EXCESS_SECONDS = 2

# Fragments and pongs are read, not answered: they cost a part of an operation, and a flood of empty ones is still a
# flood.
UNANSWERED_COST = 0.25


class Configuration(msgspec.Struct, frozen=True):
    """How a session wants its data: at most one frame of a topic in ``conflate_ms`` (0: each), and whether frames
    carry their position, so that it can resume.
    """

    conflate_ms: int = 0
    resume: bool = False


class Step(msgspec.Struct, frozen=True):
    """What one message leads to.

    ``replies`` are sent in the order of the operations, with snapshots of the topics in ``join`` behind them and
    nothing more of those in ``leave``; those of a step that is ``at_once`` do not wait for operations before it.
    Of the topics in ``resume`` the client may get what it has missed instead; the first reply is to say whether it
    does. With ``close`` the socket ends.
    """

    replies: tuple[bytes, ...] = ()
    join: tuple[TopicKey, ...] = ()
    resume: dict[TopicKey, Position] = {}
    leave: tuple[TopicKey, ...] = ()
    configure: Configuration | None = None  # from this step's replies on
    at_once: bool = False
    close: Close | None = None


NOTHING = Step()


class _Labels(msgspec.Struct):
    """What of a refused operation can be echoed."""

    op: Any = None
    id: Any = None


class Session:
    """The conversation with one client of ``account``.

    ``refusal`` says why a well-formed topic can't be had by it; ``clock`` gives ns since the epoch.
    """

    def __init__(
        self,
        account: str,
        settings: StreamSettings,
        counters: StreamCounters,
        *,
        refusal: Callable[[TopicKey], ApiError | None],
        clock: Callable[[], int],
        now: float,
    ) -> None:
        limits = settings.limits
        self.topics: dict[str, TopicKey] = {}  # what the client wants, once all its operations have been carried out
        self._configuration = Configuration()  # likewise
        self._account = account
        self._settings = settings
        self._limits = limits
        self._counters = counters
        self._refusal = refusal
        self._clock = clock
        self._operations = TokenBucket(limits.operations_per_second, limits.operations_per_second, now)
        bad_frames = limits.bad_frames_per_minute
        self._bad_frames = TokenBucket(bad_frames / 60, bad_frames, now)
        self._heard = now
        self._next_ping = now + settings.ping_interval

    # Messages.

    def receive_text(self, text: str, now: float) -> Step:
        """Read one text message."""
        overdrawn = self._count(now)
        if overdrawn is not None:
            return overdrawn
        if text == "ping":
            return Step((b"pong",), at_once=True)
        try:
            operation = decode_operation(text)
        except ApiError as error:
            op, id = _labels(text)
            return self._bad_frame(now, "bad_frames") or Step((failure_reply(op, None, error, id),))
        if operation.op == "ping":
            return Step((pong_reply(self._clock(), operation.id),), at_once=True)
        if operation.op == "configure":
            return self._configure(operation)
        return self._change(operation)

    def receive_binary(self, now: float) -> Step:
        """Refuse one binary message."""
        overdrawn = self._count(now)
        if overdrawn is not None:
            return overdrawn
        error = ApiError("BinaryNotSupported")
        return self._bad_frame(now, "unsupported") or Step((failure_reply(None, None, error, None),))

    def receive_control(self, now: float, cost: float = 1.0) -> Step:
        """Count a ping, which the protocol has answered, or with ``UNANSWERED_COST`` a pong or a fragment."""
        return self._exhausted(self._operations.spend(now, cost)) or NOTHING

    def _bad_frame(self, now: float, close: str) -> Step | None:
        """The end of a peer that keeps sending what can't be read; ``close`` is the name of it for this kind."""
        if self._bad_frames.take(now) == 0:
            return None
        self._counters.limited("bad_frames_per_minute")
        return Step(close=CLOSES[close])

    def _count(self, now: float) -> Step | None:
        self._counters.operations += 1
        level = self._operations.spend(now)
        if level >= 0:
            return None
        self._counters.limited("operations_per_second")
        error = ApiError(
            "TooManyOperations", f"expected at most {self._limits.operations_per_second} operations a second"
        )
        return self._exhausted(level) or Step((failure_reply(None, None, error, None),))

    def _exhausted(self, level: float) -> Step | None:
        if level >= -_EXCESS_SECONDS * self._limits.operations_per_second:
            return None
        return Step(close=CLOSES["too_fast"])

    # Operations.

    def _change(self, operation: Operation) -> Step:
        op, names, id = operation.op, operation.args, operation.id
        limit = self._limits.topics_per_frame
        if len(names) > limit:
            self._counters.limited("topics_per_frame")
            error = ApiError("TooManyTopics", f"args: expected at most {limit} topics a frame, got {len(names)}")
            return Step((failure_reply(op, list(names), error, id),))
        accepted: dict[str, TopicKey] = {}
        refused: dict[str, tuple[ApiError, list[str]]] = {}  # by code, with the first one's message
        for name in dict.fromkeys(names):
            try:
                topic = parse_topic(name)
                key = TopicKey.of(topic, self._account)
                if op == "subscribe":
                    self._admit(key)
            except TopicError as error:
                refused.setdefault("InvalidTopic", (ApiError("InvalidTopic", str(error)), []))[1].append(name)
            except ApiError as error:
                refused.setdefault(error.code, (error, []))[1].append(name)
            else:
                accepted[name] = key
                if op == "subscribe":
                    self.topics[name] = key
                else:
                    self.topics.pop(name, None)
        replies = [failure_reply(op, args, error, id) for error, args in refused.values()]
        if accepted or not refused:
            replies.insert(0, success_reply(op, list(accepted), id))
        keys = tuple(accepted.values())
        if op == "unsubscribe":
            return Step(tuple(replies), leave=keys)
        resume = {accepted[name]: position for name, position in operation.resume.items() if name in accepted}
        return Step(tuple(replies), join=keys, resume=resume, configure=self._resuming() if operation.resume else None)

    def _resuming(self) -> Configuration:
        """Whoever wants to resume now is taken to want it the next time, too."""
        self._configuration = msgspec.structs.replace(self._configuration, resume=True)
        return self._configuration

    def _configure(self, operation: Operation) -> Step:
        old = self._configuration
        self._configuration = new = Configuration(
            old.conflate_ms if operation.conflate_ms is None else operation.conflate_ms,
            old.resume if operation.resumable is None else operation.resumable,
        )
        return Step((configured_reply(new.conflate_ms, new.resume, operation.id),), configure=new)

    def _admit(self, key: TopicKey) -> None:
        refusal = self._refusal(key)
        if refusal is not None:
            raise refusal
        topic = key.topic
        limit = self._limits.topics_per_socket
        if topic.name not in self.topics and len(self.topics) >= limit:
            self._counters.limited("topics_per_socket")
            raise ApiError("TooManyTopics", f"expected at most {limit} topics a socket")

    # Keep-alive.

    @property
    def due(self) -> float:
        """When ``tick`` is to be called next."""
        return min(self._next_ping, self._heard + self._settings.silence_timeout)

    def heard(self, now: float) -> None:
        """The peer has sent something."""
        self._heard = now

    def tick(self, now: float) -> Literal["ping", "silent"] | None:
        """What is due at ``now``: a ping to send, or the end of a peer that has been silent for too long."""
        if now >= self._heard + self._settings.silence_timeout:
            return "silent"
        if now < self._next_ping:
            return None
        self._next_ping = now + self._settings.ping_interval
        return "ping"


_decode_labels = msgspec.json.Decoder(_Labels).decode


def _labels(text: str) -> tuple[str | None, str | int | None]:
    """Operation and id of a message that could not be read as a whole, as far as they can be echoed."""
    try:
        labels = _decode_labels(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None, None
    op = labels.op if isinstance(labels.op, str) and len(labels.op) <= MAX_ID_LENGTH else None
    id = labels.id
    if isinstance(id, str):
        return op, id if len(id) <= MAX_ID_LENGTH else None
    return op, id if isinstance(id, int) and not isinstance(id, bool) else None
