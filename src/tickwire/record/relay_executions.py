"""Executions that happened while a relay's upstream was away.

Executions are happenings: no SNAPSHOT makes good what was missed of them. After each reconnect the history is read
from the newest time that had been seen, and what is new in it is passed on before anything else of the topic. Ids tell
what is known already, so that nothing comes twice.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import msgspec

from tickwire.record.topic_state import FrameError
from tickwire.wire import rows
from tickwire.wire.envelope import data_frame
from tickwire.wire.topics import TopicKind

__all__ = ["EXECUTIONS", "SeenExecutions"]

EXECUTIONS = TopicKind.EXECUTION.value

# Ids kept: those of the newest point in time are what counts, and this is far more than ever happen at one.
_REMEMBERED = 20_000


class _Part(msgspec.Struct):
    action: str = msgspec.field(name="actionType")
    rows: list[dict[str, Any]] = []


class _Frame(msgspec.Struct):
    ts: str
    data: list[_Part]


_decode = msgspec.json.Decoder(_Frame).decode


class SeenExecutions:
    """Which executions have been passed on, and up to which time."""

    def __init__(self) -> None:
        self.newest = 0
        """``ts`` of the newest frame, ns since the epoch; 0 before the first."""
        self._ids: OrderedDict[str, None] = OrderedDict()

    def take(self, data: bytes) -> bytes | None:
        """A frame of the topic, less what is known of it; ``None`` when that is all. Raises ``FrameError``."""
        try:
            frame = _decode(data)
            time = int(frame.ts)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
            raise FrameError(f"expected a frame of executions, got {data[:40]!r}: {error}") from None
        known = [row for part in frame.data for row in part.rows if row.get("execId") in self._ids]
        self._remember(row.get("execId") for part in frame.data for row in part.rows)
        self.newest = max(self.newest, time)
        if not known:
            return data
        fresh = [row for part in frame.data for row in part.rows if row not in known]
        return data_frame(EXECUTIONS, self.newest, "UPDATE", fresh) if fresh else None

    def missed(self, history: Iterable[rows.Execution]) -> bytes | None:
        """The frame for those of a history, newest first, that are not known; ``None`` when all are."""
        fresh = [row for row in history if row.exec_id not in self._ids]
        if not fresh:
            return None
        fresh.reverse()
        fresh.sort(key=lambda row: int(row.transact_time))  # a history is sorted by order
        self._remember(row.exec_id for row in fresh)
        self.newest = max(self.newest, int(fresh[-1].transact_time))
        return data_frame(EXECUTIONS, self.newest, "UPDATE", fresh)

    def _remember(self, ids: Iterable[Any]) -> None:
        for id in ids:
            self._ids[id] = None
        while len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)
