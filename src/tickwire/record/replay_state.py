"""What is known at one moment of a replay: the state of each topic, and what the REST API said until then."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from tickwire.record.format import FRAME, REST, STATE, Row
from tickwire.record.topic_state import FrameError, TopicStates
from tickwire.wire.rows import Kline
from tickwire.wire.topics import TopicKind

__all__ = ["ReplayState"]

# Candles kept of a symbol and interval: as many as a server keeps by default.
_CANDLES = 2_000
_MARKET = "/api/v1/market/"

# What a reply has to be for anything to be read from it; rows are passed on as they are.
_ROWS: Callable[[bytes], Any] = msgspec.json.Decoder(list[dict[str, Any]]).decode
_SHAPES: dict[str, Callable[[bytes], Any]] = {
    f"{_MARKET}kline": msgspec.json.Decoder(list[Kline]).decode,
    "/api/v1/trade/symbol": msgspec.json.Decoder(dict[str, list[str]]).decode,
}


class ReplayState:
    """Folds a recording's rows, in their order."""

    def __init__(self) -> None:
        self.topics = TopicStates()
        self.now = 0  # of the newest row, ns since the epoch
        self._replies: dict[str, Any] = {}  # decoded, by target
        self._candles: dict[tuple[str, str], dict[str, Kline]] = {}

    def apply(self, row: Row) -> None:
        """Take in the next row. A frame that can't be read changes nothing, and is counted in ``topics.failures``."""
        self.now = max(self.now, row.received)
        if row.kind == FRAME or row.kind == STATE:
            try:
                self.topics.apply(row.topic, row.data)
                if row.topic.startswith("kline."):
                    self._add_candles(row.topic)
            except FrameError:
                pass
        elif row.kind == REST:
            try:
                self._add_reply(row.topic, row.data)
            except (msgspec.MsgspecError, UnicodeError):
                self.topics.failures += 1

    def reply(self, path: str) -> Any:
        """The newest recorded reply of ``path``, decoded; ``None`` where there is none."""
        return self._replies.get(path)

    def rows(self, name: str) -> list[Any] | None:
        """The rows of a topic's SNAPSHOT; ``None`` for a topic of which nothing is known."""
        state = self.topics.states.get(name)
        try:
            return None if state is None else state.rows()
        except FrameError:
            return None

    def ticker(self, symbol: str) -> dict[str, Any] | None:
        """The newest ticker of a symbol, from topic and REST together."""
        found = next((row for row in self.reply(f"{_MARKET}ticker") or () if row.get("symbol") == symbol), None)
        rows = self.rows(f"{TopicKind.TICKER}.{symbol}")
        if rows:
            found = (found or {}) | rows[0]
        return found

    def symbols(self) -> list[str]:
        """Every symbol that anything is known of."""
        named = (row.get("symbol") for row in (*(self.reply(f"{_MARKET}contract") or ()), *self._tickers()))
        followed = (state.topic.symbol for state in self.topics.states.values())
        return [symbol for symbol in dict.fromkeys((*named, *followed)) if symbol]

    def candles(self, symbol: str, interval: str) -> list[Kline] | None:
        """Candles up to now, oldest first; ``None`` where none were recorded."""
        found = self._candles.get((symbol, interval))
        return None if found is None else [found[start] for start in sorted(found)]

    def _tickers(self) -> Iterable[dict[str, Any]]:
        return self.reply(f"{_MARKET}ticker") or ()

    def _add_reply(self, target: str, body: bytes) -> None:
        path, _, query = target.partition("?")
        reply = _SHAPES.get(path, _ROWS)(body)
        if path != f"{_MARKET}kline":
            self._replies[path] = reply
            return
        parameters = dict(part.partition("=")[::2] for part in query.split("&"))
        known = self._candles.setdefault((parameters.get("symbol", ""), parameters.get("interval", "")), {})
        for candle in reply:
            known[candle[0]] = candle

    def _add_candles(self, name: str) -> None:
        state = self.topics.states[name]
        known = self._candles.setdefault((state.topic.symbol, state.topic.interval), {})
        for candle in state.rows():
            try:
                known[candle[0]] = msgspec.convert(candle, Kline)
            except (msgspec.ValidationError, TypeError, LookupError):
                self.topics.failures += 1
        while len(known) > _CANDLES:
            del known[min(known)]
