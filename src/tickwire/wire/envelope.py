"""Stream frames: operations in, replies and data out.

A data frame has the keys ``topic``, ``ts`` and ``data``; a reply never has ``topic`` or ``data``: clients tell the
two apart by that.
"""

from typing import Annotated, Any, Literal

import msgspec

from tickwire.wire.errors import ApiError, explain

__all__ = [
    "MAX_CONFLATE_MS",
    "MAX_EPOCH_LENGTH",
    "MAX_ID_LENGTH",
    "Operation",
    "Position",
    "configured_reply",
    "data_frame",
    "decode_operation",
    "failure_reply",
    "pong_reply",
    "success_reply",
    "with_position",
    "with_resumed",
]

# The largest id echoed: enough for a uuid or a random token, too small to make the server a mirror.
MAX_ID_LENGTH = 128

# A minute: who wants a state less often than that asks REST for it.
MAX_CONFLATE_MS = 60_000

# As for an id; ours have some 15 characters.
MAX_EPOCH_LENGTH = 64

_encode = msgspec.json.Encoder().encode


class Position(msgspec.Struct, frozen=True):
    """How far a reader of a topic has come: ``epoch`` and ``offset`` of its last frame."""

    epoch: Annotated[str, msgspec.Meta(max_length=MAX_EPOCH_LENGTH)]
    offset: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Operation(msgspec.Struct, frozen=True):
    """One decoded operation; ``id`` is echoed in its replies when the client sent one.

    ``resume`` is a subscribe's, by topic. A configure has ``conflate_ms`` (0 to ``MAX_CONFLATE_MS``; 0 is off) or
    ``resumable`` (the wire's ``resume``), or both; ``None`` leaves the choice as it is.
    """

    op: Literal["subscribe", "unsubscribe", "configure", "ping"]
    args: tuple[str, ...] = ()
    id: str | int | None = None
    resume: dict[str, Position] = {}
    conflate_ms: int | None = None
    resumable: bool | None = None


# As for the length of a text: an integer of 4,000 digits would be echoed, too.
Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Raw(msgspec.Struct):
    op: str
    args: list[str] | msgspec.UnsetType = msgspec.UNSET
    id: str | Id | None = None
    # Of some operations only; to the others they are unknown fields, and ignored.
    conflate_ms: Any = None
    resume: Any = None


_decode = msgspec.json.Decoder(_Raw).decode


def decode_operation(text: bytes | str) -> Operation:
    """Read one operation frame. Raises ``ApiError`` (InvalidJson, InvalidOperation, InvalidParameter)."""
    try:
        raw = _decode(text)
    except msgspec.ValidationError as error:
        raise ApiError("InvalidParameter", explain(error, "frame")) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        raise ApiError("InvalidJson", f"expected a JSON object, got something else: {error}"[:200]) from None
    if isinstance(raw.id, str) and len(raw.id) > MAX_ID_LENGTH:
        raise ApiError("InvalidParameter", f"id: expected at most {MAX_ID_LENGTH} characters, got {len(raw.id)}")
    if raw.op == "ping":
        return Operation("ping", (), raw.id)
    if raw.op == "configure":
        return _configure(raw)
    if raw.op not in ("subscribe", "unsubscribe"):
        raise ApiError(
            "InvalidOperation", f"op: expected subscribe, unsubscribe, configure or ping, got {raw.op[:40]!r}"
        )
    if raw.args is msgspec.UNSET:
        raise ApiError("InvalidParameter", "args: expected a list of topics, got nothing")
    args = tuple(raw.args)
    if raw.op == "unsubscribe":
        return Operation("unsubscribe", args, raw.id)
    return Operation("subscribe", args, raw.id, _positions(raw.resume, args))


def _positions(resume: Any, args: tuple[str, ...]) -> dict[str, Position]:
    if resume is None:
        return {}
    if not isinstance(resume, dict):
        raise ApiError("InvalidParameter", f"resume: expected an object of positions by topic, got {_shown(resume)}")
    positions = {}
    for name, value in resume.items():
        if name not in args:
            raise ApiError("InvalidParameter", f"resume: expected topics of args, got {name[:80]!r}")
        try:
            positions[name] = msgspec.convert(value, Position)
        except msgspec.ValidationError as error:
            raise ApiError("InvalidParameter", f"resume of {name[:80]}: {explain(error, 'position')}") from None
    return positions


def _configure(raw: _Raw) -> Operation:
    conflate_ms, resume = raw.conflate_ms, raw.resume
    if conflate_ms is None and resume is None:
        raise ApiError("InvalidParameter", "frame: expected conflate_ms, resume or both, got neither")
    # For JSON true is no 1, and 250.0 no 250.
    if conflate_ms is not None and (type(conflate_ms) is not int or not 0 <= conflate_ms <= MAX_CONFLATE_MS):
        raise ApiError(
            "InvalidParameter",
            f"conflate_ms: expected an integer from 0 (off) to {MAX_CONFLATE_MS}, got {_shown(conflate_ms)}",
        )
    if resume is not None and not isinstance(resume, bool):
        raise ApiError("InvalidParameter", f"resume: expected true or false, got {_shown(resume)}")
    return Operation("configure", id=raw.id, conflate_ms=conflate_ms, resumable=resume)


def _shown(value: object) -> str:
    """A value as the client has written it, or its beginning."""
    return _encode(value)[:40].decode(errors="replace")


def success_reply(op: str, args: list[str], id: str | int | None) -> bytes:
    """The reply to what was accepted."""
    reply: dict[str, object] = {"success": True, "op": op, "args": args}
    if id is not None:
        reply["id"] = id
    return _encode(reply)


def configured_reply(conflate_ms: int, resume: bool, id: str | int | None) -> bytes:
    """The reply to ``configure``: what holds for the session from now on."""
    reply: dict[str, object] = {"success": True, "op": "configure", "conflate_ms": conflate_ms, "resume": resume}
    if id is not None:
        reply["id"] = id
    return _encode(reply)


def with_resumed(reply: bytes, resumed: dict[str, bool]) -> bytes:
    """A success reply that says of each topic that was to be resumed whether it is."""
    return b'%b,"resumed":%b}' % (reply[:-1], _encode(resumed))


def failure_reply(op: str | None, args: list[str] | None, error: ApiError, id: str | int | None) -> bytes:
    """The reply to what was refused, one a reason. ``op`` and ``args`` are left out where they could not be read."""
    reply: dict[str, object] = {"success": False}
    if op is not None:
        reply["op"] = op
    if args is not None:
        reply["args"] = args
    reply["error"] = error.code
    reply["message"] = error.message
    if id is not None:
        reply["id"] = id
    return _encode(reply)


def pong_reply(time: int, id: str | int | None) -> bytes:
    """The reply to ``{"op":"ping"}``; ``time`` in ns since the epoch."""
    reply: dict[str, object] = {"op": "pong", "ts": str(time)}
    if id is not None:
        reply["id"] = id
    return _encode(reply)


def data_frame(topic: str, time: int, action: Literal["SNAPSHOT", "UPDATE"], rows: object) -> bytes:
    """One data frame: ``rows`` is a sequence of row structs (or of what encodes to the same JSON)."""
    return _encode({"topic": topic, "ts": str(time), "data": ({"actionType": action, "rows": rows},)})


def with_position(frame: bytes, position: Position) -> bytes:
    """A data frame with ``epoch`` and ``offset`` as its last two keys."""
    return b'%b,"epoch":"%b","offset":%d}' % (frame[:-1], position.epoch.encode(), position.offset)
