"""The client without asyncio, against a real server."""

import signal
import threading
import time
from pathlib import Path

import pytest
from tests.contract.support import PERPETUAL, Account, Server

from tickwire.client import BackOff, ConnectionSettings, Queue, RawFrame, Reconnecting, SubscriptionRefused, decimal
from tickwire.client.client import Client as AsyncClient
from tickwire.client.streams import Stream as AsyncStream
from tickwire.client.sync import Client, Stream

QUICK = ConnectionSettings(back_off=BackOff(first=0.05, longest=0.2))


def client_of(account: Account) -> Client:
    return Client(account.server.url, account.key, account.secret, settings=QUICK)


def test_rows_in_a_for_loop(live: Server) -> None:
    with client_of(live.demo) as client:
        for ticker, _ in zip(client.ticker(PERPETUAL), range(5), strict=False):
            assert decimal(ticker.bid_price) < decimal(ticker.ask_price)
        assert next(client.order_book(PERPETUAL, 3)).symbol == PERPETUAL
        assert len(next(client.kline(PERPETUAL, "1")).open) > 1
        assert isinstance(next(client.frames("account")), RawFrame)
        assert isinstance(next(client.account().frames()), RawFrame)
        assert client.counters.connections == 1
        assert client.rest.ticker(PERPETUAL).symbol == PERPETUAL


def test_an_account_that_trades(quiet: Server, trader: Account) -> None:
    with client_of(trader) as client, client.executions() as executions, client.orders() as orders:
        order = client.rest.place_order(PERPETUAL, "BUY", "0.1", price="900")
        assert (executions.read(5).order_id, orders.read(5).status) == (order.order_id, "NEW")
        client.rest.cancel_order(PERPETUAL, order.order_id)
        assert executions.read(5).exec_type == "CANCELED"
        assert next(client.balances()).asset == "USDT"
        assert next(client.margin()).currency == "USDT"
        assert next(client.account()).total_unrealized_pnl == "0"


def test_a_timeout_loses_nothing(quiet: Server, trader: Account) -> None:
    with client_of(trader) as client, client.executions() as executions:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                executions.read(0.05)
        placed = [trader.buy("0.1", "900") for _ in range(3)]
        assert [executions.read(5).order_id for _ in placed] == [order["orderId"] for order in placed]


def test_another_thread_may_close_it(quiet: Server) -> None:
    with client_of(quiet.demo) as client:
        stream = client.positions()
        threading.Timer(0.3, stream.close).start()
        assert [row for row in stream if row.position_side] == []
        with pytest.raises(EOFError, match="the stream is closed"):
            stream.read(1)


def test_errors_and_events(tmp_path: Path) -> None:
    with (
        Server(tmp_path / "data", "--no-market", "--symbols", PERPETUAL) as server,
        client_of(server.demo) as client,
    ):
        events = client.events()
        ticker = client.ticker(PERPETUAL).with_events()
        with pytest.raises(TimeoutError):
            events.read(0)
        with pytest.raises(SubscriptionRefused):
            client.ticker("NONE").read(5)
        assert type(ticker.read(5)).__name__ in ("Connected", "Resynchronised")
        server.stop(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while not isinstance(events.read(10), Reconnecting):
            assert time.monotonic() < deadline
        queued = client.executions(buffer=Queue(5))
        with pytest.raises(TimeoutError):
            queued.read(0.1)
    with pytest.raises(RuntimeError, match="use it within with"):
        client.ticker(PERPETUAL)
    with pytest.raises(RuntimeError, match="opened once only"):
        client.__enter__()


def test_it_has_all_that_the_other_has() -> None:
    streams = {name for name in vars(AsyncClient) if not name.startswith("_")}
    assert streams - {"aclose"} <= set(vars(Client))
    assert {name for name in vars(AsyncStream) if not name.startswith("_")} - {"each"} <= set(vars(Stream))
