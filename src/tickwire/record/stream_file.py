"""Reads the unfinished file of a recording: an Arrow stream, up to wherever it ends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tickwire.record.format import Header, RecordingError, arrow, arrow_errors, read_header, schema

__all__ = ["StreamFile", "read_stream"]


# What a writer puts behind its last batch; a reader takes the mere end of the file for it.
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class StreamFile:
    """The whole batches of an Arrow stream; what stands behind the last of them is left out."""

    def __init__(self, schema: Any, source: Any = None, reader: Any = None, *, ended: bool = False) -> None:
        self.schema = schema
        self.ended = ended  # whether its writer had come to the end
        self._source = source
        self._reader = reader

    def __iter__(self) -> Iterator[Any]:
        if self._reader is None:
            return
        with self._source:
            while True:
                try:
                    batch = self._reader.read_next_batch()
                    # What a power cut leaves may have the form of a batch and offsets that lead anywhere.
                    batch.validate(full=True)
                except arrow_errors():
                    return
                yield batch


def read_stream(path: Path) -> StreamFile:
    """Open an unfinished file.

    Raises ``RecordingError`` for a file that is not of a recording; one that ends within its first bytes, as when its
    writer was killed at once, has no batches.
    """
    pa = arrow()
    try:
        source = pa.OSFile(str(path), "rb")
    except OSError as error:
        raise RecordingError(f"{path}: can't be read: {error.strerror or error}") from None
    try:
        reader = pa.ipc.open_stream(source)
    except arrow_errors() as error:
        size = path.stat().st_size
        source.close()
        if size > 4096:
            raise RecordingError(f"{path}: expected an unfinished file of a recording, got another: {error}") from None
        return StreamFile(schema(Header(1, "", "", (), 0)))
    read_header(path, reader.schema)
    place = source.tell()
    source.seek(max(place, source.size() - len(_END)))
    ended = source.read() == _END
    source.seek(place)
    return StreamFile(reader.schema, source, reader, ended=ended)
