"""The page of the stream's topics, with frames encoded as the server encodes them."""

from typing import Any

import msgspec

from tickwire.rest import examples
from tickwire.service.reference.markdown import anchor, code, field_table, pretty, schema_of, table, ticked
from tickwire.wire import rows
from tickwire.wire.envelope import data_frame, decode_operation, failure_reply, pong_reply, success_reply
from tickwire.wire.errors import ApiError
from tickwire.wire.intervals import INTERVALS
from tickwire.wire.topics import PRIVATE_KINDS, TopicError, TopicKind, parse_topic

__all__ = ["topic_refusal", "topics_page"]


class _TopicText(msgspec.Struct, frozen=True):
    """What a page says of one topic beside what its rows say; ``update`` is ``None`` where none is ever sent."""

    name: str
    example: str
    row: Any
    rule: str
    snapshot: tuple[object, ...]
    update: tuple[object, ...] | None


_SYMBOL = examples.TICKER.symbol
_BOOK, _DELTA, _CANDLE = examples.ORDERBOOK, examples.ORDERBOOK_DELTA, examples.KLINE
_with = msgspec.structs.replace
_TOPICS: dict[TopicKind, _TopicText] = {
    TopicKind.TICKER: _TopicText(
        "ticker.{symbol}",
        f"ticker.{_SYMBOL}",
        rows.Ticker,
        "The SNAPSHOT row is whole. An UPDATE row holds `symbol` and what changed; `bidPrice` and `askPrice` always"
        " come"
        ' together. With the setting `ticker-rows = "full"` every row is whole.',
        (examples.TICKER,),
        ({"symbol": _SYMBOL, "bidPrice": "74937.0", "askPrice": "74937.2"},),
    ),
    TopicKind.KLINE: _TopicText(
        "kline.{interval}.{symbol}",
        f"kline.1.{_SYMBOL}",
        rows.Kline,
        f"The intervals are {ticked(INTERVALS)}: minutes, a day, a week from Monday, a month, all in UTC. A row is"
        " an array:"
        " `[startTime, open, high, low, close, volume, turnover]`, volume in base, turnover in quote. The SNAPSHOT"
        " is the"
        " open candle (no row before the first trade). An UPDATE has it again as trades change it, and once more"
        " when it"
        " has closed; the next one follows.",
        (_CANDLE,),
        ((*_CANDLE[:4], "74937.2", "3.20154", "239910.3869"),),
    ),
    TopicKind.ORDERBOOK: _TopicText(
        "orderbook.{symbol}",
        f"orderbook.{_SYMBOL}",
        rows.Orderbook,
        "Every frame is a SNAPSHOT of the top levels (setting `orderbook-depth`), best first, at most one in"
        ' `orderbook-interval-ms`. With the setting `orderbook-mode = "delta"` this topic is as'
        " `orderbook.delta.{symbol}`.",
        (_BOOK,),
        None,
    ),
    TopicKind.ORDERBOOK_DELTA: _TopicText(
        "orderbook.delta.{symbol}",
        f"orderbook.delta.{_SYMBOL}",
        rows.OrderbookDelta,
        'The SNAPSHOT is the whole book. An UPDATE holds the levels that changed with their new sizes; size `"0"`'
        " removes"
        " a level. `prevSeq` equals the `seq` of the frame before: where it does not, subscribe again for a SNAPSHOT.",
        (rows.OrderbookDelta(_SYMBOL, _DELTA.prev_seq, _DELTA.prev_seq, _BOOK.bids, _BOOK.asks),),
        (_DELTA,),
    ),
    TopicKind.ACCOUNT: _TopicText(
        "account",
        "account",
        rows.AccountInfo,
        "The whole row whenever it changed.",
        (examples.ACCOUNT_INFO,),
        (
            _with(
                examples.ACCOUNT_INFO,
                total_unrealized_pnl="13",
                total_margin_balance="10013",
                available_balance="9263.629",
            ),
        ),
    ),
    TopicKind.MARGIN: _TopicText(
        "account.margin",
        "account.margin",
        rows.Margin,
        "The whole row whenever it changed. It is an element of `margins` in REST.",
        (examples.MARGIN,),
        (_with(examples.MARGIN, unrealized_pnl="13", margin_balance="10013", cross_margin_ratio="0.00374199"),),
    ),
    TopicKind.BALANCE: _TopicText(
        "account.balance",
        "account.balance",
        rows.Balance,
        "The SNAPSHOT has a row for each asset; an UPDATE the rows of the assets that changed, whole.",
        (examples.BALANCE, rows.Balance("BTC", "0.5", "0.5", "0.5")),
        (rows.Balance("BTC", "0.6", "0.6", "0.6"),),
    ),
    TopicKind.POSITION: _TopicText(
        "account.position",
        "account.position",
        rows.Position,
        "The SNAPSHOT has a row for each symbol with a position or a leverage set by the client; an UPDATE the rows"
        " that"
        ' changed, whole. A closed position has `positionSide` null and `positionQty` and `positionAmount` `"0"`.',
        (examples.POSITION,),
        (
            _with(
                examples.POSITION,
                position_side=None,
                position_amount="0",
                position_qty="0",
                unrealized_pnl=None,
                initial_margin=None,
                maint_margin=None,
                entry_price=None,
                break_even_price=None,
                total_fee=None,
            ),
        ),
    ),
    TopicKind.ORDER: _TopicText(
        "account.order",
        "account.order",
        rows.Order,
        "The SNAPSHOT has the open orders; an UPDATE the order after each thing that happened to it, the last one"
        " with its"
        " final status. Nothing is ever left out: a reader that is too slow is closed.",
        (examples.ORDER,),
        (_with(examples.ORDER, status="FILLED", leaves_qty="0"),),
    ),
    TopicKind.EXECUTION: _TopicText(
        "account.execution",
        "account.execution",
        rows.Execution,
        "The SNAPSHOT has no rows: executions are events, and the past ones are in"
        " `GET /api/v1/trade/execution/history`. An UPDATE is one execution. Nothing is ever left out: a reader that is"
        " too slow is closed.",
        (),
        (examples.EXECUTION,),
    ),
}


def topic_refusal(name: str, id: int | None = None) -> str:
    """The reply to a subscription that names no topic."""
    try:
        parse_topic(name)
    except TopicError as error:
        return failure_reply("subscribe", [name], ApiError("InvalidTopic", str(error)), id).decode()
    raise ValueError(f"expected a name that is refused, got {name}")


def topics_page() -> str:
    """Every topic with its row and examples."""
    subscribe = b'{"op":"subscribe","args":["ticker.BTCUSDT.PERP","kline.7.BTCUSDT.PERP"],"id":1}'
    good, bad = decode_operation(subscribe).args
    head = [
        [
            f"[`{entry.name}`](#{anchor(entry.name)})",
            f"`{_row_name(entry)}`",
            "your account" if kind in PRIVATE_KINDS else "market",
        ]
        for kind, entry in _TOPICS.items()
    ]
    text = (
        "# Topics of the stream\n\n"
        + table(["topic", "row", "whose"], head)
        + "\n## Operations and replies\n\nA client sends:\n\n"
        + code(subscribe.decode(), "json")
        + "\nThe server replies to what it took, then once for each reason to refuse a part of it:\n\n"
        + code(success_reply("subscribe", [good], 1).decode() + "\n" + topic_refusal(bad, 1), "json")
        + "\n`unsubscribe` has the same form. `id` is a string or an integer, may be left out, and comes back in the"
        " replies."
        ' `{"op":"ping"}` is answered with:\n\n'
        + code(pong_reply(int(examples.TIME), None).decode(), "json")
        + "\nThe bare text `ping` is answered with `pong`. No reply has a key `topic` or `data`; every data frame"
        " has both.\n"
        "\n## Data frames\n\n`topic` is the name as subscribed, `ts` a Timestamp, `data` an array of one element with"
        " `actionType` `SNAPSHOT` or `UPDATE` and its `rows`. The first frame after a subscribe is a SNAPSHOT; each"
        " later one"
        " follows from the one before. A SNAPSHOT replaces all that is known of the topic, and can come at any time.\n"
        '\n**Decimal**: a text such as `"74937.1"`, never a number, never with an exponent.'
        " **Timestamp**: a text of 19 digits, nanoseconds since the epoch.\n"
    )
    for entry in _TOPICS.values():
        text += f"\n## `{entry.name}`\n\n{entry.rule}\n"
        if isinstance(entry.row, type):
            name = _row_name(entry)
            text += f"\nA row, `{name}`:\n\n" + field_table(schema_of(entry.row)[name])
        frames = [data_frame(entry.example, int(examples.TIME), "SNAPSHOT", entry.snapshot)]
        if entry.update is not None:
            frames.append(data_frame(entry.example, int(examples.TIME) + 20_000_000, "UPDATE", entry.update))
        for frame in frames:
            text += "\n" + code(pretty(msgspec.json.decode(frame)), "json")
    return text


def _row_name(entry: _TopicText) -> str:
    return entry.row.__name__ if isinstance(entry.row, type) else "Kline"
