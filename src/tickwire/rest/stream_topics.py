"""What the documents say of each topic of the stream: its row, its frames, and an example of them."""

from typing import Any

import msgspec

from tickwire.rest import examples
from tickwire.wire import rows
from tickwire.wire.intervals import INTERVALS
from tickwire.wire.topics import TopicKind

__all__ = ["TOPICS", "TopicDocument"]

_SYMBOL = r"[A-Z0-9]+(\.[A-Z0-9]+)?"


class TopicDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One family of topics. ``partial`` says that UPDATE rows hold only the symbol and what changed."""

    kind: TopicKind
    name: str  # with {symbol} and {interval} where they go
    pattern: str
    example_topic: str
    row: Any
    updates: bool
    partial: bool = False
    summary: str
    description: str
    example: object  # a row


def _market(kind: TopicKind) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": f"{kind}.{{symbol}}",
        "pattern": f"^{kind.replace('.', '[.]')}\\.{_SYMBOL}$",
        "example_topic": f"{kind}.{examples.SYMBOL}",
    }


def _private(kind: TopicKind) -> dict[str, Any]:
    name = kind.value
    return {"kind": kind, "name": name, "pattern": f"^{name.replace('.', '[.]')}$", "example_topic": name}


TOPICS = (
    TopicDocument(
        **_market(TopicKind.TICKER),
        row=rows.Ticker,
        updates=True,
        partial=True,
        summary="Best prices, last, mark and index price, the last 24 hours",
        description=(
            "The SNAPSHOT is whole; an UPDATE row holds `symbol` and what changed. `bidPrice` and `askPrice` always "
            "travel together. The setting `ticker_rows = full` makes every row whole."
        ),
        example=examples.TICKER,
    ),
    TopicDocument(
        kind=TopicKind.KLINE,
        name="kline.{interval}.{symbol}",
        pattern=f"^kline\\.({'|'.join(INTERVALS)})\\.{_SYMBOL}$",
        example_topic=f"kline.1.{examples.SYMBOL}",
        row=rows.Kline,
        updates=True,
        summary="The open candle",
        description=(
            f"Intervals: {' '.join(f'`{interval}`' for interval in INTERVALS)}. A row is `[startTime, open, high, low, "
            "close, volume, turnover]`. The SNAPSHOT is the open candle, which is pushed as it changes and once more "
            "at its close; then the next one opens."
        ),
        example=examples.KLINE,
    ),
    TopicDocument(
        **_market(TopicKind.ORDERBOOK),
        row=rows.Orderbook,
        updates=False,
        summary="The top of the book",
        description=(
            "Every frame is a whole SNAPSHOT of the top levels, at most one in 20 ms; the depth (50 a side) and the "
            "pace are settings. The setting `orderbook_mode = delta` sends here what `orderbook.delta` sends."
        ),
        example=examples.ORDERBOOK,
    ),
    TopicDocument(
        **_market(TopicKind.ORDERBOOK_DELTA),
        row=rows.OrderbookDelta,
        updates=True,
        summary="The whole book, change by change",
        description=(
            'UPDATE rows hold absolute sizes: `"0"` removes the level, an unchanged side is `[]`. `prevSeq` equals '
            "`seq` of the frame before: when it does not, subscribe again."
        ),
        example=examples.ORDERBOOK_DELTA,
    ),
    TopicDocument(
        **_private(TopicKind.ACCOUNT),
        row=rows.AccountInfo,
        updates=True,
        summary="The whole account in USDT",
        description="Whole rows. What the mark price alone changes comes at most once a second.",
        example=examples.ACCOUNT_INFO,
    ),
    TopicDocument(
        **_private(TopicKind.MARGIN),
        row=rows.Margin,
        updates=True,
        summary="Margin by currency",
        description="Whole rows. What the mark price alone changes comes at most once a second.",
        example=examples.MARGIN,
    ),
    TopicDocument(
        **_private(TopicKind.BALANCE),
        row=rows.Balance,
        updates=True,
        summary="Balances by asset",
        description="An UPDATE holds one whole row for each asset that changed.",
        example=examples.BALANCE,
    ),
    TopicDocument(
        **_private(TopicKind.POSITION),
        row=rows.Position,
        updates=True,
        summary="Positions by symbol",
        description=(
            "An UPDATE holds one whole row for each position that changed; a closed one has `positionSide` null and "
            '`positionQty` `"0"`. What the mark price alone changes comes at most once a second.'
        ),
        example=examples.POSITION,
    ),
    TopicDocument(
        **_private(TopicKind.ORDER),
        row=rows.Order,
        updates=True,
        summary="Orders as they change",
        description="The SNAPSHOT holds the open orders. Nothing is ever left out: a reader too slow is closed.",
        example=examples.ORDER,
    ),
    TopicDocument(
        **_private(TopicKind.EXECUTION),
        row=rows.Execution,
        updates=True,
        summary="Fills, and all else that happens to orders",
        description="The SNAPSHOT is empty. Nothing is ever left out: a reader too slow is closed.",
        example=examples.EXECUTION,
    ),
)
