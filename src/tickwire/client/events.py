"""What a stream tells its reader besides rows: raw frames, and what happened to the connection.

Events travel in the order in which things happened, between the frames, so that a reader knows what its state is worth
at each point. All times are nanoseconds since the epoch by the machine's clock.
"""

from typing import Literal

import msgspec

__all__ = [
    "BadFrame",
    "Connected",
    "ConnectionEvent",
    "Event",
    "Gap",
    "RawFrame",
    "Reconnecting",
    "Refused",
    "Resynchronised",
]


class RawFrame(msgspec.Struct, frozen=True, gc=False):
    """One message of the server, exactly as it came: a data frame, or the reply to an operation."""

    received: int
    data: bytes


class Connected(msgspec.Struct, frozen=True):
    """The stream is open and its topics are asked for. ``number`` counts the connections from 1 on."""

    received: int
    number: int


class Reconnecting(msgspec.Struct, frozen=True):
    """The connection is lost, or could not be made; the next try is in ``delay`` seconds.

    ``code`` is the close code, or the HTTP status of a refused handshake, or 0 where there was neither; ``attempt``
    counts the tries in a row, from 1 on.
    """

    received: int
    reason: str
    code: int
    delay: float
    attempt: int


class Gap(msgspec.Struct, frozen=True):
    """Something of ``topic`` is missing here: frames were lost, left out or could not be believed.

    Until the ``Resynchronised`` of the topic nothing of it is shown that depends on what is missing.
    """

    received: int
    topic: str
    reason: str


class Resynchronised(msgspec.Struct, frozen=True):
    """The state of ``topic`` is whole again, or for the first time. ``source`` is where it was taken from."""

    received: int
    topic: str
    source: Literal["stream", "rest"]


class Refused(msgspec.Struct, frozen=True):
    """The server refused an operation on ``topics``; ``error`` is its code, as in the catalogue of errors."""

    received: int
    operation: str
    topics: tuple[str, ...]
    error: str
    message: str


class BadFrame(msgspec.Struct, frozen=True):
    """A frame that could not be read: no JSON, or not of the contract's form. It was passed over."""

    received: int
    reason: str
    data: bytes


ConnectionEvent = Connected | Reconnecting
Event = Connected | Reconnecting | Gap | Resynchronised | Refused | BadFrame
