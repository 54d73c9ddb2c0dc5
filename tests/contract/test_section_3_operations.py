"""Contract, sections 3.1 and 3.2: what a client sends over the stream, and what it gets in reply."""

import json
from typing import Any

import pytest
from tests.contract import shapes
from tests.contract.support import PERPETUAL, Server, Stream, rows_of

TICKER = f"ticker.{PERPETUAL}"
BOOK = f"orderbook.{PERPETUAL}"
INTERVALS = ("1", "3", "5", "15", "30", "60", "120", "180", "240", "360", "720", "1D", "1W", "1M")


def fails(stream: Stream, message: str | bytes) -> dict[str, Any]:
    """The error reply to one frame, whose form is as it should be, on a socket that stays open."""
    stream.connection.send(message)
    reply = stream.receive()
    assert reply["success"] is False
    assert set(reply) <= {"success", "op", "args", "error", "message", "id"}
    assert reply["message"]
    answers(stream)
    return reply


def answers(stream: Stream) -> None:
    stream.send(op="ping", id="alive")
    assert stream.receive()["id"] == "alive"


def collect_topics(stream: Stream, topics: set[str]) -> None:
    """Wait for frames of these topics; a whole book may come some milliseconds after what changed it."""
    found = stream.collect(lambda messages: {message["topic"] for message in messages} >= topics)
    assert {message["topic"] for message in found} == topics


# Subscribing.


def test_subscribe_and_unsubscribe(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        stream.send(TICKER, BOOK, op="subscribe")
        assert stream.receive() == {"success": True, "op": "subscribe", "args": [TICKER, BOOK]}
        assert [stream.receive()["topic"] for _ in range(2)] == [TICKER, BOOK]
        stream.send(TICKER, op="unsubscribe")
        assert stream.receive() == {"success": True, "op": "unsubscribe", "args": [TICKER]}


def test_frames_add_to_the_set_and_take_from_it(exchange: Server) -> None:
    alice, bob = exchange.key("alice"), exchange.key("bob")
    kline = f"kline.1.{PERPETUAL}"
    with alice.stream(TICKER) as stream:
        stream.subscribe(BOOK)
        stream.subscribe(kline)
        bob.sell("1", "50000")
        collect_topics(stream, {TICKER, BOOK})
        stream.send(BOOK, op="unsubscribe")
        assert stream.receive()["success"]
        alice.buy("1", "50000")
        collect_topics(stream, {TICKER, kline})


def test_nothing_of_a_topic_follows_the_reply_to_its_unsubscribe(live: Server) -> None:
    topics = [f"orderbook.delta.{symbol}" for symbol in ("BTCUSDT.PERP", "ETHUSDT.PERP", "BTCUSDT")]
    with live.demo.stream(*topics) as stream:
        stream.for_seconds(0.5)
        stream.send(*topics[:2], op="unsubscribe")
        while stream.receive() != {"success": True, "op": "unsubscribe", "args": topics[:2]}:
            pass
        assert {message["topic"] for message in stream.for_seconds(0.5)} == {topics[2]}


@pytest.mark.parametrize("number", [1, 50])
def test_up_to_50_topics_a_frame(quiet: Server, number: int) -> None:
    symbols = ("BTCUSDT.PERP", "ETHUSDT.PERP", "SOLUSDT.PERP", "XRPUSDT.PERP")
    topics = [f"kline.{interval}.{symbol}" for symbol in symbols for interval in INTERVALS][:number]
    with quiet.demo.stream() as stream:
        assert [snapshot["topic"] for snapshot in stream.subscribe(*topics)] == topics


def test_the_reply_comes_first_then_the_snapshots_in_order(live: Server) -> None:
    # Under a market that moves: nothing comes in between, and every topic begins with its SNAPSHOT.
    topics = [BOOK, TICKER, f"kline.1D.{PERPETUAL}", "account", f"orderbook.delta.{PERPETUAL}"]
    with live.demo.stream() as stream:
        stream.send(*topics, op="subscribe")
        assert stream.receive() == {"success": True, "op": "subscribe", "args": topics}
        for topic in topics:
            snapshot = stream.receive()
            assert (snapshot["topic"], snapshot["data"][0]["actionType"]) == (topic, "SNAPSHOT")


def test_operations_are_answered_in_their_order(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        for number in range(20):
            stream.send(TICKER, op="subscribe" if number % 2 else "unsubscribe", id=number)
        replies = [reply["id"] for reply in stream.barrier() if "success" in reply]
        assert replies == list(range(20))


def test_subscribing_twice_brings_a_fresh_snapshot(exchange: Server) -> None:
    alice, bob = exchange.key("alice"), exchange.key("bob")
    with alice.stream(BOOK) as stream:
        bob.sell("1", "50000")
        stream.barrier()
        (snapshot,) = stream.subscribe(BOOK)
        assert snapshot["data"][0]["actionType"] == "SNAPSHOT"
        assert snapshot["data"][0]["rows"][0]["asks"] == [["50000.0", "1"]]
        bob.sell("1", "50001")
        # Two subscriptions are one: each state comes once, and one unsubscribe ends it.
        stream.collect(lambda found: [["50000.0", "1"], ["50001.0", "1"]] in [r["asks"] for r in rows_of(found, BOOK)])
        assert stream.barrier() == []
        stream.send(BOOK, op="unsubscribe")
        stream.receive()
        bob.sell("1", "50002")
        assert stream.barrier() == []


def test_a_topic_named_twice_in_one_frame_is_subscribed_once(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        stream.send(TICKER, TICKER, op="subscribe")
        assert stream.receive() == {"success": True, "op": "subscribe", "args": [TICKER]}
        assert [message["topic"] for message in stream.barrier()] == [TICKER]


@pytest.mark.parametrize("topic", [TICKER, "account.order", f"orderbook.delta.{PERPETUAL}"])
def test_unsubscribing_what_is_not_subscribed_is_accepted(quiet: Server, topic: str) -> None:
    with quiet.demo.stream() as stream:
        stream.send(topic, op="unsubscribe")
        assert stream.receive() == {"success": True, "op": "unsubscribe", "args": [topic]}


@pytest.mark.parametrize("op", ["subscribe", "unsubscribe"])
def test_an_empty_list_is_accepted(quiet: Server, op: str) -> None:
    with quiet.demo.stream() as stream:
        stream.connection.send(json.dumps({"op": op, "args": []}))
        assert stream.receive() == {"success": True, "op": op, "args": []}


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval(quiet: Server, interval: str) -> None:
    with quiet.demo.stream(f"kline.{interval}.{PERPETUAL}"):
        pass


# Ping.


def test_ping(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        stream.send(op="ping")
        reply = stream.receive()
        assert set(reply) == {"op", "ts"}
        assert reply["op"] == "pong"
        assert shapes.timestamp(reply["ts"])


def test_bare_ping(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        stream.connection.send("ping")
        assert stream.connection.recv(5) == "pong"


def test_protocol_ping(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        assert stream.connection.ping(b"payload").wait(5)


# Ids.


@pytest.mark.parametrize("id", ["a", "", "x" * 128, 0, -1, 2**53, "ü☃", "0"])
def test_an_id_is_echoed_in_every_reply(quiet: Server, id: str | int) -> None:
    with quiet.demo.stream() as stream:
        stream.send(op="ping", id=id)
        assert stream.receive()["id"] == id
        stream.send(TICKER, "nonsense", op="subscribe", id=id)
        accepted, refused = stream.receive(), stream.receive()
        assert (accepted["success"], accepted["id"]) == (True, id)
        assert (refused["success"], refused["id"]) == (False, id)
        assert stream.receive()["topic"] == TICKER
        stream.send(TICKER, op="unsubscribe", id=id)
        assert stream.receive()["id"] == id
        stream.send(op="dance", id=id)
        assert stream.receive()["id"] == id


@pytest.mark.parametrize("id", [1.5, True, [1], {}, "x" * 129])
def test_another_kind_of_id_is_refused(quiet: Server, id: object) -> None:
    with quiet.demo.stream() as stream:
        reply = fails(stream, json.dumps({"op": "subscribe", "args": [TICKER], "id": id}))
        assert reply["error"] == "InvalidParameter"
        assert "id" in reply["message"]
        assert "id" not in reply
        assert stream.barrier() == []


def test_no_id_means_none_in_the_reply(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        stream.send(TICKER, op="subscribe", id=None)
        assert "id" not in stream.receive()


# Refusals.


@pytest.mark.parametrize(
    "topic",
    [
        "kline.7.BTCUSDT.PERP", "kline.1", "kline.1.", "kline.BTCUSDT.PERP", "kline.1m.BTCUSDT.PERP", "ticker",
        "ticker.", "ticker.btcusdt.perp", "ticker.BTCUSDT.PERP.", "ticker.BTC USDT", "Ticker.BTCUSDT.PERP", "orderbook",
        "orderbook.delta", "orderbook.delta.", "orderbook.DELTA.BTCUSDT.PERP", "account.orders", "account.", "",
        " ticker.BTCUSDT.PERP", "ticker.*", "trade.BTCUSDT.PERP", "ticker.BTCUSDT.PERP\n", "\u0000", "x" * 10_000,
    ],
)  # fmt: skip
def test_a_malformed_topic(quiet: Server, topic: str) -> None:
    with quiet.demo.stream() as stream:
        reply = fails(stream, json.dumps({"op": "subscribe", "args": [topic]}))
        assert (reply["op"], reply["args"], reply["error"]) == ("subscribe", [topic], "InvalidTopic")


@pytest.mark.parametrize("topic", ["ticker.NOSUCH.PERP", "kline.1.NOSUCH", "orderbook.BTC", "orderbook.delta.X"])
def test_an_unknown_symbol(quiet: Server, topic: str) -> None:
    with quiet.demo.stream() as stream:
        reply = fails(stream, json.dumps({"op": "subscribe", "args": [topic]}))
        assert (reply["args"], reply["error"]) == ([topic], "InvalidSymbol")


def test_good_topics_of_a_mixed_frame_are_subscribed(exchange: Server) -> None:
    alice, bob = exchange.key("alice"), exchange.key("bob")
    with alice.stream() as stream:
        bad = ["kline.7.BTCUSDT.PERP", "nonsense"]
        stream.send(bad[0], TICKER, "ticker.NOSUCH", bad[1], BOOK, op="subscribe")
        assert stream.receive() == {"success": True, "op": "subscribe", "args": [TICKER, BOOK]}
        # One frame a reason.
        refusals = {reply["error"]: reply["args"] for reply in (stream.receive(), stream.receive())}
        assert refusals == {"InvalidTopic": bad, "InvalidSymbol": ["ticker.NOSUCH"]}
        assert [stream.receive()["topic"] for _ in range(2)] == [TICKER, BOOK]
        bob.buy("1", "50000")
        collect_topics(stream, {TICKER, BOOK})


def test_bad_topics_alone_bring_no_success(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        reply = fails(stream, '{"op":"unsubscribe","args":["nonsense"]}')
        assert (reply["op"], reply["args"]) == ("unsubscribe", ["nonsense"])


BAD_FRAMES: dict[str, tuple[str | bytes, str, str]] = {
    "no JSON": ("nonsense", "InvalidJson", ""),
    "empty": ("", "InvalidJson", ""),
    "cut off": ('{"op":"subscribe","args":["tick', "InvalidJson", ""),
    "two objects": ('{"op":"ping"}{"op":"ping"}', "InvalidJson", ""),
    "trailing comma": ('{"op":"ping",}', "InvalidJson", ""),
    "NaN": ('{"op":"ping","id":NaN}', "InvalidJson", ""),
    "a lone surrogate": (r'{"op":"ping","id":"\ud800"}', "InvalidJson", ""),
    "list": ("[]", "InvalidParameter", "frame"),
    "text": ('"ping"', "InvalidParameter", "frame"),
    "null": ("null", "InvalidParameter", "frame"),
    "number": ("1", "InvalidParameter", "frame"),
    "400 digits": ("9" * 400, "InvalidParameter", "frame"),
    "no op": ('{"args":["account"]}', "InvalidParameter", "op"),
    "op null": ('{"op":null}', "InvalidParameter", "op"),
    "op number": ('{"op":1,"args":[]}', "InvalidParameter", "op"),
    "op list": ('{"op":["subscribe"],"args":["account"]}', "InvalidParameter", "op"),
    "unknown op": ('{"op":"dance"}', "InvalidOperation", "op"),
    "op in upper case": ('{"op":"SUBSCRIBE","args":["account"]}', "InvalidOperation", "op"),
    "op of 60 kB": ('{"op":"%s"}' % ("x" * 60_000), "InvalidOperation", "op"),
    "no args": ('{"op":"subscribe"}', "InvalidParameter", "args"),
    "args null": ('{"op":"subscribe","args":null}', "InvalidParameter", "args"),
    "args text": ('{"op":"subscribe","args":"account"}', "InvalidParameter", "args"),
    "args object": ('{"op":"subscribe","args":{"0":"account"}}', "InvalidParameter", "args"),
    "arg number": ('{"op":"subscribe","args":["account",1]}', "InvalidParameter", "args[1]"),
    "arg null": ('{"op":"subscribe","args":[null]}', "InvalidParameter", "args[0]"),
    "id of 400 digits": ('{"op":"ping","id":%s}' % ("9" * 400), "InvalidParameter", "id"),
    "deep lists": ("[" * 30_000, "", ""),
    "deep objects": ('{"a":' * 10_000, "", ""),
    "deep in an unknown field": ('{"op":"ping","x":' + "[" * 20_000 + "]" * 20_000 + "}", "", ""),
    "binary JSON": (b'{"op":"ping"}', "BinaryNotSupported", ""),
    "binary": (bytes(range(256)), "BinaryNotSupported", ""),
    "empty binary": (b"", "BinaryNotSupported", ""),
}


@pytest.mark.parametrize(("message", "code", "field"), BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_a_bad_frame_gets_an_error_and_leaves_the_socket_open(
    quiet: Server, message: str | bytes, code: str, field: str
) -> None:
    with quiet.demo.stream() as stream:
        reply = fails(stream, message)
        assert "topic" not in reply
        assert "data" not in reply
        if code:
            assert reply["error"] == code
        else:
            assert reply["error"] in ("InvalidJson", "InvalidParameter")
        if field:
            assert reply["message"].startswith(f"{field}:")
        assert stream.barrier() == []


def test_an_unknown_field_is_ignored(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        stream.connection.send('{"op":"subscribe","args":["account"],"more":{"a":[1,null]},"topic":1}')
        assert stream.receive() == {"success": True, "op": "subscribe", "args": ["account"]}
        assert stream.receive()["topic"] == "account"


def test_a_ping_needs_no_args_and_takes_no_notice_of_them(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        stream.send("account", op="ping")
        assert stream.receive()["op"] == "pong"
        assert stream.barrier() == []


def test_a_fragmented_message_is_read_as_one(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        stream.connection.send(iter(['{"op":"sub', 'scribe","args":["acc', 'ount"]}']))
        assert stream.receive()["args"] == ["account"]
