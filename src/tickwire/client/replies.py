"""From the bytes of a reply to its rows: strictly by the contract first, then as far as it can be understood.

A server that adds a field, a status or an order type, or leaves out what is null, is newer than this client and not
wrong. So what is not of the documented types is read once more with types that take any text where an enumeration is
documented and ``None`` where a nullable field is missing. Only what is neither raises.
"""

import functools
import types
import typing
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

__all__ = ["Candle", "decode_rows", "tolerant"]


class Candle(msgspec.Struct, array_like=True, frozen=True):
    """One candle; on the wire an array. Decimals and the start (ns since the epoch) are texts."""

    start_time: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    """In base."""
    turnover: str
    """In quote."""


def decode_rows(body: bytes | str, kind: Any) -> Any:
    """Read a JSON reply. Raises ``msgspec.DecodeError`` when it is none, ``msgspec.ValidationError`` (a subclass) when
    its types are others than documented.
    """
    try:
        try:
            return _decoder(kind).decode(body)
        except msgspec.ValidationError:
            return _decoder(tolerant(kind)).decode(body)
    except (UnicodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@functools.cache
def tolerant(kind: Any) -> Any:
    """The type that takes more than ``kind``: of a row, a subclass of it; of a list or union, that of its parts."""
    origin = get_origin(kind)
    if origin is typing.Annotated:
        return tolerant(get_args(kind)[0])
    if origin is Literal:
        return Union[tuple({type(value) for value in get_args(kind)})]  # noqa: UP007 (made at run time)
    if origin is list:
        return list[tolerant(get_args(kind)[0])]  # type: ignore[misc] # made at run time
    if origin in (Union, types.UnionType):
        return Union[tuple(tolerant(part) for part in get_args(kind))]  # noqa: UP007 (made at run time)
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return kind
    if kind.__struct_config__.array_like:
        return kind
    hints = typing.get_type_hints(kind)
    fields = []
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        nullable = type(None) in get_args(hint)
        default = None if nullable else msgspec.NODEFAULT
        fields.append((field.name, tolerant(hint), msgspec.field(name=field.encode_name, default=default)))
    return msgspec.defstruct(kind.__name__, fields, bases=(kind,), module=__name__, kw_only=True)
