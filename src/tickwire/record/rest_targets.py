"""What a replay of market data needs of a server's REST API besides the stream."""

from collections.abc import Iterable

from tickwire.wire.topics import TopicKind, parse_topic

__all__ = ["targets"]

_FIXED = (
    "/api/v1/market/contract",
    "/api/v1/market/ticker",
    "/api/v1/market/funding-info",
    "/api/v1/market/fee-rate",
    "/api/v1/trade/symbol",
)


def targets(topics: Iterable[str]) -> list[str]:
    """What to ask for beside ``topics``; the candles before those of each ``kline`` topic are among it."""
    parsed = map(parse_topic, topics)
    return [
        *_FIXED,
        *(
            f"/api/v1/market/kline?symbol={topic.symbol}&interval={topic.interval}&limit=1000"
            for topic in parsed
            if topic.kind is TopicKind.KLINE
        ),
    ]
