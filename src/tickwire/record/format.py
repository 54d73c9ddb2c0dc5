"""What a recording is on the disk: a directory of numbered files, each row one thing that happened.

``docs/reference/recording-format.md`` describes it for other tools. A finished file is Parquet. The one that is being
written is an Arrow stream, which can be read up to wherever it ends, so nothing of it is lost when the recorder is
killed; once it is full it becomes a Parquet file of the same number.
"""

import functools
import importlib
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

__all__ = [
    "ASIDE",
    "CONNECTED",
    "FINISHED",
    "FORMAT",
    "FRAME",
    "LOCK",
    "LOST",
    "PREFIX",
    "REPLY",
    "REST",
    "STATE",
    "UNFINISHED",
    "Header",
    "RecordingError",
    "Row",
    "arrow",
    "arrow_errors",
    "file_name",
    "file_number",
    "read_header",
    "schema",
]

FORMAT = 1

FINISHED = ".parquet"
UNFINISHED = ".arrows"
ASIDE = ".partial"  # a Parquet file that is being made
PREFIX = "tickwire-"
LOCK = "recording.lock"

# Kinds of rows.
FRAME = "frame"  # a data frame exactly as received
REPLY = "reply"  # any other message of the stream
CONNECTED = "connected"  # a connection was opened; data is its address
LOST = "lost"  # it ended; data is the reason
REST = "rest"  # the body of a REST reply; topic is the request's target
STATE = "state"  # a topic's state when the file begins, as a SNAPSHOT frame: made here, not received

# The key in the files' own metadata.
_HEADER_KEY = b"tickwire"


class RecordingError(Exception):
    """A recording can't be written or read; the message names the file and says why."""


class Row(NamedTuple):
    """One row. ``received`` is in ns since the epoch; ``topic`` is empty where there is none."""

    received: int
    kind: str
    connection: int  # counted from 1; 0 belongs to none
    topic: str
    data: bytes


class Header(msgspec.Struct, frozen=True):
    """What every file says about the recording. ``started`` is in ns since the epoch, ``number`` the file's own."""

    format: int
    version: str
    url: str
    topics: tuple[str, ...]
    started: int
    number: int = 0


@functools.cache
def arrow() -> Any:
    """``pyarrow`` with its submodules, loaded when it is first needed. Raises ``RecordingError`` where it is not
    installed.
    """
    try:
        # Not by import statements: what the types are must not depend on whether it is installed.
        pyarrow: Any = importlib.import_module("pyarrow")
        importlib.import_module("pyarrow.ipc")
        importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise RecordingError(
            f"recordings need pyarrow, which is not installed: {sys.executable} -m pip install 'tickwire[parquet]'"
            " (or pyarrow alone)"
        ) from None
    return pyarrow


def arrow_errors() -> tuple[type[Exception], ...]:
    """What pyarrow raises for a file that it can't read, and at the end of one that it can."""
    return (arrow().ArrowException, OSError, ValueError, OverflowError, AttributeError, StopIteration)


def schema(header: Header) -> Any:
    """The columns, with the header as metadata."""
    pa = arrow()
    return pa.schema(
        [
            pa.field("received", pa.timestamp("ns", tz="UTC"), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("connection", pa.int32(), nullable=False),
            pa.field("topic", pa.string(), nullable=False),
            # Not text: a frame is kept as it came, even one that is not UTF-8.
            pa.field("data", pa.binary(), nullable=False),
        ],
        metadata={_HEADER_KEY: msgspec.json.encode(header)},
    )


def read_header(path: Path, found: Any) -> Header:
    """The header in a file's schema. Raises ``RecordingError`` where there is none, or of a format unknown here."""
    metadata: dict[bytes, bytes] = found.metadata or {}
    try:
        header = msgspec.json.decode(metadata.get(_HEADER_KEY, b""), type=Header)
    except msgspec.MsgspecError as error:
        raise RecordingError(f"{path}: expected a file of a tickwire recording, got another: {error}") from None
    if header.format != FORMAT:
        raise RecordingError(f"{path}: expected format {FORMAT}, got {header.format}: use a newer tickwire")
    if not found.equals(schema(header), check_metadata=False):
        raise RecordingError(f"{path}: expected the columns of a recording, got {', '.join(found.names)}")
    return header


def file_name(number: int, ending: str) -> str:
    """The name of a file; in the order of names, files are in the order of their numbers."""
    return f"{PREFIX}{number:08d}{ending}"


def file_number(path: Path) -> int | None:
    """The number in a file's name, or ``None`` for a file that is not of the recording."""
    if path.suffix not in (FINISHED, UNFINISHED) or not path.stem.startswith(PREFIX):
        return None
    digits = path.stem.removeprefix(PREFIX)
    return int(digits) if digits.isascii() and digits.isdigit() else None
