"""Order and execution ids: small integers inside, UUIDs on the wire.

The UUID is of version 7: milliseconds of the command that made it in front, the integer in its last 62 bits, so ids
sort by age, are never used twice and need no random source.
"""

import re

from tickwire.wire.errors import ApiError

__all__ = ["execution_uuid", "order_uuid", "parse_order_id"]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7([0-9a-f]{3})-([89ab][0-9a-f]{3})-([0-9a-f]{12})", re.IGNORECASE)
_ANY_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_MILLISECOND = 1_000_000


def _uuid(kind: int, number: int, time: int) -> str:
    milliseconds = time // _MILLISECOND
    return (
        f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{kind:03x}"
        f"-{0x8000 | number >> 48:04x}-{number & 0xFFFF_FFFF_FFFF:012x}"
    )


def order_uuid(order_id: int, time: int) -> str:
    """The wire's id of an order placed at ``time`` (ns)."""
    return _uuid(0, order_id, time)


def execution_uuid(exec_id: int, time: int) -> str:
    """The wire's id of an execution at ``time`` (ns)."""
    return _uuid(1, exec_id, time)


def parse_order_id(field: str, text: str) -> int:
    """The integer inside an order's UUID.

    Raises ``ApiError``: InvalidParameter for what is no UUID, OrderNotFound for a UUID that is not of our making.
    """
    match = _UUID.fullmatch(text)
    if match is not None and match[1] == "000":
        return (int(match[2], 16) & 0x3FFF) << 48 | int(match[3], 16)
    if _ANY_UUID.fullmatch(text) is None:
        raise ApiError("InvalidParameter", f"{field}: expected an order id (a uuid), got {text[:64]!r}")
    raise ApiError("OrderNotFound", f"{field}: no order {text}")
