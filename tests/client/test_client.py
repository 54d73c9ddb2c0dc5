"""The client against a real server, straight and through a peer that spoils what passes."""

import asyncio
import gc
import json
import logging
import random
from decimal import Decimal
from typing import Any

import pytest
from tests.client.support import QUICK, between, client_of, eventually, until
from tests.contract.support import PERPETUAL, Account, Server

from tickwire.client import ClientError, decimal
from tickwire.client.book import OrderBook
from tickwire.client.client import Client
from tickwire.client.connection import StreamEnded
from tickwire.client.events import BadFrame, Connected, Event, Gap, RawFrame, Reconnecting, Refused, Resynchronised
from tickwire.client.feeds import SubscriptionRefused
from tickwire.client.frames import unknown
from tickwire.client.mailboxes import Latest, Queue, StreamOverflow
from tickwire.wire import rows

TICKER = f"ticker.{PERPETUAL}"
DELTA = f"orderbook.delta.{PERPETUAL}"


def topic_of(frame: str) -> tuple[str, str]:
    parts = json.loads(frame)
    return (parts["topic"], parts["data"][0]["actionType"]) if "topic" in parts else ("", "")


# Rows.


async def test_tickers_are_whole_though_their_frames_are_not(live: Server) -> None:
    async with client_of(live.demo) as client:
        changes = 0
        async for ticker in client.ticker(PERPETUAL, buffer=Queue(1000)):
            assert isinstance(ticker, rows.Ticker)
            assert ticker.symbol == PERPETUAL
            assert decimal(ticker.bid_price) < decimal(ticker.ask_price)
            assert None not in (ticker.last_price, ticker.mark_price, ticker.funding_rate, ticker.volume24h)
            changes += 1
            if changes == 20:
                break


async def test_candles(live: Server) -> None:
    async with client_of(live.demo) as client:
        candles = await until(client.kline(PERPETUAL, "1"), lambda candle: Decimal(candle.volume) > 0)
        (expected, *_) = (await client.rest.klines(PERPETUAL, "1"))[-1:]
        assert candles[-1].start_time <= expected.start_time
        assert Decimal(candles[-1].low) <= Decimal(candles[-1].close) <= Decimal(candles[-1].high)


@pytest.mark.parametrize("changes", [False, True])
async def test_the_book_is_the_one_of_the_exchange(quiet: Server, trader: Account, changes: bool) -> None:
    async with client_of(trader) as client:
        books = client.order_book(PERPETUAL, 3, changes=changes)
        async with books:
            orders = [trader.buy("0.1", price) for price in ("1000", "1001", "1002", "1003")]
            trader.sell("0.2", "1004")
            trader.cancel(orders[2])
            found = await until(books, lambda book: [price for price, _ in book.bids] == ["1003.0", "1001.0", "1000.0"])
        book = found[-1]
        assert book == OrderBook(
            symbol=PERPETUAL,
            bids=[("1003.0", "0.1"), ("1001.0", "0.1"), ("1000.0", "0.1")],
            asks=[("1004.0", "0.2")],
            ts=book.ts,
            seq=book.seq,
        )
        assert (book.seq is not None) is changes
        assert (book.best_bid, book.best_ask) == (("1003.0", "0.1"), ("1004.0", "0.2"))


async def test_the_account_as_rest_shows_it(quiet: Server, trader: Account) -> None:
    other = quiet.account()
    async with (
        client_of(trader) as client,
        client.account() as accounts,
        client.margin() as margins,
        client.balances() as balances,
        client.positions() as positions,
        client.orders() as orders,
        client.executions() as executions,
    ):
        other.sell("0.5", "1000")
        trader.buy("0.3")
        resting = trader.buy("0.1", "900")
        seen = await until(executions, lambda row: row.order_id == resting["orderId"])
        assert [row.exec_type for row in seen] == ["NEW", "TRADE", "NEW"]
        assert decimal(seen[1].last_qty) == Decimal("0.3")
        last = await until(orders, lambda row: row.order_id == resting["orderId"])
        assert last[-1] == (await client.rest.open_orders())[0]
        (position,) = await client.rest.positions()
        assert (await until(positions, lambda row: row == position))[-1].position_side == "LONG"
        (balance,) = await client.rest.balances()
        await until(balances, lambda row: row == balance)
        account = await client.rest.account()
        await until(accounts, lambda row: row == account)
        (margin,) = await client.rest.margins()
        await until(margins, lambda row: row == margin)
    other.cancel_all()
    trader.cancel_all()
    trader.sell("0.3", "1000")
    other.buy("0.3")


async def test_executions_begin_where_the_stream_begins(quiet: Server, trader: Account) -> None:
    before = trader.buy("0.1", "900")
    async with client_of(trader) as client, client.executions() as executions:
        trader.cancel(before)
        (first,) = await until(executions, lambda row: True)
        assert (first.order_id, first.exec_type) == (before["orderId"], "CANCELED")


async def test_frames_as_they_came(live: Server) -> None:
    async with client_of(live.demo) as client:
        (frame,) = await until(client.ticker(PERPETUAL).frames(), lambda frame: True)
        assert isinstance(frame, RawFrame)
        assert topic_of(frame.data.decode()) == (TICKER, "SNAPSHOT")
        (frame,) = await until(client.frames("account"), lambda frame: True)
        assert topic_of(frame.data.decode()) == ("account", "SNAPSHOT")


async def test_callbacks(live: Server, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[rows.Ticker] = []

    def fail(ticker: rows.Ticker) -> None:
        seen.append(ticker)
        raise ValueError("not today")

    async with client_of(live.demo) as client:
        books: list[OrderBook] = []
        callback = client.ticker(PERPETUAL).each(fail)
        client.order_book(PERPETUAL, 2).each(books.append)
        await eventually(lambda: len(seen) >= 3 and len(books) >= 3)
        assert callback.failures == len(seen)
        callback.close()
        count = len(seen)
        await asyncio.sleep(0.3)
        assert len(seen) == count
        assert all(len(book.bids) == 2 for book in books)
        refused = client.ticker("NONE").each(seen.append)
        await eventually(lambda: refused.error is not None)
    assert "a callback of ticker.BTCUSDT.PERP has failed" in caplog.text
    assert "not today" in caplog.text


# One socket, one subscription.


async def test_a_topic_is_subscribed_once_and_left_with_its_last_reader(live: Server) -> None:
    async with between(live) as middle, client_of(live.demo, middle) as client:
        first, second = client.ticker(PERPETUAL), client.ticker(PERPETUAL)
        await until(first, lambda row: True)
        # A reader that comes later gets what is known, without asking.
        (known,) = await until(second, lambda row: True)
        assert known.symbol == PERPETUAL
        async for _ in client.ticker(PERPETUAL):
            break
        first.close()
        await until(second, lambda row: True)
        assert middle.operations == [("subscribe", [TICKER])]
        assert len(middle.peers) == 1
        second.close()
        await eventually(lambda: middle.operations == [("subscribe", [TICKER]), ("unsubscribe", [TICKER])])
        # Closed streams have ended; a new one begins anew.
        assert [row async for row in first][1:] == []  # what waited, at most
        await until(client.ticker(PERPETUAL), lambda row: True)


async def test_leaving_by_break_unsubscribes(live: Server) -> None:
    async with between(live) as middle, client_of(live.demo, middle) as client:
        async for _ in client.order_book(PERPETUAL):
            break
        gc.collect()
        await eventually(lambda: middle.operations[-1:] == [("unsubscribe", [f"orderbook.{PERPETUAL}"])])


async def test_the_end_of_the_client_ends_its_streams(live: Server) -> None:
    async with client_of(live.demo) as client:
        stream, events = client.ticker(PERPETUAL), client.events()
        await until(stream, lambda row: True)
        waiting = asyncio.create_task(until(client.kline(PERPETUAL, "1M"), lambda row: False))
        await until(events, lambda event: isinstance(event, Resynchronised))
    with pytest.raises(AssertionError, match="the iteration has ended"):
        await waiting
    assert [row async for row in stream][2:] == []  # what waited, at most
    with pytest.raises(RuntimeError, match="expected an open client"):
        await anext(Client(live.url, "key", "secret").ticker(PERPETUAL))


async def test_what_is_refused(quiet: Server) -> None:
    async with client_of(quiet.demo) as client:
        events = client.events()
        with pytest.raises(SubscriptionRefused, match=r"ticker\.NONE: InvalidSymbol: no symbol 'NONE'"):
            await until(client.ticker("NONE"), lambda row: False)
        with pytest.raises(SubscriptionRefused, match="InvalidTopic"):
            async with client.kline(PERPETUAL, "7"):
                pass
        with pytest.raises(ValueError, match="depth: expected at least 1, got 0"):
            client.order_book(PERPETUAL, 0)
    async with Client(quiet.url, quiet.demo.key, "wrong", settings=QUICK) as client:
        stream = client.account()
        with pytest.raises(StreamEnded, match="status 401"):
            await anext(stream)
        with pytest.raises(StreamEnded, match="status 401"):
            await anext(client.executions())
    assert issubclass(StreamEnded, ClientError)
    events.close()


# Slow readers.


async def test_latest_is_the_newest(live: Server) -> None:
    async with client_of(live.demo) as client, client.order_book(PERPETUAL, changes=True) as books:
        every = client.order_book(PERPETUAL, changes=True, buffer=Queue(100_000))
        first = await anext(books)
        async with every:
            newest = (await until(every, lambda book: (book.seq or 0) > (first.seq or 0) + 50))[-1]
        second = await anext(books)
        assert (second.seq or 0) >= (newest.seq or 0)
        assert len(books._box) == 0


async def test_a_queue_stops_the_client_until_there_is_room(live: Server) -> None:
    async with client_of(live.demo) as client, client.order_book(PERPETUAL, changes=True, buffer=Queue(3)) as books:
        await eventually(lambda: len(books._box) == 3)
        frames = client.counters.frames
        await asyncio.sleep(0.5)
        assert client.counters.frames == frames
        assert len(books._box) == 3
        seqs = [book.seq or 0 for book in await until(books, lambda book: client.counters.frames > frames + 50)]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


async def test_a_queue_drops_the_oldest_and_says_so(live: Server) -> None:
    async with client_of(live.demo) as client:
        policy = Queue(3, "drop_oldest")
        async with client.order_book(PERPETUAL, changes=True, buffer=policy).with_events() as books:
            await eventually(lambda: client.counters.frames > 60)
            gap = await anext(books)
            assert isinstance(gap, Gap)
            assert "rows were dropped" in gap.reason
            seqs = [book.seq or 0 for book in [await anext(books) for _ in range(3)] if isinstance(book, OrderBook)]
            assert len(seqs) == 3
            assert seqs[0] > 30


async def test_a_queue_ends_the_stream(live: Server) -> None:
    async with client_of(live.demo) as client:
        books = client.order_book(PERPETUAL, changes=True, buffer=Queue(3, "close"))
        async with books:
            await eventually(lambda: books._box.closed)
            for _ in range(3):
                assert isinstance(await anext(books), OrderBook)
            with pytest.raises(StreamOverflow, match="its queue was full"):
                await anext(books)


# Losses.


async def test_a_lost_connection_is_told_and_made_good(live: Server) -> None:
    async with between(live) as middle, client_of(live.demo, middle) as client:
        stream = client.ticker(PERPETUAL, buffer=Queue(10_000)).with_events()
        found = await until(stream, lambda item: isinstance(item, rows.Ticker))
        assert [type(item).__name__ for item in found] == ["Connected", "Resynchronised", "Ticker"]
        await middle.peers[-1].close(1012, "server restart")
        found = await until(stream, lambda item: isinstance(item, Resynchronised))
        events = [item for item in found if not isinstance(item, rows.Ticker)]
        lost, back, whole = events
        assert isinstance(lost, Reconnecting)
        assert (lost.code, lost.reason) == (1012, "server restart")
        assert isinstance(back, Connected)
        assert back.number == 2
        assert isinstance(whole, Resynchronised)
        assert (whole.topic, whole.source) == (TICKER, "stream")
        assert (client.counters.connections, client.counters.losses) == (2, 1)


async def test_a_missing_change_of_a_book_is_noticed(live: Server) -> None:
    lose_next = False

    def mangle(frame: str) -> list[str]:
        nonlocal lose_next
        if lose_next and topic_of(frame) == (DELTA, "UPDATE"):
            lose_next = False
            return []
        return [frame]

    async with between(live) as middle, client_of(live.demo, middle) as client:
        middle.mangle = mangle
        stream = client.order_book(PERPETUAL, changes=True, buffer=Queue(10_000)).with_events()
        await until(stream, lambda item: isinstance(item, OrderBook))
        lose_next = True
        gap = (await until(stream, lambda item: isinstance(item, Gap)))[-1]
        assert isinstance(gap, Gap)
        assert gap.topic == DELTA
        assert gap.reason.startswith("expected the change after ")
        after = await until(stream, lambda item: isinstance(item, OrderBook))
        assert [type(item).__name__ for item in after] == ["Resynchronised", "OrderBook"]
        assert middle.operations == [("subscribe", [DELTA]), ("unsubscribe", [DELTA]), ("subscribe", [DELTA])]


async def test_whatever_is_spoilt_no_wrong_book_is_shown(live: Server) -> None:
    chance = random.Random(3)
    held: list[str] = []

    def mangle(frame: str) -> list[str]:
        if topic_of(frame)[1] != "UPDATE":
            return [frame]
        match chance.randrange(30):
            case 0:
                return []
            case 1:
                return [frame, frame]
            case 2:
                held.append(frame)
                return []
            case 3 if held:
                return [frame, held.pop()]
            case 4:
                return [frame[: len(frame) // 2]]
            case 5:
                return [frame.replace('"seq":', '"seq":"x","was":')]
            case _:
                return [frame]

    true_books: dict[int, tuple[Any, Any]] = {}
    async with between(live) as middle, client_of(live.demo, middle) as client, client_of(live.demo) as straight:
        straight.order_book(PERPETUAL, 10, changes=True).each(
            lambda book: true_books.setdefault(book.seq or 0, (book.bids, book.asks))
        )
        await eventually(lambda: true_books)
        middle.mangle = mangle
        shown: list[OrderBook] = []
        client.order_book(PERPETUAL, 10, changes=True).each(shown.append)
        await eventually(lambda: client.counters.gaps > 2 and client.counters.bad_frames)
        middle.mangle = lambda frame: [frame]
        seen = client.counters.frames
        await eventually(lambda: shown[-1].seq in true_books and client.counters.frames > seen + 20)
    for book in shown:
        if book.seq in true_books:
            assert (book.bids, book.asks) == true_books[book.seq]


async def test_frames_of_every_bad_kind(live: Server) -> None:
    whole = {"topic": f"orderbook.{PERPETUAL}", "ts": "9" * 19, "data": [{"actionType": "SNAPSHOT", "rows": []}]}
    crossed = {"symbol": PERPETUAL, "bids": [["2", "1"]], "asks": [["1", "1"]]}
    async with between(live) as middle, client_of(live.demo, middle) as client:
        events = client.events()
        seen: list[Event] = []
        listening = asyncio.create_task(until(events, lambda event: bool(seen.append(event))))
        stream = client.order_book(PERPETUAL).with_events()
        await until(stream, lambda item: isinstance(item, OrderBook))

        async def gap(frame: str) -> str:
            await middle.send(frame)
            found = [item for item in await until(stream, lambda item: isinstance(item, Gap)) if isinstance(item, Gap)]
            await until(stream, lambda item: isinstance(item, OrderBook))
            return found[-1].reason

        middle.mangle = lambda frame: [frame]
        whole["data"] = [{"actionType": "SNAPSHOT", "rows": [crossed]}]
        assert await gap(json.dumps(whole)) == "expected the bid below the ask, got 2 and 1"
        whole["ts"] = "1" * 19
        assert (await gap(json.dumps(whole))).startswith("expected a ts of ")
        assert await gap(json.dumps({"topic": whole["topic"], "ts": 5})) == "a frame could not be read"
        for nonsense in ("nonsense", "[]", '"text"', '{"topic":5}', "{}", '{"topic":"unknown","ts":"1","data":[]}'):
            await middle.send(nonsense)
        await middle.send('{"success":false,"op":"subscribe","args":[],"error":"Strange","message":"who knows"}')
        await eventually(lambda: any(isinstance(event, Refused) for event in seen))
        await until(stream, lambda item: isinstance(item, OrderBook))
        listening.cancel()
    bad = [event for event in seen if isinstance(event, BadFrame)]
    assert [event.data for event in bad if b"5" not in event.data] == [b"nonsense", b"[]", b'"text"']
    assert client.counters.bad_frames == len(bad) == 5
    assert client.counters.unrouted == 1
    assert client.counters.gaps == 3


async def test_what_is_new_is_kept_and_not_fatal(live: Server) -> None:
    def mangle(frame: str) -> list[str]:
        parts = json.loads(frame)
        if "data" in parts:
            for change in parts["data"]:
                for row in change["rows"]:
                    row["invented"] = "later"
            parts["data"].append({"actionType": "MERGE", "rows": []})
        return [json.dumps(parts)]

    async with between(live) as middle, client_of(live.demo, middle) as client:
        middle.mangle = mangle
        stream = client.ticker(PERPETUAL, buffer=Queue(1000)).with_events()
        found = await until(stream, lambda item: isinstance(item, BadFrame))
        (ticker,) = [item for item in found if isinstance(item, rows.Ticker)]
        assert unknown(ticker) == {"invented": "later"}
        bad = found[-1]
        assert isinstance(bad, BadFrame)
        assert bad.reason == "expected SNAPSHOT or UPDATE, got 'MERGE'"
        assert json.loads(bad.data)["topic"] == TICKER
        (account,) = await until(client.account(), lambda row: True)
        assert unknown(account) == {"invented": "later"}


# Servers that have less.


async def test_without_snapshots_the_state_comes_by_rest(live: Server) -> None:
    account = live.account()
    async with between(live) as middle, client_of(account, middle) as client:
        middle.mangle = lambda frame: [] if topic_of(frame)[1] == "SNAPSHOT" else [frame]
        account.write("POST", "/trade/leverage", symbol=PERPETUAL, leverage=7, marginType="CROSS")
        async with client.positions().with_events() as positions, client.ticker(PERPETUAL) as tickers:
            whole, position = (await until(positions, lambda item: isinstance(item, rows.Position)))[-2:]
            assert isinstance(whole, Resynchronised)
            assert whole.source == "rest"
            assert position == (await client.rest.positions())[0]
            ticker = (await until(tickers, lambda row: True))[-1]
            assert None not in (ticker.bid_price, ticker.last_price, ticker.funding_rate)
        # A book is made of changes and has no other beginning than its SNAPSHOT.
        books = client.order_book(PERPETUAL, changes=True).with_events()
        gap = (await until(books, lambda item: isinstance(item, Gap)))[-1]
        assert isinstance(gap, Gap)
        assert gap.reason == "changes came, and no SNAPSHOT to apply them to"
        middle.mangle = lambda frame: [frame]
        await until(books, lambda item: isinstance(item, OrderBook))


@pytest.mark.parametrize("says_so", [True, False])
async def test_without_the_extensions_orders_and_executions_come_by_rest(
    quiet: Server, trader: Account, says_so: bool
) -> None:
    def answer(operation: str, topics: list[str]) -> str | None:
        refused = {"success": False, "op": operation, "args": topics, "error": "InvalidTopic", "message": "none such"}
        if operation != "subscribe":
            return None
        return json.dumps(refused) if says_so else "{}"

    async with between(quiet) as middle, client_of(trader, middle) as client:
        middle.answer = answer
        async with client.orders() as orders, client.executions() as executions:
            resting = trader.buy("0.1", "900")
            order = (await until(orders, lambda row: True))[-1]
            assert (order.order_id, order.status) == (resting["orderId"], "NEW")
            trader.cancel(resting)
            assert [row.status for row in await until(orders, lambda row: row.status == "CANCELED")] == ["CANCELED"]
            seen = await until(executions, lambda row: row.exec_type == "CANCELED")
            assert [row.exec_type for row in seen] == ["NEW", "CANCELED"]


async def test_what_happened_while_the_connection_was_lost(quiet: Server, trader: Account) -> None:
    other = quiet.account()
    kept, filled, cancelled = (trader.buy("0.1", price) for price in ("899", "903", "901"))
    async with (
        between(quiet) as middle,
        client_of(trader, middle) as client,
        client.orders(buffer=Queue(100)) as orders,
        client.executions() as executions,
        client.positions() as positions,
    ):
        await until(orders, lambda row: row.order_id == cancelled["orderId"])
        trader.write("POST", "/trade/leverage", symbol=PERPETUAL, leverage=9, marginType="CROSS")
        await until(positions, lambda row: row.leverage == 9)
        # The server is out of reach: every new connection is closed at once.
        middle.answer = lambda operation, topics: "not now"
        await middle.peers[-1].close()
        other.sell("0.1", "903")
        trader.cancel(cancelled)
        short_lived = trader.buy("0.1", "902")
        trader.cancel(short_lived)
        middle.answer = lambda operation, topics: None
        await eventually(lambda: len(middle.peers) > 1)
        await middle.peers[-1].close()
        ended = {filled["orderId"]: "FILLED", cancelled["orderId"]: "CANCELED", short_lived["orderId"]: "CANCELED"}
        seen: dict[str, str] = {}

        def all_ended(row: rows.Order) -> bool:
            seen[row.order_id] = row.status
            return ended.items() <= seen.items()

        await until(orders, all_ended)
        types = [
            row.exec_type
            for row in await until(
                executions, lambda row: row.order_id == short_lived["orderId"] and row.exec_type == "CANCELED"
            )
        ]
        assert types == ["TRADE", "CANCELED", "NEW", "CANCELED"]
        assert seen.get(kept["orderId"], "NEW") == "NEW"
        assert (await until(positions, lambda row: row.position_side == "LONG"))[-1].position_qty == "0.1"
    trader.cancel_all()
    trader.sell("0.1", "905")
    other.buy("0.1")


def test_defaults_are_quiet(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Client("http://127.0.0.1:1", "key", "secret")
    assert caplog.text == ""
    assert Latest() == Latest(10_000)
