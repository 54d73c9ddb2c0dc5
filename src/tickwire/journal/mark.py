"""The mark: a small file beside the journal that holds the newest sequence number that was reported as kept.

SQLite passes over the end of a write-ahead log that it can't read. It has to: a commit that a crash cut short looks
the same as one that was reported and damaged since. The mark tells the two apart, and how many commands are missing.
It is written after each commit and before the report, without an fsync: in a power cut it may fall behind.
"""

import logging
import os
import zlib
from pathlib import Path

from tickwire.journal.database import StoreError, failure

__all__ = ["MARK_NAME", "Mark", "read_mark"]

MARK_NAME = "acknowledged"
_NUMBER_BYTES, _CHECKSUM_BYTES = 8, 4

_log = logging.getLogger(__name__)


class Mark:
    """The mark of one directory, open for writing."""

    def __init__(self, directory: Path, sequence: int) -> None:
        """Begin at ``sequence``. Raises ``StoreError``."""
        self._path = directory / MARK_NAME
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise failure(self._path, error) from None
        try:
            self.set(sequence)
        except StoreError:
            self.close()
            raise

    def set(self, sequence: int) -> None:
        """Everything up to ``sequence`` is kept. Raises ``StoreError``."""
        try:
            # In place: on a full disk there is always room for what is there already.
            os.pwrite(self._descriptor, _encode(sequence), 0)
        except OSError as error:
            raise failure(self._path, error) from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read_mark(directory: Path) -> int:
    """The newest sequence number that was reported as kept; 0 when the mark is missing or can't be read."""
    path = directory / MARK_NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise failure(path, error) from None
    sequence = int.from_bytes(content[:_NUMBER_BYTES])
    if content and content != _encode(sequence):  # empty: killed before the first number
        _log.warning("%s: damaged, so it can't be checked whether the end of the journal is there", path)
        return 0
    return sequence


def _encode(sequence: int) -> bytes:
    number = sequence.to_bytes(_NUMBER_BYTES)
    return number + zlib.crc32(number).to_bytes(_CHECKSUM_BYTES)
