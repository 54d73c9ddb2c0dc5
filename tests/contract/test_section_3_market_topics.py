"""Contract, sections 3.3 and 3.4: data frames, and the topics of the market."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.contract import shapes
from tests.contract.support import PERPETUAL, SPOT, Account, Message, Server, Stream, rows_of

TICKER = f"ticker.{PERPETUAL}"
BOOK = f"orderbook.{PERPETUAL}"
DELTA = f"orderbook.delta.{PERPETUAL}"
KLINE = f"kline.1.{PERPETUAL}"
MINUTE = 60 * 10**9

Book = dict[str, dict[str, str]]


def check_frames(frames: Iterable[Message]) -> None:
    """The form that every data frame has, and that time never goes back within a topic."""
    times: dict[str, int] = {}
    for frame in frames:
        assert set(frame) == {"topic", "ts", "data"}
        assert shapes.timestamp(frame["ts"])
        assert isinstance(frame["data"], list)
        assert frame["data"]
        for part in frame["data"]:
            assert set(part) == {"actionType", "rows"}
            assert part["actionType"] in ("SNAPSHOT", "UPDATE")
            assert isinstance(part["rows"], list)
        assert int(frame["ts"]) >= times.get(frame["topic"], 0)
        times[frame["topic"]] = int(frame["ts"])


def actions(frames: Iterable[Message]) -> set[str]:
    return {part["actionType"] for frame in frames for part in frame["data"]}


def only_row(frame: Message) -> Any:
    (part,) = frame["data"]
    (row,) = part["rows"]
    return row


def fold_book(book: Book, row: dict[str, Any]) -> None:
    """Apply absolute sizes; "0" removes a level."""
    for side in ("bids", "asks"):
        for price, quantity in row[side]:
            if quantity == "0":
                assert book[side].pop(price, None) is not None, f"removed {price}, which was not there"
            else:
                assert book[side].get(price) != quantity, f"{price} sent without a change"
                book[side][price] = quantity


def levels(book: Book) -> dict[str, list[list[str]]]:
    """Best first."""
    return {
        side: [[price, book[side][price]] for price in sorted(book[side], key=Decimal, reverse=side == "bids")]
        for side in ("bids", "asks")
    }


def check_book(row: dict[str, Any]) -> None:
    bids = [Decimal(price) for price, _ in row["bids"]]
    asks = [Decimal(price) for price, _ in row["asks"]]
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert not bids or not asks or bids[0] < asks[0]
    assert all(Decimal(quantity) > 0 for side in ("bids", "asks") for _, quantity in row[side])


def at_rest(account: Account, stream: Stream, target: str, take: Callable[[list[Message]], None]) -> Any:
    """REST's reply from a moment in which no frame was due; frames before it are given to `take`."""
    for _ in range(200):
        take(stream.barrier())
        reply = account.get(target)
        frames = stream.barrier()
        if not frames:
            return reply
        take(frames)
    raise AssertionError("the market never rested for the time of a request")


# Data frames of a market that moves.


@pytest.fixture(scope="module")
def seconds(live: Server) -> dict[str, list[Message]]:
    """What the market topics bring in some seconds, by topic, each beginning with its SNAPSHOT."""
    topics = (TICKER, BOOK, DELTA, KLINE, f"kline.1M.{PERPETUAL}", f"ticker.{SPOT}", f"orderbook.delta.{SPOT}")
    with live.demo.stream(*topics) as stream:
        frames = stream.for_seconds(4)
        return {
            topic: [stream.snapshots[topic], *(frame for frame in frames if frame["topic"] == topic)]
            for topic in topics
        }


def test_every_frame_has_the_form_of_the_contract(seconds: dict[str, list[Message]]) -> None:
    for topic, frames in seconds.items():
        assert len(frames) > 2, f"nothing happened on {topic}"
        check_frames(frames)
        assert frames[0]["data"][0]["actionType"] == "SNAPSHOT"
        if not topic.startswith("orderbook.BTC"):
            assert actions(frames[1:]) == {"UPDATE"}


@pytest.mark.parametrize("symbol", [PERPETUAL, SPOT])
def test_ticker_is_whole_and_then_what_changed(seconds: dict[str, list[Message]], symbol: str) -> None:
    first, *updates = (only_row(frame) for frame in seconds[f"ticker.{symbol}"])
    shapes.check(first, shapes.TICKER)
    known = dict(first)
    for row in updates:
        shapes.check_partial(row, shapes.TICKER)
        assert row["symbol"] == symbol
        assert ("bidPrice" in row) == ("askPrice" in row)
        changed = {name for name in row if row[name] != known[name]}
        assert changed, "an update without news"
        assert set(row) == changed | {"symbol"} | (
            {"bidPrice", "askPrice"} if changed & {"bidPrice", "askPrice"} else set()
        )
        known |= row
        shapes.check(known, shapes.TICKER)
        assert Decimal(known["bidPrice"]) < Decimal(known["askPrice"])


@pytest.mark.parametrize("symbol", [PERPETUAL, SPOT])
def test_deltas_follow_each_other_without_gap_or_repeat(seconds: dict[str, list[Message]], symbol: str) -> None:
    first, *updates = (only_row(frame) for frame in seconds[f"orderbook.delta.{symbol}"])
    shapes.check(first, shapes.ORDERBOOK_DELTA)
    check_book(first)
    book = {side: dict(first[side]) for side in ("bids", "asks")}
    seq = first["seq"]
    for row in updates:
        shapes.check(row, shapes.ORDERBOOK_DELTA)
        assert (row["prevSeq"], row["seq"] > seq) == (seq, True)
        assert row["bids"] or row["asks"]
        seq = row["seq"]
        fold_book(book, row)
        check_book(levels(book))


def test_orderbook_frames_are_whole_and_not_too_many(seconds: dict[str, list[Message]]) -> None:
    frames = seconds[BOOK]
    assert actions(frames) == {"SNAPSHOT"}
    rows = [only_row(frame) for frame in frames]
    for row in rows:
        shapes.check(row, shapes.ORDERBOOK)
        check_book(row)
        assert (len(row["bids"]), len(row["asks"])) == (50, 50)
    times = [int(frame["ts"]) for frame in frames[1:]]
    assert min(later - earlier for earlier, later in pairwise(times)) >= 20_000_000
    assert all(row != later for row, later in pairwise(rows)), "a book without news"


@pytest.mark.parametrize("interval", ["1", "1M"])
def test_the_open_candle_is_pushed_as_it_changes(seconds: dict[str, list[Message]], interval: str) -> None:
    rows = [only_row(frame) for frame in seconds[f"kline.{interval}.{PERPETUAL}"]]
    for earlier, row in pairwise(rows):
        shapes.check_kline(row)
        start, opened, high, low, close, volume, turnover = map(Decimal, row)
        assert low <= min(opened, close) <= max(opened, close) <= high
        before = [Decimal(value) for value in earlier]
        if start == before[0]:
            # One candle: it is the same opening, and only grows.
            assert opened == before[1]
            assert high >= before[2]
            assert low <= before[3]
            assert volume >= before[5]
            assert turnover >= before[6]
        else:
            assert (start - before[0], opened) == (MINUTE, before[4])


# The same state on the stream and over REST, under a market that moves.


@pytest.mark.parametrize("symbol", ["BTCUSDT.PERP", "BNBUSDT.PERP", "ETHUSDT"])
def test_folded_tickers_are_what_rest_shows(live: Server, symbol: str) -> None:
    topic = f"ticker.{symbol}"
    with live.demo.stream(topic) as stream:
        known = only_row(stream.snapshots[topic])

        def take(frames: list[Message]) -> None:
            for row in rows_of(frames, topic):
                known.update(row)

        take(stream.for_seconds(1))
        assert at_rest(live.demo, stream, f"/market/ticker?symbol={symbol}", take) == known
        stream.send(topic, op="subscribe", id="again")
        take(stream.collect(lambda found: any(m.get("id") == "again" for m in found))[:-1])
        assert only_row(stream.receive()) == known


@pytest.mark.parametrize("symbol", ["BTCUSDT.PERP", "BNBUSDT.PERP", "ETHUSDT"])
def test_folded_deltas_are_what_rest_shows(live: Server, symbol: str) -> None:
    topic = f"orderbook.delta.{symbol}"
    with live.demo.stream(topic) as stream:
        first = only_row(stream.snapshots[topic])
        book = {side: dict(first[side]) for side in ("bids", "asks")}

        def take(frames: list[Message]) -> None:
            for row in rows_of(frames, topic):
                fold_book(book, row)

        take(stream.for_seconds(1))
        shown = at_rest(live.demo, stream, f"/market/orderbook?symbol={symbol}&limit=1000", take)
        assert shown == {"symbol": symbol, **levels(book)}
        stream.send(topic, op="subscribe", id="again")
        take(stream.collect(lambda found: any(m.get("id") == "again" for m in found))[:-1])
        snapshot = only_row(stream.receive())
        assert {side: snapshot[side] for side in ("bids", "asks")} == levels(book)


def test_a_reader_that_comes_later_sees_the_same(live: Server) -> None:
    topics = (TICKER, DELTA, KLINE)
    with live.demo.stream(*topics) as early:
        early.for_seconds(0.3)
        with live.demo.stream(*topics) as late:
            first = int(late.snapshots[DELTA]["data"][0]["rows"][0]["seq"])
            ours = late.for_seconds(1)
        theirs = early.barrier()
    shared = [frame for frame in theirs if frame["topic"] == DELTA and only_row(frame)["prevSeq"] >= first]
    mine = [frame for frame in ours if frame["topic"] == DELTA]
    assert len(mine) > 3
    assert shared[: len(mine)] == mine


# Exact scenarios.


def test_snapshots_of_a_market_that_never_traded(exchange: Server) -> None:
    demo = exchange.demo
    with demo.stream(TICKER, BOOK, DELTA, KLINE) as stream:
        row = only_row(stream.snapshots[TICKER])
        shapes.check(row, shapes.TICKER)
        assert row == demo.get(f"/market/ticker?symbol={PERPETUAL}")
        assert {row[name] for name in ("bidPrice", "askPrice", "lastPrice", "markPrice", "indexPrice")} == {None}
        assert only_row(stream.snapshots[BOOK]) == {"symbol": PERPETUAL, "bids": [], "asks": []}
        assert only_row(stream.snapshots[DELTA])["seq"] == 0
        assert stream.snapshots[KLINE]["data"] == [{"actionType": "SNAPSHOT", "rows": []}]
        check_frames(stream.snapshots.values())


def test_what_one_trade_brings(exchange: Server, alice: Account, bob: Account) -> None:
    with alice.stream(TICKER, DELTA, KLINE) as stream:
        bob.sell("1", "50000")
        frames = stream.barrier()
        check_frames(frames)
        assert rows_of(frames, TICKER) == [{"symbol": PERPETUAL, "bidPrice": None, "askPrice": "50000.0"}]
        (row,) = rows_of(frames, DELTA)
        assert (row["bids"], row["asks"]) == ([], [["50000.0", "1"]])

        alice.buy("0.25", "50000")
        frames = stream.barrier()
        (ticker,) = rows_of(frames, TICKER)
        assert ticker["symbol"] == PERPETUAL
        assert (ticker["lastPrice"], ticker["volume24h"], ticker["turnover24h"]) == ("50000.0", "0.25", "12500")
        assert ticker["openInterest"] == "0.25"
        assert "bidPrice" not in ticker
        assert "askPrice" not in ticker
        (row,) = rows_of(frames, DELTA)
        assert (row["bids"], row["asks"]) == ([], [["50000.0", "0.75"]])
        candle = rows_of(frames, KLINE)[-1]
        assert candle[1:] == ["50000.0"] * 4 + ["0.25", "12500"]
        assert alice.get(f"/market/kline?symbol={PERPETUAL}&interval=1") == [candle]

        bob.cancel_all()
        frames = stream.barrier()
        assert rows_of(frames, TICKER) == [{"symbol": PERPETUAL, "bidPrice": None, "askPrice": None}]
        (row,) = rows_of(frames, DELTA)
        assert (row["bids"], row["asks"]) == ([], [["50000.0", "0"]])
        assert rows_of(frames, KLINE) == []
        assert alice.get(f"/market/ticker?symbol={PERPETUAL}")["askPrice"] is None


def test_a_refused_order_brings_no_frame(exchange: Server, alice: Account) -> None:
    with alice.stream(TICKER, BOOK, DELTA, KLINE, "account", "account.order", "account.execution") as stream:
        assert alice.not_placed("BUY", "10000", "50000")
        assert stream.barrier() == []


def test_a_book_keeps_to_its_depth(exchange: Server, alice: Account, bob: Account) -> None:
    for number in range(60):
        alice.buy("0.001", str(40000 - number))
    with bob.stream(BOOK, DELTA) as stream:
        assert len(only_row(stream.snapshots[BOOK])["bids"]) == 50
        assert len(only_row(stream.snapshots[DELTA])["bids"]) == 60
        # Below the levels that are shown nothing changes the book.
        alice.buy("0.001", "30000")
        assert [frame["topic"] for frame in stream.for_seconds_of_silence(0.1)] == [DELTA]
        alice.buy("0.001", "41000")
        rows = rows_of(stream.collect(lambda found: rows_of(found, BOOK) != []), BOOK)
        assert rows[-1]["bids"][0] == ["41000.0", "0.001"]
        assert rows[-1]["bids"][-1] == ["39952.0", "0.001"]


# What an operator may choose.


def test_full_ticker_rows(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market", "--ticker-rows", "full") as server:
        alice = server.account()
        with alice.stream(TICKER) as stream:
            alice.buy("1", "50000")
            (row,) = stream.rows(TICKER)
            shapes.check(row, shapes.TICKER)
            assert row == alice.get(f"/market/ticker?symbol={PERPETUAL}")


def test_an_orderbook_of_deltas(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market", "--orderbook-mode", "delta") as server:
        alice = server.account()
        with alice.stream(BOOK) as stream:
            shapes.check(only_row(stream.snapshots[BOOK]), shapes.ORDERBOOK_DELTA)
            alice.buy("1", "50000")
            alice.cancel_all()
            frames = stream.barrier()
            assert actions(frames) == {"UPDATE"}
            assert [row["bids"] for row in rows_of(frames, BOOK)] == [[["50000.0", "1"]], [["50000.0", "0"]]]
            assert [row["asks"] for row in rows_of(frames, BOOK)] == [[], []]


def test_depth_and_pace_of_the_orderbook(tmp_path: Path) -> None:
    flags = ("--orderbook-depth", "2", "--orderbook-interval-ms", "300")
    with Server(tmp_path / "data", "--no-market", "--no-limits", *flags) as server:
        alice = server.account()
        with alice.stream(BOOK) as stream:
            for number in range(40):
                alice.buy("0.01", str(50000 + number))
            frames = stream.collect(
                lambda found: [r for r in rows_of(found, BOOK) if r["bids"][0][0] == "50039.0"] != []
            )
            assert {len(row["bids"]) for row in rows_of(frames, BOOK)} <= {1, 2}
            times = [int(frame["ts"]) for frame in frames]
            assert all(later - earlier >= 300_000_000 for earlier, later in pairwise(times))
            assert rows_of(frames, BOOK)[-1]["bids"] == [["50039.0", "0.01"], ["50038.0", "0.01"]]
