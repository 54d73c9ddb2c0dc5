"""From the bytes of a frame to typed rows: quickly when it is as documented, and with all that is new in it otherwise.

The first decoder of a topic takes exactly the contract's rows. A server may be newer than this client; then a second
one takes rows with more fields, other values of an enumeration, or nullable fields left out. What it does not know it
keeps: ``unknown(row)`` has it.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, Generic, Literal, Protocol, TypeVar, cast

import msgspec
from msgspec import UNSET, UnsetType

from tickwire.client.replies import Candle, tolerant
from tickwire.wire import rows
from tickwire.wire.rows import Level

__all__ = ["BookRow", "Change", "DataFrame", "FrameError", "Message", "TickerRow", "decoder", "read_message", "unknown"]

R = TypeVar("R")


class FrameError(ValueError):
    """A frame that is not JSON, or not of the contract's form; the message says what was expected."""


class Change(msgspec.Struct, Generic[R], rename="camel", gc=False):
    """One element of a frame's ``data``. An action that is new has any text."""

    action_type: Literal["SNAPSHOT", "UPDATE"]
    rows: list[R]


class _AnyChange(msgspec.Struct, rename="camel"):
    action_type: str
    rows: list[Any]


class _AnyFrame(msgspec.Struct):
    ts: str
    data: list[_AnyChange]


class DataFrame(msgspec.Struct, Generic[R], gc=False):
    """A data frame; ``ts`` is the server's time, ns since the epoch."""

    ts: str
    data: list[Change[R]]


class Message(msgspec.Struct):
    """What every frame may have: data frames a topic, replies to operations the rest."""

    topic: str = ""
    success: bool = True
    op: str = ""
    args: list[str] = []
    error: str = ""
    message: str = ""


TickerRow = msgspec.defstruct(
    "Ticker",
    [
        (field.name, field.type | UnsetType, msgspec.field(name=field.encode_name, default=UNSET))
        for field in msgspec.structs.fields(rows.Ticker)
        if field.name != "symbol"
    ],
    bases=(rows.Ticker,),
    module=__name__,
    kw_only=True,
)
"""A ticker of which anything but the symbol may be left out; what is, is ``UNSET``."""


class BookRow(rows.Orderbook, kw_only=True):
    """A picture or a change of a book; ``seq`` and ``prev_seq`` where the topic numbers its changes."""

    bids: list[Level] = msgspec.field(default_factory=list)  # a side that is left out did not change
    asks: list[Level] = msgspec.field(default_factory=list)
    seq: int | None = None
    prev_seq: int | None = None


class Decode(Protocol[R]):
    """What reads the frames of one topic: ``exact`` those that are as documented, a call any."""

    def exact(self, data: bytes) -> DataFrame[R]:
        """Raises what msgspec does, or ``RecursionError``."""

    def __call__(self, data: bytes) -> DataFrame[R]:
        """Raises ``FrameError``."""


def unknown(row: msgspec.Struct) -> dict[str, Any]:
    """The fields of a row that this client does not know, by their names on the wire."""
    found: dict[str, Any] = getattr(row, "unknown_fields", {})
    return found


_read_message = msgspec.json.Decoder(Message).decode


def read_message(data: bytes) -> Message:
    """What kind of frame it is. Raises ``FrameError``."""
    try:
        return _read_message(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise FrameError(_said(error)) from None


@functools.cache
def decoder(kind: Any) -> Decode[Any]:
    """The reader of frames with rows of ``kind``."""
    return _Decoder(kind)


class _Decoder:
    def __init__(self, kind: Any) -> None:
        self.exact = msgspec.json.Decoder(DataFrame[_exact(kind)]).decode  # type: ignore[misc] # made at run time
        self._lenient = _lenient(kind)

    def __call__(self, data: bytes) -> DataFrame[Any]:
        try:
            return cast(DataFrame[Any], self.exact(data))
        except msgspec.ValidationError:
            return self._lenient(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise FrameError(_said(error)) from None


def _exact(kind: Any) -> Any:
    """A subclass of ``kind`` that refuses fields which it does not have; an array may be longer in any case."""
    if kind is Candle:
        return kind
    return msgspec.defstruct(
        kind.__name__,
        [],
        bases=(kind,),
        namespace=_equal_to(kind),
        module=__name__,
        forbid_unknown_fields=True,
        eq=False,
        gc=False,
    )


def _equal_to(kind: Any) -> dict[str, Any]:
    """Makes a row of the stream equal to the same row by REST, which is of the class above it."""
    values = operator.attrgetter(*kind.__struct_fields__)

    def __eq__(self: Any, other: object) -> bool:
        return isinstance(other, kind) and bool(values(self) == values(other))

    return {"__eq__": __eq__, "__hash__": None}


def _lenient(kind: Any) -> Callable[[bytes], DataFrame[Any]]:
    taken: Any = kind
    if kind is not Candle:
        base = kind if kind in (TickerRow, BookRow) else tolerant(kind)
        taken = msgspec.defstruct(
            kind.__name__, [], bases=(base,), namespace=_equal_to(kind), module=__name__, eq=False, dict=True
        )
    known = frozenset(taken.__struct_encode_fields__)
    read = msgspec.json.Decoder(_AnyFrame).decode

    def decode(data: bytes) -> DataFrame[Any]:
        try:
            frame = read(data)
            for change in frame.data:
                for index, raw in enumerate(change.rows):
                    row = msgspec.convert(raw, taken)
                    more = (
                        {name: value for name, value in raw.items() if name not in known} if type(raw) is dict else {}
                    )
                    if more:
                        row.unknown_fields = more
                    change.rows[index] = row
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise FrameError(_said(error)) from None
        return cast(DataFrame[Any], frame)

    return decode


def _said(error: Exception) -> str:
    return f"expected a frame of the contract: {str(error)[:200]}"
