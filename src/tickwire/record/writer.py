"""Writes a recording: rows to an Arrow stream, and each full one, behind the recorder's back, to Parquet.

Rows are gathered and written in batches, at the latest when ``flush`` is called; a killed process loses what was
gathered since. All else is safe: an unfinished file is finished by the next writer, with a row that says so.
"""

import concurrent.futures
import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tickwire.record.format import (
    ASIDE,
    FINISHED,
    LOCK,
    LOST,
    PREFIX,
    UNFINISHED,
    Header,
    RecordingError,
    Row,
    arrow,
    arrow_errors,
    file_name,
    file_number,
    schema,
)
from tickwire.record.stream_file import read_stream

__all__ = ["RecordingWriter"]

ROTATE_SIZE = 512 * 1024 * 1024  # bytes of frames: some 50 to 100 MB as Parquet
ROTATE_EVERY = 3_600_000_000_000

# A batch of the stream: small enough to hold little back, large enough that its frame of some 500 bytes is nothing.
_BATCH_ROWS = 4_096
_BATCH_BYTES = 1024 * 1024
# A row group: what a reader has to decode to get at one row.
_GROUP_ROWS = 65_536
_GROUP_BYTES = 16 * 1024 * 1024

_KILLED = b"the recorder was stopped without closing the file"


class RecordingWriter:
    """Appends rows to the recording in ``directory``, which is made where there is none.

    A file is full at ``rotate_size`` bytes of data or after ``rotate_every`` ns by the rows' times. ``checkpoint``
    gives the rows that a new file begins with. Raises ``RecordingError``; another writer's directory is refused.
    """

    def __init__(
        self,
        directory: Path,
        header: Header,
        *,
        rotate_size: int = ROTATE_SIZE,
        rotate_every: int = ROTATE_EVERY,
        checkpoint: Callable[[int], Iterable[Row]] = lambda _received: (),
    ) -> None:
        arrow()
        self.directory = directory
        self.header = header
        self.rows = 0  # ever, without those of checkpoints
        self.bytes = 0  # of their data
        self.last_connection = 0  # of what was there before
        self._rotate_size = rotate_size
        self._rotate_every = rotate_every
        self._checkpoint = checkpoint
        self._columns: tuple[list[int], list[str], list[int], list[str], list[bytes]] = ([], [], [], [], [])
        self._waiting = 0  # bytes in the columns
        self._stream: _Stream | None = None
        self._converter = concurrent.futures.ThreadPoolExecutor(1, "recording")
        self._conversions: list[concurrent.futures.Future[None]] = []
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise RecordingError(f"{error.filename}: can't be written: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise RecordingError(f"{directory}: another recorder writes here; choose another directory") from None
        try:
            self._number = self._finish_what_is_left()
        except BaseException:
            os.close(self._lock)
            raise

    def append(self, received: int, kind: str, connection: int, topic: str, data: bytes) -> None:
        """Add one row. Raises ``RecordingError`` when the disk does not take it."""
        stream = self._stream
        if stream is None or stream.full(received, self._waiting):
            stream = self._next_stream(received)
        times, kinds, connections, topics, datas = self._columns
        times.append(received)
        kinds.append(kind)
        connections.append(connection)
        topics.append(topic)
        datas.append(data)
        self.rows += 1
        self.bytes += len(data)
        self._waiting += len(data)
        if self._waiting >= _BATCH_BYTES or len(times) >= _BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Hand what was gathered to the system: a killed process does not lose it any more."""
        columns = self._columns
        if not columns[0] or self._stream is None:
            return
        self._columns = ([], [], [], [], [])
        self._stream.write(columns, self._waiting)
        self._waiting = 0

    def rotate(self) -> None:
        """End the current file; the next row begins another. It becomes Parquet meanwhile, in a thread."""
        self.flush()
        stream, self._stream = self._stream, None
        if stream is None:
            return
        stream.close()
        for finished in [each for each in self._conversions if each.done()]:
            finished.result()
            self._conversions.remove(finished)
        self._conversions.append(self._converter.submit(_finish, stream.path))

    def close(self) -> None:
        """End the current file, wait until all are Parquet, and let the directory go."""
        try:
            self.rotate()
            for conversion in self._conversions:
                conversion.result()
        finally:
            self._converter.shutdown()
            os.close(self._lock)

    def __enter__(self) -> "RecordingWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next_stream(self, received: int) -> "_Stream":
        self.rotate()
        self._number += 1
        header = msgspec.structs.replace(self.header, number=self._number)
        self._stream = _Stream(
            self.directory / file_name(self._number, UNFINISHED),
            header,
            until=received + self._rotate_every,
            size=self._rotate_size,
        )
        state = list(self._checkpoint(received))
        if state:
            columns = tuple(map(list, zip(*state, strict=True)))
            self._stream.write(columns, sum(len(row.data) for row in state))
            self._stream.size = 0  # a file of nothing but large states would be full at once
        return self._stream

    def _finish_what_is_left(self) -> int:
        """Make Parquet of what a killed writer left; the highest number in use."""
        numbers = [0]
        for path in self.directory.glob(f"{PREFIX}*{ASIDE}"):
            path.unlink()  # of a conversion that did not come to its end
        for path in sorted(self.directory.iterdir()):
            number = file_number(path)
            if number is None:
                continue
            numbers.append(number)
            if path.suffix == UNFINISHED:
                if path.with_suffix(FINISHED).exists():
                    path.unlink()  # killed between the two steps of _finish
                else:
                    _finish(path)
        for path in sorted(self.directory.glob(f"*{FINISHED}"), reverse=True):
            if file_number(path) is not None:
                self.last_connection = _last_connection(path)
                break
        return max(numbers)


class _Stream:
    """The unfinished file."""

    def __init__(self, path: Path, header: Header, *, until: int, size: int) -> None:
        pa = arrow()
        self.path = path
        self.size = 0
        self._until = until
        self._limit = size
        self._schema = schema(header)
        with _writing(path):
            self._sink = pa.OSFile(str(path), "wb")
            self._writer = pa.ipc.new_stream(self._sink, self._schema)

    def full(self, received: int, waiting: int) -> bool:
        """Whether the next row belongs to another file."""
        return received >= self._until or self.size + waiting >= self._limit

    def write(self, columns: tuple[list[Any], ...], size: int) -> None:
        """Write one batch; ``size`` is that of its data."""
        pa = arrow()
        arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        with _writing(self.path):
            self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self.size += size

    def close(self) -> None:
        """End the stream."""
        with _writing(self.path):
            self._writer.close()
            self._sink.close()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say of which file it is that the disk is full."""
    try:
        yield
    except OSError as error:
        raise RecordingError(f"{path}: can't be written: {error.strerror or error}") from None


def _finish(path: Path) -> None:
    """Make an Arrow stream a Parquet file of the same number; if its writer was killed, with a row that says so."""
    pa = arrow()
    batches = read_stream(path)
    found = batches.schema
    aside = path.with_suffix(ASIDE)
    last: tuple[int, int] | None = None
    with _writing(aside):
        with pa.parquet.ParquetWriter(
            aside,
            found,
            compression="zstd",
            # Frames do not repeat; kinds and topics do, and times grow.
            use_dictionary=["kind", "topic"],
            column_encoding={"received": "DELTA_BINARY_PACKED"},
            # To find a time by, and a connection; the least and the largest frame are of no use to anybody.
            write_statistics=["received", "connection"],
            write_page_checksum=True,
        ) as writer:
            group: list[Any] = []
            for batch in batches:
                group.append(batch)
                if batch.num_rows:
                    last = batch["received"][-1].value, batch["connection"][-1].as_py()
                if (
                    sum(each.num_rows for each in group) >= _GROUP_ROWS
                    or sum(each.nbytes for each in group) >= _GROUP_BYTES
                ):
                    writer.write_table(pa.Table.from_batches(group))
                    group = []
            if not batches.ended:
                received, connection = last or (time.time_ns(), 0)
                columns = ([received], [LOST], [connection], [""], [_KILLED])
                arrays = [pa.array(values, field.type) for values, field in zip(columns, found, strict=True)]
                group.append(pa.record_batch(arrays, schema=found))
            if group:
                writer.write_table(pa.Table.from_batches(group))
        _sync(aside)
        aside.replace(path.with_suffix(FINISHED))
        _sync(path.parent)
        path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _last_connection(path: Path) -> int:
    """The highest connection number in a finished file."""
    pa = arrow()
    try:
        with pa.parquet.ParquetFile(path) as file:
            column = file.schema_arrow.get_field_index("connection")
            groups = (file.metadata.row_group(place) for place in range(file.num_row_groups))
            return max((group.column(column).statistics.max for group in groups), default=0)
    except arrow_errors():
        return 0  # a damaged file is its reader's affair, and keeps nobody from recording on
