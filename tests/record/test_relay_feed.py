"""What the feed makes of an upstream's messages; the upstream itself is played by hand, its mistakes too."""

from typing import Any

import msgspec
import pytest
from tests.stream.support import ManualTimers

from tickwire.record.relay_feed import RelayFeed, notice
from tickwire.wire.envelope import data_frame
from tickwire.wire.topics import TopicKey, parse_topic

DELTA = "orderbook.delta.BTCUSDT.PERP"
TICKER = "ticker.BTCUSDT.PERP"


class PlayedUpstream:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def subscribe(self, topic: str) -> None:
        self.asked.append(("subscribe", topic))

    def unsubscribe(self, topic: str) -> None:
        self.asked.append(("unsubscribe", topic))


class Bench:
    def __init__(self) -> None:
        self.timers = ManualTimers()
        self.told: list[tuple[str, Any]] = []
        self.published: list[bytes] = []

        async def history(_start: int) -> None:
            return None

        self.feed = RelayFeed(
            ["BTCUSDT.PERP"],
            "upstream",
            self.timers,
            linger=5.0,
            tell=lambda key, payload: self.told.append((key.topic.name, msgspec.json.decode(payload))),
            history=history,
        )
        self.upstream = self.feed.upstream = PlayedUpstream()  # type: ignore[assignment]
        self.feed.listen(lambda _key, payload: self.published.append(payload))

    def join(self, name: str) -> bytes | None:
        found: list[bytes | None] = []
        self.feed.join([key(name)], found.extend)
        (snapshot,) = found
        return snapshot


def key(name: str, account: str = "") -> TopicKey:
    return TopicKey(parse_topic(name), account)


def book(action: Any, previous: int, sequence: int, price: str = "1.0") -> bytes:
    row = {"symbol": "BTCUSDT.PERP", "bids": [[price, "1"]], "asks": [], "seq": sequence, "prevSeq": previous}
    return data_frame(DELTA, sequence, action, [row])


def test_the_first_reader_waits_for_the_snapshot_and_the_second_does_not() -> None:
    bench = Bench()
    assert bench.join(DELTA) is None
    assert bench.upstream.asked == [("subscribe", DELTA)]
    bench.feed.receive(book("UPDATE", 4, 5))  # of a subscription before this one
    assert bench.published == []
    bench.feed.receive(book("SNAPSHOT", 5, 5))
    bench.feed.receive(book("UPDATE", 5, 6, "2.0"))
    assert bench.published == [book("SNAPSHOT", 5, 5), book("UPDATE", 5, 6, "2.0")]
    snapshot = msgspec.json.decode(bench.join(DELTA) or b"")
    (row,) = snapshot["data"][0]["rows"]
    assert (row["bids"], row["seq"], row["prevSeq"]) == ([["2.0", "1"], ["1.0", "1"]], 6, 6)
    assert bench.upstream.asked == [("subscribe", DELTA)]


def test_a_gap_is_not_passed_on_but_healed() -> None:
    bench = Bench()
    bench.join(DELTA)
    bench.feed.receive(book("SNAPSHOT", 5, 5))
    bench.feed.receive(book("UPDATE", 7, 8))
    bench.feed.receive(book("UPDATE", 8, 9))
    assert (len(bench.published), bench.feed.failures) == (1, 1)
    assert bench.join(DELTA) is None
    assert bench.upstream.asked == [("subscribe", DELTA)]
    bench.timers.advance(1.0)  # not at once: an upstream that is wrong all the time is not asked all the time
    assert bench.upstream.asked == [("subscribe", DELTA)] * 2
    bench.feed.receive(book("SNAPSHOT", 9, 9))
    bench.feed.receive(book("UPDATE", 9, 10))
    assert len(bench.published) == 3


def test_a_topic_lingers_after_its_last_reader() -> None:
    bench = Bench()
    bench.join(TICKER)
    bench.feed.leave(key(TICKER))
    bench.timers.advance(4.0)
    bench.join(TICKER)
    bench.timers.advance(10.0)
    assert bench.upstream.asked == [("subscribe", TICKER)]
    bench.feed.leave(key(TICKER))
    bench.timers.advance(5.0)
    assert bench.upstream.asked == [("subscribe", TICKER), ("unsubscribe", TICKER)]
    bench.feed.receive(data_frame(TICKER, 1, "UPDATE", [{"symbol": "BTCUSDT.PERP"}]))
    assert (bench.published, bench.feed.topics) == ([], 0)


@pytest.mark.parametrize("data", [b"", b"[]", b"pong", b'{"topic":1}', b"\xff\xfe", b'{"success":"no"}'])
def test_what_is_no_message_is_counted(data: bytes) -> None:
    bench = Bench()
    bench.join(TICKER)
    bench.feed.receive(data)
    assert (bench.feed.failures, bench.published, bench.told) == (1, [], [])


def test_a_refusal_reaches_those_who_wait_for_the_topic() -> None:
    bench = Bench()
    bench.join(TICKER)
    refusal = {"success": False, "op": "subscribe", "args": [TICKER, DELTA], "error": "TooManyTopics", "message": "no"}
    bench.feed.receive(msgspec.json.encode(refusal))
    bench.feed.receive(b'{"success":true,"op":"subscribe","args":["%b"]}' % TICKER.encode())
    assert bench.told == [(TICKER, refusal)]


def test_who_may_read_what() -> None:
    feed = Bench().feed
    assert feed.refusal(key(TICKER)) is None
    assert feed.refusal(key("account.order", "upstream")) is None
    for refused, code in ((key("account", "demo"), "Forbidden"), (key("ticker.NOPE"), "InvalidSymbol")):
        error = feed.refusal(refused)
        assert error is not None
        assert error.code == code


def test_a_notice_is_neither_a_reply_nor_data() -> None:
    found = msgspec.json.decode(notice(False, "cut", 7))
    assert found == {"op": "upstream", "connected": False, "ts": "7", "reason": "cut"}
    assert set(msgspec.json.decode(notice(True, "", 7))) == {"op", "connected", "ts"}
