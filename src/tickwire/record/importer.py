"""Makes a recording of files of other venues, row by row, all files merged by time."""

import contextlib
import csv
import gzip
import heapq
import io
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Literal, Protocol

import msgspec

from tickwire import __version__
from tickwire.record.format import CONNECTED, FORMAT, FRAME, LOST, REST, STATE, Header
from tickwire.record.format import Row as RecordingRow
from tickwire.record.import_binance import binance_source
from tickwire.record.import_events import BadFile, BadRow, Event, Row, Source
from tickwire.record.import_market import MarketBuilder
from tickwire.record.import_tardis import tardis_source
from tickwire.record.topic_state import TopicStates
from tickwire.record.writer import RecordingWriter
from tickwire.wire import rows

__all__ = ["FORMATS", "Format", "Imported", "import_files"]

Format = Literal["tardis-csv", "binance-csv"]
FORMATS: dict[str, Callable[[str, list[str] | None], Source]] = {
    "tardis-csv": tardis_source,
    "binance-csv": binance_source,
}
# Assets that prices are in, for the symbol's quoteCurrency.
_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "BTC", "ETH", "BNB", "EUR")
# Rows between two words on the progress.
_STEP = 5_000
# Far above any row of these files; a longer one is no row, but a file without line ends.
_MAX_FIELD = 1_000_000


class Imported(msgspec.Struct):
    """What came of an import."""

    rows: int = 0
    frames: int = 0
    skipped: dict[str, int] = {}  # rows passed over, by file
    first_skipped: dict[str, str] = {}  # why, of the first in each file


class Progress(Protocol):
    """Told now and then how many bytes of all files have been read."""

    def __call__(self, done: int, /) -> None: ...


def import_files(
    format: Format,
    paths: Sequence[Path],
    directory: Path,
    symbol: str,
    *,
    intervals: Sequence[str],
    skip_bad: bool,
    progress: Progress = lambda _done: None,
) -> Imported:
    """Write a recording of ``symbol`` into ``directory``; candles of ``intervals`` are made from trades.

    Raises ``BadFile`` for what can't be used, and for a row that can't be unless ``skip_bad``, and ``RecordingError``.
    What was read until then is in the recording.
    """
    imported = Imported()
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(_File(path, FORMATS[format])) for path in paths]
        templates = dict.fromkeys(template for file in files for template in file.source.topics)
        topics = tuple(
            dict.fromkeys(
                template.format(symbol=symbol, interval=interval)
                for template in templates
                for interval in (intervals if "{interval}" in template else ("",))
            )
        )
        states = TopicStates()

        def checkpoint(received: int) -> Iterator[RecordingRow]:
            for target, body in _rest(symbol):
                yield RecordingRow(received, REST, 1, target, body)
            for name, payload in states.snapshots():
                yield RecordingRow(received, STATE, 1, name, payload)

        header = Header(FORMAT, __version__, f"import:{format}", topics, time.time_ns())
        writer = stack.enter_context(RecordingWriter(directory, header, checkpoint=checkpoint))
        builder = MarketBuilder(symbol, intervals)

        def refuse(file: _File, row: Row, error: BadRow) -> None:
            text = f"{file.path}: line {row.line}: {error}"
            if not skip_bad:
                raise BadFile(f"{text}; --skip-bad passes over such rows and counts them")
            name = str(file.path)
            imported.skipped[name] = imported.skipped.get(name, 0) + 1
            imported.first_skipped.setdefault(name, text)

        last = 0
        merged = heapq.merge(*(file.events(refuse) for file in files), key=lambda event: event.received)
        for event in merged:
            if not imported.rows:
                writer.append(event.received, CONNECTED, 1, "", header.url.encode())
            imported.rows += 1
            last = event.received
            for topic, frame in builder.frames(event):
                writer.append(event.received, FRAME, 1, topic, frame)
                states.apply(topic, frame)
                imported.frames += 1
            if imported.rows % _STEP == 0:
                progress(sum(file.done for file in files))
        if imported.rows:
            writer.append(last, LOST, 1, "", b"the files end here")
        progress(sum(file.done for file in files))
    return imported


def _rest(symbol: str) -> Iterator[tuple[str, bytes]]:
    """What a replay answers of the symbol itself: its name, and nothing that the files do not tell."""
    base, _, kind = symbol.partition(".")
    contract = rows.Contract(symbol, next((quote for quote in _QUOTES if base.endswith(quote)), base), *[None] * 12)
    yield "/api/v1/market/contract", msgspec.json.encode([contract])
    names = {"spot": [] if kind else [symbol], "perpetualSwap": [symbol] if kind else []}
    yield "/api/v1/trade/symbol", msgspec.json.encode(names)


class _File:
    """One CSV file, plain or within gzip or zip, open from its header on."""

    def __init__(self, path: Path, source: Callable[[str, list[str] | None], Source]) -> None:
        self.path = path
        self._stack = contextlib.ExitStack()
        try:
            self._raw = self._stack.enter_context(path.open("rb"))
            text = io.TextIOWrapper(self._unpacked(self._raw), encoding="utf-8", newline="")
            csv.field_size_limit(_MAX_FIELD)
            self._reader = csv.reader(text)
            with self._reading():
                first = next(self._reader, None)
            if not first:
                raise BadFile(f"{path}: expected rows, got an empty file")
            # Only a header begins with a letter.
            header = None if first[0][:1].isdigit() else [name.strip().lstrip("\ufeff") for name in first]
            self.source = source(str(path), header)
            self._pending = [first] if header is None else []
            self._width = len(first)
        except BaseException as error:
            self._stack.close()
            if isinstance(error, OSError):
                raise BadFile(f"{path}: can't be read: {error.strerror or error}") from None
            raise

    @property
    def done(self) -> int:
        """Bytes of the file that have been read."""
        return self._raw.tell() if not self._raw.closed else 0

    def events(self, refuse: Callable[["_File", Row, BadRow], None]) -> Iterator[Event]:
        """The events of the rows. Raises ``BadFile`` where the file can't be read any further."""
        return self.source.events(self._rows(refuse), lambda row, error: refuse(self, row, error))

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _unpacked(self, raw: IO[bytes]) -> IO[bytes]:
        start = raw.read(4)
        raw.seek(0)
        if start.startswith(b"\x1f\x8b"):
            return self._stack.enter_context(io.BufferedReader(gzip.GzipFile(fileobj=raw)))
        if start.startswith(b"PK"):
            try:
                archive = self._stack.enter_context(zipfile.ZipFile(raw))
                names = archive.namelist()
                if len(names) != 1:
                    raise BadFile(f"{self.path}: expected an archive of one file, got one of {len(names)}")
                return self._stack.enter_context(archive.open(names[0]))
            except (zipfile.BadZipFile, NotImplementedError) as error:
                raise BadFile(f"{self.path}: expected a whole archive, got a damaged one: {error}") from None
        return raw

    def _rows(self, refuse: Callable[["_File", Row, BadRow], None]) -> Iterator[Row]:
        for values in self._pending:
            yield Row(1, values)
        while True:
            with self._reading():
                found = next(self._reader, None)
            if found is None:
                return
            row = Row(self._reader.line_num, found)
            if len(found) != self._width:
                if found:  # not an empty line
                    refuse(self, row, BadRow(f"expected {self._width} columns, got {len(found)}"))
                continue
            yield row

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, zipfile.BadZipFile, csv.Error, UnicodeDecodeError, OSError) as error:
            line = getattr(self, "_reader", None)
            number = 1 if line is None else line.line_num + 1
            raise BadFile(f"{self.path}: line {number}: expected more rows, got a damaged file: {error}") from None
