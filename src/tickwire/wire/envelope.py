"""Stream frames: operations in, replies and data out.

A data frame has the keys ``topic``, ``ts`` and ``data``; a reply never has ``topic`` or ``data``: clients tell the
two apart by that.
"""

from typing import Annotated, Literal

import msgspec

from tickwire.wire.errors import ApiError, explain

__all__ = ["Operation", "data_frame", "decode_operation", "failure_reply", "pong_reply", "success_reply"]

# The largest id echoed: enough for a uuid or a random token, too small to make the server a mirror.
MAX_ID_LENGTH = 128

_encode = msgspec.json.Encoder().encode


class Operation(msgspec.Struct, frozen=True):
    """One decoded operation; ``id`` is echoed in its replies when the client sent one."""

    op: Literal["subscribe", "unsubscribe", "ping"]
    args: tuple[str, ...] = ()
    id: str | int | None = None


# As for the length of a text: an integer of 4,000 digits would be echoed, too.
Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Raw(msgspec.Struct):
    op: str
    args: list[str] | msgspec.UnsetType = msgspec.UNSET
    id: str | Id | None = None


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
    if raw.op not in ("subscribe", "unsubscribe"):
        raise ApiError("InvalidOperation", f"op: expected subscribe, unsubscribe or ping, got {raw.op[:40]!r}")
    if raw.args is msgspec.UNSET:
        raise ApiError("InvalidParameter", "args: expected a list of topics, got nothing")
    op: Literal["subscribe", "unsubscribe"] = "subscribe" if raw.op == "subscribe" else "unsubscribe"
    return Operation(op, tuple(raw.args), raw.id)


def success_reply(op: str, args: list[str], id: str | int | None) -> bytes:
    """The reply to what was accepted."""
    reply: dict[str, object] = {"success": True, "op": op, "args": args}
    if id is not None:
        reply["id"] = id
    return _encode(reply)


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
