"""What a reader that wants fewer frames is owed: the frames since its last one, merged so that nothing is lost.

Payloads go in as they are published, payloads come out; who reads them and when is no business of this module. All
values of the API's rows are absolute, so merging is taking the newest of each:

- ``ticker`` and the account's states: the newest of each field, one row a symbol, asset or currency. A ticker's
  UPDATE names what changed, so the merged one names all that has.
- ``kline``: the newest row of each candle, each in a frame of its own: the last of a closed candle is its closing
  push, the next one follows.
- ``orderbook.delta``: the newest size of each level, from the first frame's ``prevSeq`` to the last one's ``seq``.
- A SNAPSHOT replaces all before it. Every frame of ``orderbook`` is one, so the newest stays.

Orders and executions are happenings, not states. They are never merged and have no place here.
"""

from typing import Any, Protocol, Self

import msgspec

from tickwire.wire.envelope import data_frame
from tickwire.wire.topics import Topic, TopicKind

__all__ = ["Pending"]


class _Action(msgspec.Struct):
    actionType: str  # a key of the wire


class _Actions(msgspec.Struct):
    data: list[_Action]


class _Part(msgspec.Struct):
    rows: list[Any]


class _Data(msgspec.Struct):
    ts: str
    data: list[_Part]


# Decoding passes over the rows without making objects of them: 1 us for a whole book.
_decode_actions = msgspec.json.Decoder(_Actions).decode
_decode_data = msgspec.json.Decoder(_Data).decode

Numbered = tuple[int, bytes]
"""A payload and the offset up to which it brings its reader."""


class _Update(Protocol):
    """UPDATE frames of one topic, merged."""

    def __init__(self, topic: Topic, offset: int, payload: bytes) -> None: ...

    def absorb(self, newer: Self) -> None:
        """Take in what follows. ``newer`` stays as it is."""

    def payloads(self) -> list[Numbered]:
        """What brings a reader to the newest state, in order."""


_NAMED_BY = {TopicKind.BALANCE: "asset", TopicKind.MARGIN: "currency"}


class _Rows:
    """Whole or partial rows, told apart by the field that names them: the newest value of each field."""

    def __init__(self, topic: Topic, offset: int, payload: bytes) -> None:
        self._topic = topic
        self._offset = offset
        self._payload: bytes | None = payload  # while it is the only one it need not be read
        self._time = 0
        self._rows: dict[object, dict[str, Any]] = {}

    def _read(self) -> dict[object, dict[str, Any]]:
        if self._payload is not None:
            data = _decode_data(self._payload)
            name = _NAMED_BY.get(self._topic.kind, "symbol")
            self._payload = None
            self._time = int(data.ts)
            for part in data.data:
                self._merge({row.get(name): row for row in part.rows})
        return self._rows

    def _merge(self, newer: dict[object, dict[str, Any]]) -> None:
        for name, row in newer.items():
            known = self._rows.get(name)
            self._rows[name] = dict(row) if known is None else known | row

    def absorb(self, newer: Self) -> None:
        self._read()
        self._merge(newer._read())
        self._time = newer._time
        self._offset = newer._offset

    def payloads(self) -> list[Numbered]:
        payload = self._payload or data_frame(self._topic.name, self._time, "UPDATE", list(self._rows.values()))
        return [(self._offset, payload)]


class _Delta:
    """Changes of a book: the newest size of each level."""

    def __init__(self, topic: Topic, offset: int, payload: bytes) -> None:
        data = _decode_data(payload)
        changes = [row for part in data.data for row in part.rows]
        self._topic = topic
        self._offset = offset
        self._time = int(data.ts)
        self._first, self._last = changes[0], changes[-1]
        self._sides: tuple[dict[str, str], ...] = tuple(
            {price: quantity for row in changes for price, quantity in row[side]} for side in ("bids", "asks")
        )

    def absorb(self, newer: Self) -> None:
        for known, changed in zip(self._sides, newer._sides, strict=True):
            known |= changed
        self._time, self._last, self._offset = newer._time, newer._last, newer._offset

    def payloads(self) -> list[Numbered]:
        bids, asks = (list(side.items()) for side in self._sides)
        row = self._last | {"bids": bids, "asks": asks}
        if "prevSeq" in self._first:
            row["prevSeq"] = self._first["prevSeq"]
        return [(self._offset, data_frame(self._topic.name, self._time, "UPDATE", (row,)))]


class _Candles:
    """Pushes of candles: the newest of each, by its start."""

    def __init__(self, topic: Topic, offset: int, payload: bytes) -> None:
        data = _decode_data(payload)
        self._topic = topic
        time = int(data.ts)
        self._candles = {row[0]: (offset, time, row) for part in data.data for row in part.rows}

    def absorb(self, newer: Self) -> None:
        for start, candle in newer._candles.items():
            self._candles.pop(start, None)  # so that the order is that of the newest pushes
            self._candles[start] = candle

    def payloads(self) -> list[Numbered]:
        return [
            (offset, data_frame(self._topic.name, time, "UPDATE", (row,)))
            for offset, time, row in self._candles.values()
        ]


_UPDATES: dict[TopicKind, type[_Update]] = {
    TopicKind.KLINE: _Candles,
    TopicKind.ORDERBOOK: _Delta,  # with the setting orderbook_mode = delta; else there are no UPDATEs
    TopicKind.ORDERBOOK_DELTA: _Delta,
}


class Pending:
    """The frames of one topic that its readers have yet to get. False while there are none."""

    __slots__ = ("_snapshot", "_topic", "_update", "_update_type")

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._update_type: type[_Update] = _UPDATES.get(topic.kind, _Rows)
        self._snapshot: Numbered | None = None
        self._update: _Update | None = None  # what came after the snapshot

    def __bool__(self) -> bool:
        return self._snapshot is not None or self._update is not None

    def add(self, offset: int, payload: bytes) -> None:
        """Take in the next frame, ``offset`` of its topic."""
        if any(part.actionType == "SNAPSHOT" for part in _decode_actions(payload).data):
            self._snapshot, self._update = (offset, payload), None
        else:
            self._follow(self._update_type(self._topic, offset, payload))

    def _follow(self, update: _Update) -> None:
        if self._update is None:
            self._update = update
        else:
            self._update.absorb(update)

    def absorb(self, newer: "Pending") -> None:
        """Take in what ``newer`` has taken in after this; it is of no use from then on."""
        if newer._snapshot is not None:
            self._snapshot, self._update = newer._snapshot, newer._update
        elif newer._update is not None:
            self._follow(newer._update)

    def payloads(self) -> list[Numbered]:
        """What brings a reader to the newest state, in order; mostly one frame."""
        found = [] if self._snapshot is None else [self._snapshot]
        return found if self._update is None else found + self._update.payloads()
