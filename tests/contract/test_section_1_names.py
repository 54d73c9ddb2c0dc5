"""Contract, section 1: base path, symbols, decimals, timestamps, small integers, nulls."""

import json
import re
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.contract import shapes
from tests.contract.support import PERPETUAL, SPOT, Server

# Decimals and timestamps are texts: of all the numbers in all replies, only these are JSON numbers.
SMALL_INTEGERS = {"leverage", "slot", "fundingIntervalHours", "level", "boostRemainingCount", "initLeverage"}

REPLIES = (
    "/market/contract", "/market/ticker", "/market/funding-info", f"/market/orderbook?symbol={PERPETUAL}",
    f"/market/kline?symbol={PERPETUAL}&interval=1", "/market/fee-rate", "/account", "/account/margin",
    "/account/balance", "/account/position", "/trade/order", "/trade/symbol", "/trade/order/history",
    "/trade/execution/history",
)  # fmt: skip


def numbers(value: Any, name: str = "") -> list[tuple[str, object]]:
    """Every JSON number below a value, with the name of its field."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in numbers(inner, key)]
    if isinstance(value, list):
        return [found for inner in value for found in numbers(inner, name)]
    return [(name, value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_rest_and_stream_answer_on_one_host_and_port(live: Server) -> None:
    with live.demo.stream(f"ticker.{PERPETUAL}") as stream:
        assert stream.connection.remote_address == (urlsplit(live.url).hostname, urlsplit(live.url).port)
    assert live.http.get("/api/v1/public/ping").json() == {}


def test_symbols(live: Server) -> None:
    symbols = live.demo.get("/trade/symbol")
    assert PERPETUAL in symbols["perpetualSwap"]
    assert SPOT in symbols["spot"]
    for symbol in symbols["perpetualSwap"] + symbols["spot"]:
        assert re.fullmatch(r"[A-Z0-9]+(\.[A-Z0-9]+)?", symbol)


@pytest.mark.parametrize("target", REPLIES)
def test_numbers_are_texts_except_small_integers(live: Server, target: str) -> None:
    # An order, a position and a fill, so that no reply is empty.
    demo = live.demo
    if demo.position() is None:
        demo.leverage(5)
        demo.buy("0.01")
        demo.sell("0.01", "150000", timeInForce="GTC")
    reply = demo.get(target)
    assert reply
    found = numbers(reply)
    assert {name for name, _ in found} <= SMALL_INTEGERS
    assert all(shapes.integer(value) for _, value in found)


def test_decimals_have_no_exponent_however_small_or_large(quiet: Server) -> None:
    account = quiet.account()
    quiet.control("POST", "deposit", {"account": account.name, "asset": "BTC", "amount": "0.00000001"})
    quiet.control("POST", "deposit", {"account": account.name, "asset": "USDT", "amount": "20000000000"})
    balances = {row["asset"]: row["balance"] for row in account.get("/account/balance")}
    assert balances == {"BTC": "0.00000001", "USDT": "20000100000"}


def test_timestamps_are_nanoseconds(live: Server) -> None:
    before = time.time_ns()
    reply = live.http.get("/api/v1/public/time").json()
    assert set(reply) == {"serverTime"}
    assert shapes.timestamp(reply["serverTime"])
    assert before <= int(reply["serverTime"]) <= time.time_ns()


def test_nullable_fields_are_sent_as_null_over_rest(live: Server) -> None:
    ticker = live.demo.get(f"/market/ticker?symbol={SPOT}")
    shapes.check(ticker, shapes.TICKER)
    assert ticker["markPrice"] is None
    assert ticker["nextFundingTime"] is None


def test_prices_show_every_decimal_of_the_tick(live: Server) -> None:
    for ticker in live.demo.get("/market/ticker"):
        tick = live.demo.get(f"/market/contract?symbol={ticker['symbol']}")["tickSize"]
        places = len(tick.partition(".")[2])
        for name in ("bidPrice", "askPrice", "lastPrice"):
            assert len(ticker[name].partition(".")[2]) == places


def test_frames_are_json_objects_in_utf_8_text(live: Server) -> None:
    with live.demo.stream() as stream:
        stream.send(f"ticker.{PERPETUAL}", op="subscribe")
        # decode=False gives the bytes of a text frame as they came.
        for _ in range(2):
            message = stream.connection.recv(5, decode=False)
            assert isinstance(json.loads(message.decode("utf-8")), dict)
