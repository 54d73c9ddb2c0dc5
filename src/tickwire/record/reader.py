"""Reads a recording: its rows in order across files, from a time on, with a bounded part of it in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tickwire.record.format import (
    CONNECTED,
    FINISHED,
    FRAME,
    LOST,
    STATE,
    UNFINISHED,
    Header,
    RecordingError,
    Row,
    arrow,
    arrow_errors,
    file_number,
    read_header,
)
from tickwire.record.stream_file import read_stream

__all__ = ["FileSummary", "Gap", "Recording", "Report"]

_BATCH_ROWS = 2_048


class FileSummary(msgspec.Struct, frozen=True):
    """A file and the times of its first and last row by value, ns since the epoch."""

    path: Path
    rows: int
    first: int
    last: int


class Gap(msgspec.Struct, frozen=True):
    """Where nothing was received. ``back`` is ``None`` when the recording ends with it. Times in ns since the epoch."""

    lost: int
    back: int | None
    reason: str


class Report(msgspec.Struct):
    """What a recording holds, and what is wrong with it."""

    files: int = 0
    rows: int = 0
    frames: int = 0
    bytes: int = 0
    first: int | None = None
    last: int | None = None
    topics: dict[str, int] = {}  # with their numbers of frames
    gaps: list[Gap] = []
    problems: list[str] = []


class Recording:
    """The recording in a directory, which may still be growing. Raises ``RecordingError`` where there is none."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.header = _header(self.paths()[0])

    def paths(self) -> list[Path]:
        """The files, in their order. A number has its finished file where there are both."""
        try:
            found = {number: path for path in sorted(self.directory.iterdir()) if (number := file_number(path))}
            # "arrows" sorts before "parquet", so the finished file has won.
        except OSError as error:
            raise RecordingError(f"{self.directory}: can't be read: {error.strerror}") from None
        if not found:
            raise RecordingError(f"{self.directory}: expected a recording, got a directory without any of its files")
        return [found[number] for number in sorted(found)]

    def batches(self, start: int | None = None, *, whole_file: bool = False) -> Iterator[list[Row]]:
        """All rows in order, some thousand at a time; with ``start`` (ns since the epoch) those from there on.

        The order is that of receipt, which is that of ``received`` unless the recorder's clock was set. Rows before
        ``start`` may come, as row groups are left out whole. With ``whole_file`` all of the file in which ``start`` is
        comes: its states and what follows them give the state at ``start``. Raises ``RecordingError`` at a damaged
        file.
        """
        for path in self.paths():
            if start is not None and self.summary(path).last < start:
                continue
            yield from _batches(path, None if whole_file else start)
            start = None

    def rows(self, start: int | None = None) -> Iterator[Row]:
        """The rows from ``start`` on, as ``batches``, one by one."""
        for batch in self.batches(start):
            yield from batch if start is None else (row for row in batch if row.received >= start)

    def bounds(self) -> tuple[int, int]:
        """The least and the largest time of a row, ns since the epoch. Raises ``RecordingError``."""
        found = [summary for summary in map(self.summary, self.paths()) if summary.rows]
        if not found:
            raise RecordingError(f"{self.directory}: expected a recording with rows, got an empty one")
        return min(summary.first for summary in found), max(summary.last for summary in found)

    def topics(self) -> list[str]:
        """Every topic that was asked for while it was recorded. Raises ``RecordingError``."""
        return list(dict.fromkeys(topic for path in self.paths() for topic in _header(path).topics))

    def summary(self, path: Path) -> FileSummary:
        """A file's bounds. Raises ``RecordingError`` when it can't be read."""
        if path.suffix == UNFINISHED and path.exists():
            times = [row.received for batch in _batches(path, None) for row in batch]
            return FileSummary(path, len(times), min(times, default=0), max(times, default=0))
        with _opened(path.with_suffix(FINISHED)) as file:
            groups = [file.metadata.row_group(place).column(0).statistics for place in range(file.num_row_groups)]
            rows = file.metadata.num_rows
            if not groups:
                return FileSummary(path, rows, 0, 0)
            return FileSummary(path, rows, min(each.min_raw for each in groups), max(each.max_raw for each in groups))

    def check(self) -> Report:
        """Read everything, checksums included."""
        report = Report()
        lost: Row | None = None
        numbers = []
        for path in self.paths():
            report.files += 1
            numbers.append(file_number(path) or 0)
            try:
                for batch in _batches(path, None, checksums=True):
                    for row in batch:
                        lost = _count(report, row, lost)
            except RecordingError as error:
                report.problems.append(str(error))
        if lost is not None:
            report.gaps.append(Gap(lost.received, None, lost.data.decode(errors="replace")))
        missing = sorted(set(range(numbers[0], numbers[-1])) - set(numbers))
        report.problems += [f"{self.directory}: expected a file of number {number}, got none" for number in missing]
        return report


def _header(path: Path) -> Header:
    if path.suffix == UNFINISHED and path.exists():
        return read_header(path, read_stream(path).schema)
    with _opened(path.with_suffix(FINISHED)) as file:
        return read_header(path, file.schema_arrow)


def _count(report: Report, row: Row, lost: Row | None) -> Row | None:
    """Add a row to the report; the last ``lost`` row that none has answered."""
    if row.kind == STATE:
        return lost
    report.rows += 1
    report.bytes += len(row.data)
    report.first = row.received if report.first is None else report.first
    report.last = row.received
    if row.kind == FRAME:
        report.frames += 1
        report.topics[row.topic] = report.topics.get(row.topic, 0) + 1
    elif row.kind == LOST:
        return row
    elif row.kind == CONNECTED and lost is not None:
        report.gaps.append(Gap(lost.received, row.received, lost.data.decode(errors="replace")))
        return None
    return lost


def _opened(path: Path, *, checksums: bool = False) -> Any:
    try:
        return arrow().parquet.ParquetFile(path, page_checksum_verification=checksums)
    except arrow_errors() as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> RecordingError:
    return RecordingError(
        f"{path}: expected a whole file of a recording, got a damaged one: {str(error).splitlines()[0]}; "
        "move it away to use the others"
    )


def _batches(path: Path, start: int | None, *, checksums: bool = False) -> Iterator[list[Row]]:
    """The rows of one file; ``start`` leaves out what is known to be older."""
    if path.suffix == UNFINISHED and path.exists():
        for batch in read_stream(path):
            yield _rows(batch)
        return
    path = path.with_suffix(FINISHED)  # also of one that was finished since it was listed
    with _opened(path, checksums=checksums) as file:
        read_header(path, file.schema_arrow)
        try:
            places = [
                place
                for place in range(file.num_row_groups)
                if start is None or file.metadata.row_group(place).column(0).statistics.max_raw >= start
            ]
            for batch in file.iter_batches(_BATCH_ROWS, places):
                yield _rows(batch)
        except arrow_errors() as error:
            raise _damaged(path, error) from None


def _rows(batch: Any) -> list[Row]:
    columns = (batch["received"].cast("int64"), *(batch[name] for name in ("kind", "connection", "topic", "data")))
    return list(map(Row._make, zip(*(column.to_pylist() for column in columns), strict=True)))
