"""The page of the stream's topics, with frames encoded as the server encodes them."""

import msgspec

from tickwire.rest import examples
from tickwire.rest.stream_topics import TOPICS, TopicDocument
from tickwire.service.reference.markdown import anchor, code, field_table, pretty, schemas_of, table
from tickwire.stream.settings import HELD_BYTES, StreamSettings
from tickwire.wire import rows
from tickwire.wire.envelope import (
    MAX_CONFLATE_MS,
    Position,
    configured_reply,
    data_frame,
    decode_operation,
    failure_reply,
    pong_reply,
    success_reply,
    with_position,
    with_resumed,
)
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import PRIVATE_KINDS, TopicError, TopicKind, parse_topic

__all__ = ["topic_refusal", "topics_page"]

Rows = tuple[object, ...]


_SYMBOL = examples.SYMBOL
_BOOK, _DELTA, _CANDLE = examples.ORDERBOOK, examples.ORDERBOOK_DELTA, examples.KLINE
_with = msgspec.structs.replace

# The rows of a SNAPSHOT, and of the UPDATE after it where there is such a thing.
_ROWS: dict[TopicKind, tuple[Rows, Rows | None]] = {
    TopicKind.TICKER: (
        (examples.TICKER,),
        ({"symbol": _SYMBOL, "bidPrice": "74937.0", "askPrice": "74937.2"},),
    ),
    TopicKind.KLINE: ((_CANDLE,), ((*_CANDLE[:4], "74937.2", "3.20154", "239910.3869"),)),
    TopicKind.ORDERBOOK: ((_BOOK,), None),
    TopicKind.ORDERBOOK_DELTA: (
        (rows.OrderbookDelta(_SYMBOL, _DELTA.prev_seq, _DELTA.prev_seq, _BOOK.bids, _BOOK.asks),),
        (_DELTA,),
    ),
    TopicKind.ACCOUNT: (
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
    TopicKind.MARGIN: (
        (examples.MARGIN,),
        (_with(examples.MARGIN, unrealized_pnl="13", margin_balance="10013", cross_margin_ratio="0.00374199"),),
    ),
    TopicKind.BALANCE: (
        (examples.BALANCE, rows.Balance("BTC", "0.5", "0.5", "0.5")),
        (rows.Balance("BTC", "0.6", "0.6", "0.6"),),
    ),
    TopicKind.POSITION: (
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
    TopicKind.ORDER: ((examples.ORDER,), (_with(examples.ORDER, status="FILLED", leaves_qty="0"),)),
    TopicKind.EXECUTION: ((), (examples.EXECUTION,)),
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
            "your account" if entry.kind in PRIVATE_KINDS else "market",
        ]
        for entry in TOPICS
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
    text += _configure_section()
    for entry in TOPICS:
        text += f"\n## `{entry.name}`\n\n{entry.summary}. {entry.description}\n"
        if isinstance(entry.row, type):
            name = _row_name(entry)
            text += f"\nA row, `{name}`:\n\n" + field_table(schemas_of([entry.row])[1][name])
        snapshot, update = _ROWS[entry.kind]
        frames = [data_frame(entry.example_topic, int(examples.TIME), "SNAPSHOT", snapshot)]
        if update is not None:
            frames.append(data_frame(entry.example_topic, int(examples.TIME) + 20_000_000, "UPDATE", update))
        for frame in frames:
            text += "\n" + code(pretty(msgspec.json.decode(frame)), "json")
    return text


def _configure_section() -> str:
    """The extensions: fewer frames, and coming back to where one was."""
    configure = b'{"op":"configure","conflate_ms":250,"resume":true,"id":2}'
    operation = decode_operation(configure)
    assert operation.conflate_ms is not None
    settings = StreamSettings()
    where = Position(examples.EPOCH, 7)
    missed = Position(f"{examples.EPOCH}3", 1041)
    resume = {"account.execution": where, "orderbook.delta.BTCUSDT.PERP": missed}
    subscribe = msgspec.json.encode({"op": "subscribe", "args": list(resume), "resume": resume})
    back = decode_operation(subscribe)
    reply = with_resumed(
        success_reply("subscribe", list(back.args), None), dict(zip(back.args, (True, False), strict=True))
    )
    candle = with_position(data_frame("kline.1.BTCUSDT.PERP", int(examples.TIME), "UPDATE", (_CANDLE,)), where)
    return (
        "\n## Fewer frames, and resuming\n\nAn extension: the exchange that this is compatible with does not have it. "
        "Who does not ask for it notices nothing of it.\n\n"
        + code(configure.decode(), "json")
        + "\nIt holds for the whole socket, subscribed topics and later ones, from the reply on, which says what holds"
        " now. What is left out stays as it is:\n\n"
        + code(configured_reply(operation.conflate_ms, True, 2).decode(), "json")
        + f"\n**`conflate_ms`**, 0 to {MAX_CONFLATE_MS}: of each topic at most one frame in so many milliseconds, with"
        " the newest values; 0, the default, sends every frame. Nothing is lost that the next state does not"
        " replace:\n\n"
        + table(
            ["topic", "what a frame brings"],
            [
                ["`ticker`", "the newest value of each field that has changed"],
                [
                    "`kline`",
                    "the newest row; when a candle has closed, its closing push and then the next candle, in frames of"
                    " their own",
                ],
                ["`orderbook`", "the newest book"],
                [
                    "`orderbook.delta`",
                    "the newest size of each level that has changed; `prevSeq` is the `seq` of the frame before, as"
                    " ever, but further away",
                ],
                [
                    "`account`, `account.margin`, `account.balance`, `account.position`",
                    "the newest row of all that has changed",
                ],
                ["`account.order`, `account.execution`", "each frame at once: they are never conflated"],
            ],
        )
        + "\nThe SNAPSHOT after a subscribe does not wait. Sockets with the same `conflate_ms` get their frames at the"
        " same moments; after a pause the first frame comes at once.\n"
        "\n**`resume`**: data frames end with two more keys, `epoch` and `offset`. Within an epoch `offset` grows by"
        " one with each frame of the topic that was published; conflation leaves some out. A SNAPSHOT after a subscribe"
        " has the offset of the newest frame that it includes.\n\n"
        + code(pretty(msgspec.json.decode(candle)), "json")
        + "\nA client that has lost its connection sends the newest pair that it has seen of each topic:\n\n"
        + code(subscribe.decode(), "json")
        + "\nThe reply says of each whether it could be resumed:\n\n"
        + code(reply.decode(), "json")
        + "\n`true`: exactly the frames that were missed come, and then what follows. `false`: a SNAPSHOT comes, as"
        " without `resume`; of orders and executions ask"
        " [the history](rest.md#get-apiv1tradeexecutionhistory) then. It is never a part. Frames are kept while any"
        f" socket with `resume` reads the topic, and {settings.resume_seconds:.0f} seconds more: the newest"
        f" {settings.resume_frames:,}, up to {settings.resume_bytes // 1024} KiB ([settings](settings.md):"
        " `--resume-seconds`, `--resume-frames`, `--resume-bytes`). What one subscribe brings back is at most"
        f" {HELD_BYTES // 1024} KiB, orders and executions first. After a restart of the server every epoch is a new"
        " one. Private topics can be resumed by every key of the account. A subscribe with `resume` turns `resume` on"
        " for the socket. Configure before the first subscribe: then every SNAPSHOT has a position.\n"
    )


def _row_name(entry: TopicDocument) -> str:
    return entry.row.__name__ if isinstance(entry.row, type) else "Kline"
