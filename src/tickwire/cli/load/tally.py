"""What the frames of many readers add up to: counts, latencies, and whether each topic's frames follow one another.

A frame costs about a microsecond here. Its head is read by one regular expression, whatever its length; what does not
look like the usual head, from a server that orders its keys otherwise, is decoded as JSON, and gives the same.
"""

import re
from collections import Counter
from typing import Literal

import msgspec

from tickwire.cli.load.histogram import Histogram
from tickwire.wire.topics import TopicKind, parse_topic

__all__ = ["Head", "ReaderState", "Tally", "decode_head", "read_head"]

Head = tuple[bytes, int, bool]
"""Topic, ``ts`` in ns, and whether it is a SNAPSHOT."""

_match_head = re.compile(rb'\{"topic":"([^"\\]+)","ts":"(\d{1,19})","data":\[\{"actionType":"(SNAPSHOT|UPDATE)",').match


class _Part(msgspec.Struct):
    action: Literal["SNAPSHOT", "UPDATE"] = msgspec.field(name="actionType")


class _Frame(msgspec.Struct):
    topic: str
    ts: str
    data: list[msgspec.Raw]


class _DeltaRow(msgspec.Struct):
    seq: int
    previous: int = msgspec.field(name="prevSeq")


class _DeltaPart(msgspec.Struct):
    rows: list[_DeltaRow]


class _DeltaFrame(msgspec.Struct):
    data: list[_DeltaPart]


class _Reply(msgspec.Struct):
    success: bool = True
    args: list[str] = []
    error: str = ""
    message: str = ""


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_part = msgspec.json.Decoder(_Part).decode
_decode_delta = msgspec.json.Decoder(_DeltaFrame).decode
_decode_reply = msgspec.json.Decoder(_Reply).decode


def decode_head(payload: bytes) -> Head | None:
    """The head of a data frame, by decoding all of it; ``None`` of anything else."""
    try:
        frame = _decode_frame(payload)
        return frame.topic.encode(), int(frame.ts), _decode_part(frame.data[0]).action == "SNAPSHOT"
    except (msgspec.MsgspecError, ValueError, IndexError):
        return None


def read_head(payload: bytes) -> Head | None:
    """The same, without looking at the rest where the head is as usual."""
    match = _match_head(payload)
    if match is None:
        return decode_head(payload)
    topic, ts, action = match.groups()
    return topic, int(ts), action == b"SNAPSHOT"


class _Followed:
    """One topic of one reader."""

    __slots__ = ("always_whole", "numbered", "seen", "sequence", "ts")

    def __init__(self, topic: str) -> None:
        kind = parse_topic(topic).kind
        self.numbered = kind is TopicKind.ORDERBOOK_DELTA
        self.always_whole = kind is TopicKind.ORDERBOOK
        self.seen = False
        self.ts = 0
        self.sequence = 0


class ReaderState:
    """What one reader has received. ``group`` is a number that readers of the same topics share."""

    __slots__ = ("frames", "group", "missing", "refusal", "topics")

    def __init__(self, group: int, topics: tuple[str, ...]) -> None:
        self.group = group
        self.topics = {topic.encode(): _Followed(topic) for topic in topics}
        self.missing = len(topics)  # topics of which no frame has come
        self.frames = 0  # data frames since the measurement began
        self.refusal = ""  # what the server said against a topic


class Tally:
    """The sums of one process. ``offset`` (ns) leads from this machine's clock to the server's."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self.errors: Counter[str] = Counter()  # by code, of handshakes, operations and closes
        self.begin()

    def begin(self) -> None:
        """Count from here on; what readers know of their topics stays."""
        self.frames = self.bytes = self.reads = 0
        self.latency = Histogram()  # microseconds
        self.early = 0  # frames with a ts that had not come yet
        self.conflated = 0  # SNAPSHOTs in the midst of a topic of UPDATEs: the server has left something out
        self.gaps = 0  # deltas that do not follow the one before
        self.backwards = 0  # frames whose ts is before that of the one before
        self.unannounced = 0  # topics that began without a SNAPSHOT
        self.unknown = 0  # frames of no topic that was asked for, or that could not be read

    def take(self, state: ReaderState, payloads: list[bytes], now: int) -> None:
        """Count the messages of one read at ``now`` (ns, by this machine's clock)."""
        server_now = now + self._offset
        topics, record = state.topics, self.latency.record
        frames = 0
        for payload in payloads:
            head = read_head(payload)
            if head is None:
                self._take_reply(state, payload)
                continue
            topic, ts, snapshot = head
            frames += 1
            followed = topics.get(topic)
            if followed is None:
                self.unknown += 1
                continue
            if followed.seen:
                microseconds = (server_now - ts) // 1000
                if microseconds < 0:
                    self.early += 1
                    microseconds = 0
                record(microseconds)
                if ts < followed.ts:
                    self.backwards += 1
                if snapshot and not followed.always_whole:
                    self.conflated += 1
            else:
                # Its ts is of the state's last change: no latency.
                followed.seen = True
                state.missing -= 1
                self.unannounced += not snapshot
            followed.ts = ts
            if followed.numbered:
                self._follow(followed, payload, snapshot)
        state.frames += frames
        self.frames += frames

    def _follow(self, followed: _Followed, payload: bytes, snapshot: bool) -> None:
        try:
            row = _decode_delta(payload).data[0].rows[0]
        except (msgspec.MsgspecError, IndexError):
            self.unknown += 1
            return
        if not snapshot and row.previous != followed.sequence:
            self.gaps += 1
        followed.sequence = row.seq

    def _take_reply(self, state: ReaderState, payload: bytes) -> None:
        try:
            reply = _decode_reply(payload)
        except msgspec.MsgspecError:
            self.unknown += 1
            return
        if not reply.success:
            self.errors[reply.error or "refused"] += 1
            state.refusal = f"{', '.join(reply.args[:3])}: {reply.error}: {reply.message}"
