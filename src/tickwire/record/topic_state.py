"""The state of a topic, folded from its frames, and the SNAPSHOT that shows it.

A recorder begins each file with these SNAPSHOTs, a replay and a relay hand them to whoever subscribes in the middle.
What a frame holds beyond the contract is kept: rows are objects here, not types.

A frame that is a whole SNAPSHOT is kept as it is and read only when an UPDATE follows or its rows are asked for: most
frames of a book are one.
"""

from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import msgspec

from tickwire.wire.envelope import data_frame
from tickwire.wire.topics import Topic, TopicError, TopicKind, parse_topic

__all__ = ["FrameError", "TopicState", "TopicStates", "stamped", "topic_of"]

_SNAPSHOT = b'"actionType":"SNAPSHOT"'
_ACTION = b'"actionType"'
_START = b'{"topic":"'
_TIME = b'"ts":"'

# Of which kind a topic's rows are the newest each under a name of theirs, and the fields that make the name.
_NAMED = {TopicKind.MARGIN: "currency", TopicKind.BALANCE: "asset", TopicKind.POSITION: "symbol"}
_ENDED = frozenset({"FILLED", "CANCELED", "REJECTED"})


class FrameError(ValueError):
    """A frame that can't be read, or does not follow from the one before; the state is what it was."""


def stamped(payload: bytes, time: int, shift: int) -> bytes:
    """A frame with its ``ts`` at least ``time``, and then moved by ``shift`` (ns); one without is left as it is."""
    start = payload.find(_TIME) + len(_TIME)
    end = payload.find(b'"', start)
    digits = payload[start:end]
    if start < len(_TIME) or not digits.isdigit():
        return payload
    return b"%b%d%b" % (payload[:start], max(int(digits), time) + shift, payload[end:])


def _time_of(payload: bytes) -> int:
    start = payload.find(_TIME) + len(_TIME)
    digits = payload[start : payload.find(b'"', start)]
    return int(digits) if start >= len(_TIME) and digits.isdigit() else 0


class _Part(msgspec.Struct):
    action: str = msgspec.field(name="actionType")
    rows: list[Any] = []


class _Frame(msgspec.Struct):
    topic: str
    ts: str
    data: list[_Part]


class _Labelled(msgspec.Struct):
    topic: str | None = None


_decode = msgspec.json.Decoder(_Frame).decode
_decode_label = msgspec.json.Decoder(_Labelled).decode


def topic_of(data: bytes) -> str:
    """The topic of a data frame; empty for any other message. Raises ``FrameError`` for what is no JSON object."""
    if data.startswith(_START):
        end = data.find(b'"', len(_START))
        name = data[len(_START) : end]
        if end > 0 and b"\\" not in name and name.isascii():
            return name.decode()
    try:
        return _decode_label(data).topic or ""
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FrameError(f"expected a JSON object, got {data[:40]!r}: {error}") from None


class TopicState:
    """What is known of one topic."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self._time = 0
        self._whole: bytes | None = None  # a SNAPSHOT, while nothing has followed
        self._rows: list[Any] = []
        self._book: _Book | None = None

    @property
    def time(self) -> int:
        """The newest ``ts`` of a frame, ns since the epoch; 0 before there was any."""
        return self._time if self._whole is None else max(self._time, _time_of(self._whole))

    def apply(self, data: bytes) -> None:
        """Take in the topic's next frame. Raises ``FrameError``."""
        if _SNAPSHOT in data and data.count(_ACTION) == 1:
            self._whole = data
            return
        frame = _read(data)
        self._read_whole()
        self._fold(frame)

    def rows(self) -> list[Any]:
        """The rows of the SNAPSHOT. Raises ``FrameError`` when the frame that holds them can't be read."""
        self._read_whole()
        return self._rows if self._book is None else [self._book.row(self.topic)]

    def snapshot(self, now: int = 0) -> bytes:
        """The SNAPSHOT frame: as it was received where nothing has followed it, else with the newest frame's ``ts``.

        Of a topic without any frame yet it is empty, at the time ``now``. Raises ``FrameError``.
        """
        if self._whole is not None:
            return self._whole
        return data_frame(self.topic.name, self._time or now, "SNAPSHOT", self.rows())

    def _read_whole(self) -> None:
        if self._whole is None:
            return
        frame = _read(self._whole)
        # Whatever becomes of it, what was before is over.
        self._whole, self._rows, self._book = None, [], None
        self._fold(frame)

    def _fold(self, frame: _Frame) -> None:
        time = int(frame.ts) if frame.ts.isascii() and frame.ts.isdigit() else 0
        for part in frame.data:
            # Only the two of the contract are known; any other can at most be news.
            self._fold_part("SNAPSHOT" if part.action == "SNAPSHOT" else "UPDATE", part.rows)
        self._time = max(self._time, time)

    def _fold_part(self, action: Literal["SNAPSHOT", "UPDATE"], rows: list[Any]) -> None:
        kind = self.topic.kind
        snapshot = action == "SNAPSHOT"
        if kind is TopicKind.TICKER:
            known = {} if snapshot or not self._rows else self._rows[0]
            for row in rows:
                known = known | _object(row)
            self._rows = [known] if known else []
        elif kind in (TopicKind.ORDERBOOK, TopicKind.ORDERBOOK_DELTA):
            self._fold_book(snapshot, rows)
        elif kind in _NAMED:
            self._rows = _newest([] if snapshot else self._rows, rows, _NAMED[kind])
        elif kind is TopicKind.ORDER:
            orders = _newest([] if snapshot else self._rows, rows, "orderId")
            self._rows = [row for row in orders if str(row.get("status")) not in _ENDED]
        elif kind is TopicKind.EXECUTION:
            self._rows = []  # executions are happenings: there is no state
        elif snapshot or rows:
            self._rows = rows[-1:]  # the open candle, the account

    def _fold_book(self, snapshot: bool, rows: list[Any]) -> None:
        book = None if snapshot else self._book
        for row in rows:
            if book is None:
                if not snapshot:
                    raise FrameError(f"{self.topic.name}: expected a SNAPSHOT first, got an UPDATE")
                book = _Book(_object(row))
            else:
                book.update(self.topic, _object(row))
        if snapshot and not rows:
            self._rows = []
        self._book = book


class TopicStates:
    """The states of all topics of one stream."""

    def __init__(self) -> None:
        self.states: dict[str, TopicState] = {}
        self.failures = 0  # frames that could not be taken in

    @property
    def time(self) -> int:
        """The newest ``ts`` of all, ns since the epoch."""
        return max((state.time for state in self.states.values()), default=0)

    def apply(self, name: str, data: bytes) -> None:
        """Take in a frame of a topic. Raises ``FrameError``, also for a topic that the contract does not have."""
        state = self.states.get(name)
        try:
            if state is None:
                state = TopicState(parse_topic(name))
                state.apply(data)
                self.states[name] = state
            else:
                state.apply(data)
        except (FrameError, TopicError) as error:
            self.failures += 1
            raise FrameError(str(error)) from None

    def snapshots(self) -> list[tuple[str, bytes]]:
        """Topics with their SNAPSHOTs, those left out that can't be read."""
        found = []
        for name, state in self.states.items():
            try:
                found.append((name, state.snapshot()))
            except FrameError:
                self.failures += 1
        return found


class _Book:
    """One book: sizes by price, both as they were sent."""

    def __init__(self, row: dict[str, Any]) -> None:
        self._row = row
        self._sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self._put(row)

    def update(self, topic: Topic, row: dict[str, Any]) -> None:
        known, previous = self._row.get("seq"), row.get("prevSeq")
        if known is not None and previous != known:
            raise FrameError(f"{topic.name}: expected prevSeq {known}, got {previous}: frames are missing")
        self._put(row)
        self._row = row

    def _put(self, row: dict[str, Any]) -> None:
        changed = {side: _levels(row, side) for side in self._sides}  # all of it is read before any is used
        for side, levels in changed.items():
            sizes = self._sides[side]
            for price, size in levels:
                # Most sizes begin with another digit: only those that may be nothing are looked at closely.
                if size[:1] == "0" and not size.strip("0."):
                    sizes.pop(price, None)
                else:
                    sizes[price] = size

    def row(self, topic: Topic) -> dict[str, Any]:
        """The row of a SNAPSHOT: best first, and no frame before it to follow from."""
        shown = dict(self._row)
        shown.setdefault("symbol", topic.symbol)
        if "prevSeq" in shown:
            shown["prevSeq"] = shown.get("seq")
        try:
            for side, sizes in self._sides.items():
                shown[side] = sorted(sizes.items(), key=lambda level: Decimal(level[0]), reverse=side == "bids")
        except InvalidOperation:
            raise FrameError(f"{topic.name}: expected decimal prices, got another") from None
        return shown


def _levels(row: dict[str, Any], side: str) -> list[tuple[str, str]]:
    try:
        return [(price, size) for price, size in row.get(side) or () if price.isascii() and size.isascii()]
    except (TypeError, ValueError, AttributeError):
        raise FrameError(f"{side}: expected pairs of price and size, got {str(row.get(side))[:40]}") from None


def _newest(known: list[Any], rows: list[Any], name: str) -> list[Any]:
    """The rows with others of their name put in their places, new ones behind them."""
    # As text: a name should be one, and whatever it is, it can be a key then.
    found = {str(row.get(name)): row for row in known}
    for row in rows:
        found[str(_object(row).get(name))] = row
    return list(found.values())


def _object(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise FrameError(f"expected an object for a row, got {str(row)[:40]}")
    return row


def _read(data: bytes) -> _Frame:
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise FrameError(f"expected a data frame, got {data[:40]!r}: {error}") from None
