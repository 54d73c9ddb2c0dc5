"""A small feed that holds back commits, and a reader of server frames."""

import zlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tickwire.bus.feed import Listener
from tickwire.wire.envelope import data_frame
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import TopicKey, TopicKind, parse_topic

TICKER = "ticker.BTCUSDT.PERP"
BOOK = "orderbook.BTCUSDT.PERP"
KLINE = "kline.1.BTCUSDT.PERP"
ORDER = "account.order"


def key(name: str, account: str = "alice") -> TopicKey:
    return TopicKey.of(parse_topic(name), account)


class ManualTimer:
    def __init__(self, due: float, callback: Callable[[], object]) -> None:
        self.due = due
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualTimers:
    """A loop whose turns and time are the test's."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turn: list[Callable[[], object]] = []
        self.waiting: list[ManualTimer] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], object]) -> None:
        self.turn.append(callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> ManualTimer:
        timer = ManualTimer(self.now + delay, callback)
        self.waiting.append(timer)
        return timer

    def end_turn(self) -> None:
        turn, self.turn = self.turn, []
        for callback in turn:
            callback()

    def advance(self, seconds: float) -> None:
        """Let time go by; what is due happens at its time, with all the turns that it takes."""
        end = self.now + seconds
        while True:
            while self.turn:
                self.end_turn()
            due = [timer for timer in self.waiting if not timer.cancelled and timer.due <= end]
            if not due:
                break
            timer = min(due, key=lambda timer: timer.due)
            self.waiting.remove(timer)
            self.now = max(self.now, timer.due)
            timer.callback()
        self.now = end


class MemoryFeed:
    """Each topic's state is a number. What changes it is published at once, or, while held, as it is committed.

    Stricter than it has to be: it fails on a join or settle from within one of its own calls, where a real feed would
    bring a repeat, and on a leave too many.
    """

    def __init__(self) -> None:
        self.versions: Counter[TopicKey] = Counter()
        self.interest: Counter[TopicKey] = Counter()
        self.held = False
        self.late = False  # the states are not known yet
        self.padding = ""  # makes every payload larger
        self._outputs: deque[Callable[[], None]] = deque()
        self._calling = False
        self._listener: Listener | None = None

    def refusal(self, key: TopicKey) -> ApiError | None:
        symbol = key.topic.symbol
        return ApiError("InvalidSymbol", f"no symbol {symbol!r}") if symbol.startswith("NONE") else None

    def listen(self, listener: Listener) -> None:
        assert self._listener is None
        self._listener = listener

    def join(self, keys: Sequence[TopicKey], then: Callable[[Sequence[bytes | None]], None]) -> None:
        assert not self._calling
        self.interest.update(keys)
        snapshots = [None if self.late else self._render(key, "SNAPSHOT") for key in keys]
        self._output(lambda: then(snapshots))

    def leave(self, key: TopicKey) -> None:
        assert self.interest[key] > 0
        self.interest[key] -= 1

    def settle(self, then: Callable[[], None]) -> None:
        assert not self._calling
        self._output(then)

    def change(self, key: TopicKey) -> None:
        """The next state of a topic."""
        self.versions[key] += 1
        self._publish(key, "UPDATE")

    def reveal(self, key: TopicKey) -> None:
        """The state of a topic becomes known."""
        self._publish(key, "SNAPSHOT")

    def _publish(self, key: TopicKey, action: str) -> None:
        if self.interest[key]:
            listener, payload = self._listener, self._render(key, action)
            assert listener is not None
            self._output(lambda: listener(key, payload))

    def commit(self, count: int | None = None) -> None:
        """Let out what is held, or the first ``count`` of it."""
        for _ in range(len(self._outputs) if count is None else min(count, len(self._outputs))):
            self._call(self._outputs.popleft())

    def _render(self, key: TopicKey, action: str) -> bytes:
        version = self.versions[key]
        return data_frame(key.topic.name, version, action, [version, self.padding])  # type: ignore[arg-type]

    def _output(self, output: Callable[[], None]) -> None:
        if self.held or self._outputs:
            self._outputs.append(output)
        else:
            self._call(output)

    def _call(self, output: Callable[[], None]) -> None:
        self._calling = True
        try:
            output()
        finally:
            self._calling = False


def read_frames(data: bytes) -> list[tuple[int, bytes]]:
    """Every whole frame of a server as (opcode, payload), inflated where it says so; fails on anything else."""
    frames = []
    while data:
        first, size = data[0], data[1]
        assert size < 128, "a server must not mask"
        start = 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        payload = data[start : start + size]
        assert len(payload) == size
        data = data[start + size :]
        if first & 0x40:
            payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
        assert first & 0xB0 == 0x80, "expected a final frame without RSV2 and RSV3"
        frames.append((first & 0x0F, payload))
    return frames


def read_messages(data: bytes) -> list[dict[str, object]]:
    """The JSON objects of text frames."""
    frames = read_frames(data)
    assert all(opcode == 1 for opcode, _ in frames)
    return [msgspec.json.decode(payload) for _, payload in frames]


DELTA = "orderbook.delta.BTCUSDT.PERP"
POSITION = "account.position"
CANDLE = 4  # versions


class ShapedFeed(MemoryFeed):
    """A feed whose rows have the shapes of the API's, each version of a topic with a state of its own.

    ``truth`` is what a reader knows that has read everything up to a version, which is also the ``ts``.
    """

    def _render(self, key: TopicKey, action: str) -> bytes:
        version, kind = self.versions[key], key.topic.kind
        if action == "SNAPSHOT" or kind is TopicKind.ORDERBOOK:
            return data_frame(key.topic.name, version, "SNAPSHOT", rows_of_state(kind, version))
        return data_frame(key.topic.name, version, "UPDATE", rows_of_change(kind, version))


def rows_of_state(kind: TopicKind, version: int) -> list[Any]:
    """The rows of a SNAPSHOT: that of the reader who has folded every change."""
    state: Any = None
    if kind is TopicKind.EXECUTION:
        return []
    for each in range(version + 1):
        for row in rows_of_change(kind, each):
            state = fold(state, row)
    if kind is TopicKind.ORDERBOOK_DELTA:
        return [{"seq": version, "prevSeq": version, "bids": list(state["bids"].items()), "asks": []}]
    if kind is TopicKind.POSITION:
        return [{"symbol": symbol} | row for symbol, row in state.items()]
    return [state]


def rows_of_change(kind: TopicKind, version: int) -> list[Any]:
    """The rows of the UPDATE that leads to a version."""
    number = str(version)
    if kind is TopicKind.TICKER:
        return [{"symbol": "BTCUSDT.PERP", f"field{version % 3}": number}]
    if kind is TopicKind.KLINE:
        return [[str(version // CANDLE), number]]
    if kind is TopicKind.ORDERBOOK_DELTA:
        return [{"seq": version, "prevSeq": version - 1, "bids": [[str(version % 3), number]], "asks": []}]
    if kind is TopicKind.ORDERBOOK:
        return [{"symbol": "BTCUSDT.PERP", "bids": [["1", number]], "asks": []}]
    if kind is TopicKind.POSITION:
        return [{"symbol": f"S{version % 2}", "positionQty": number}]
    return [{"number": number}]


def fold(state: Any, row: Any) -> Any:
    """What a reader knows after one more row."""
    if isinstance(row, list) or ("bids" in row and "seq" not in row):
        return row
    if "seq" in row:
        return {"bids": {**(state or {}).get("bids", {}), **dict(row["bids"])}}
    if "positionQty" in row:
        return {**(state or {}), row["symbol"]: {"positionQty": row["positionQty"]}}
    return {**(state or {}), **row}
