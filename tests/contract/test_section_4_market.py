"""Contract, section 4: the market over REST."""

import time
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from tests.contract import shapes
from tests.contract.support import PERPETUAL, SPOT, Account, Server

MINUTE = 60 * 10**9
# Interval and length in ns; weeks and months are looked at by themselves.
FIXED = {
    "1": 1, "3": 3, "5": 5, "15": 15, "30": 30, "60": 60, "120": 120, "180": 180, "240": 240, "360": 360, "720": 720,
    "1D": 1440,
}  # fmt: skip


def all_symbols(server: Server) -> dict[str, list[str]]:
    found: dict[str, list[str]] = server.demo.get("/trade/symbol")
    return found


# One object with a symbol, an array without.


@pytest.mark.parametrize(
    ("target", "shape"), [("/market/contract", shapes.CONTRACT), ("/market/ticker", shapes.TICKER)]
)
def test_an_object_with_symbol_and_an_array_without(live: Server, target: str, shape: shapes.Shape) -> None:
    symbols = all_symbols(live)
    rows = live.demo.get(target)
    assert isinstance(rows, list)
    assert [row["symbol"] for row in rows] == symbols["perpetualSwap"] + symbols["spot"]
    for row in rows:
        shapes.check(row, shape)
        one = live.demo.get(f"{target}?symbol={row['symbol']}")
        shapes.check(one, shape)
        assert one["symbol"] == row["symbol"]


@pytest.mark.parametrize("target", ["/market/contract", "/market/ticker", "/market/funding-info"])
@pytest.mark.parametrize("symbol", ["NOSUCH.PERP", "btcusdt.perp", "", "BTCUSDT.PERP.X", "%00"])
def test_an_unknown_symbol(quiet: Server, target: str, symbol: str) -> None:
    assert quiet.demo.refused("GET", f"{target}?symbol={symbol}")[0] == "InvalidSymbol"


# Contracts.


def test_contracts_of_perpetuals(quiet: Server) -> None:
    rows = {row["symbol"]: row for row in quiet.demo.get("/market/contract")}
    expected = {
        "BTCUSDT.PERP": ("0.1", "100", "0.01", "0.005"),
        "ETHUSDT.PERP": ("0.01", "100", "0.01", "0.005"),
        "SOLUSDT.PERP": ("0.01", "50", "0.02", "0.01"),
        "XRPUSDT.PERP": ("0.0001", "50", "0.02", "0.01"),
        "DOGEUSDT.PERP": ("0.00001", "50", "0.02", "0.01"),
        "BNBUSDT.PERP": ("0.01", "50", "0.02", "0.01"),
    }
    for symbol, (tick, leverage, initial, maintenance) in expected.items():
        row = rows[symbol]
        assert (row["tickSize"], row["maxLeverage"]) == (tick, leverage)
        assert (row["initMarginRate"], row["maintMarginRate"]) == (initial, maintenance)
        assert row["quoteCurrency"] == "USDT"
        assert row["notionalMinOrderAmount"] == "1"
        assert row["baseInterestRate"] == "0.0001"
        assert row["fundingIntervalHours"] == 8
        # Published: three quarters of the maintenance margin rate.
        assert Decimal(row["fundingRateCap"]) == Decimal(maintenance) * 3 / 4
        assert None not in row.values()
    assert rows[PERPETUAL]["unitOrderQty"] == "0.000001"


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_contracts_of_spot_pairs_have_no_derivative_fields(quiet: Server, symbol: str) -> None:
    row = quiet.demo.get(f"/market/contract?symbol={symbol}")
    derivative = {
        "initMarginRate", "maintMarginRate", "maxLeverage", "baseInterestRate", "fundingRateCap",
        "fundingIntervalHours", "notionalMaxPositionAmount", "maxOpenInterest",
    }  # fmt: skip
    assert {name for name, value in row.items() if value is None} == derivative


# Tickers.


def test_tickers_of_a_live_market(live: Server) -> None:
    symbols = all_symbols(live)
    for ticker in live.demo.get("/market/ticker"):
        assert Decimal(ticker["bidPrice"]) < Decimal(ticker["askPrice"])
        assert Decimal(ticker["volume24h"]) > 0
        assert Decimal(ticker["turnover24h"]) > 0
        derivative = [
            ticker[name] for name in (
                "openInterest", "markPrice", "indexPrice", "fundingRate", "nextFundingTime", "fundingIntervalHours",
                "fundingRateCap",
            )
        ]  # fmt: skip
        if ticker["symbol"] in symbols["perpetualSwap"]:
            assert None not in derivative
            # The mark lies near the index, and the next funding at a multiple of eight hours.
            assert abs(Decimal(ticker["markPrice"]) / Decimal(ticker["indexPrice"]) - 1) < Decimal("0.02")
            assert int(ticker["nextFundingTime"]) % (480 * MINUTE) == 0
            assert 0 < int(ticker["nextFundingTime"]) - time.time_ns() <= 480 * MINUTE
        else:
            assert set(derivative) == {None}


def test_a_ticker_counts_what_was_traded(exchange: Server, alice: Account, bob: Account) -> None:
    target = f"/market/ticker?symbol={PERPETUAL}"
    fresh = alice.get(target)
    assert (fresh["volume24h"], fresh["turnover24h"], fresh["priceChange24h"]) == (None, None, None)
    assert fresh["openInterest"] == "0"
    for price in ("50000", "50100.5"):
        bob.sell("0.5", price)
        alice.buy("0.5")
    bob.buy("1", "49000")
    ticker = alice.get(target)
    assert ticker["volume24h"] == "1"
    assert ticker["turnover24h"] == "50050.25"
    assert ticker["priceChange24h"] == "100.5"
    assert ticker["lastPrice"] == "50100.5"
    assert ticker["openInterest"] == "1"
    assert (ticker["bidPrice"], ticker["askPrice"]) == ("49000.0", None)


# Funding.


def test_funding_info(live: Server) -> None:
    rows = live.demo.get("/market/funding-info")
    assert [row["symbol"] for row in rows] == all_symbols(live)["perpetualSwap"]
    for row in rows:
        shapes.check(row, shapes.FUNDING_INFO)
        cap = Decimal(row["fundingRateCap"])
        assert -cap <= Decimal(row["fundingRate"]) <= cap
        assert -cap <= Decimal(row["lastFundingRate"]) <= cap
        ticker = live.demo.get(f"/market/ticker?symbol={row['symbol']}")
        assert row["nextFundingTime"] == ticker["nextFundingTime"]
        assert row["fundingIntervalHours"] == ticker["fundingIntervalHours"] == 8


def test_funding_info_is_an_array_in_any_case(live: Server) -> None:
    rows = live.demo.get(f"/market/funding-info?symbol={PERPETUAL}")
    assert [row["symbol"] for row in rows] == [PERPETUAL]
    assert live.demo.get(f"/market/funding-info?symbol={SPOT}") == []


# Candles.


def klines(account: Account, interval: str, symbol: str = PERPETUAL, **more: object) -> list[list[str]]:
    query = "".join(f"&{name}={value}" for name, value in more.items())
    rows: list[list[str]] = account.get(f"/market/kline?symbol={symbol}&interval={interval}{query}")
    for row in rows:
        shapes.check_kline(row)
    return rows


@pytest.mark.parametrize("interval", [*FIXED, "1W", "1M"])
def test_candles(live: Server, interval: str) -> None:
    rows = klines(live.demo, interval)
    assert len(rows) == 100
    for row in rows:
        opened, high, low, close, volume, turnover = map(Decimal, row[1:])
        assert 0 < low <= min(opened, close) <= max(opened, close) <= high
        assert (volume > 0) == (turnover > 0)
        assert volume == 0 or low <= turnover / volume <= high
    starts = [int(row[0]) for row in rows]
    gaps = {later - earlier for earlier, later in pairwise(starts)}
    if interval == "1M":
        assert gaps <= {days * 1440 * MINUTE for days in (28, 29, 30, 31)}
        assert {time.gmtime(start / 1e9).tm_mday for start in starts} == {1}
        assert all(start % (1440 * MINUTE) == 0 for start in starts)
    elif interval == "1W":
        assert gaps == {7 * 1440 * MINUTE}
        assert {time.gmtime(start / 1e9).tm_wday for start in starts} == {0}
    else:
        assert gaps == {FIXED[interval] * MINUTE}
        assert all(start % (FIXED[interval] * MINUTE) == 0 for start in starts)
    # The newest is the open one.
    assert starts[-1] <= time.time_ns()
    assert interval in ("1W", "1M") or time.time_ns() - starts[-1] < (FIXED[interval] + 1) * MINUTE


def test_longer_candles_are_made_of_shorter_ones(live: Server) -> None:
    minutes = klines(live.demo, "1", limit=1000)
    for long in klines(live.demo, "15", limit=100)[-50:-1]:
        start = int(long[0])
        parts = [row for row in minutes if start <= int(row[0]) < start + 15 * MINUTE]
        if len(parts) == 15:
            assert long[1] == parts[0][1]
            assert Decimal(long[2]) == max(Decimal(row[2]) for row in parts)
            assert Decimal(long[3]) == min(Decimal(row[3]) for row in parts)
            assert long[4] == parts[-1][4]
            assert Decimal(long[5]) == sum(Decimal(row[5]) for row in parts)
            assert Decimal(long[6]) == sum(Decimal(row[6]) for row in parts)


def test_limit_of_candles(live: Server) -> None:
    assert len(klines(live.demo, "1")) == 100
    assert len(klines(live.demo, "1", limit=100)) == 100
    assert len(klines(live.demo, "1", limit=1000)) == 1000
    assert klines(live.demo, "60", limit=1000)[-100:-1] == klines(live.demo, "60")[:-1]


def test_bounds_of_candles_are_inclusive(live: Server) -> None:
    rows = klines(live.demo, "60", limit=500)
    chosen = rows[200:231]
    first, last = chosen[0][0], chosen[-1][0]
    assert klines(live.demo, "60", startTime=first, endTime=last) == chosen
    assert klines(live.demo, "60", startTime=int(first) + 1, endTime=int(last) - 1) == chosen[1:-1]
    assert klines(live.demo, "60", startTime=first, endTime=first) == chosen[:1]
    # With a start the first ones from there, with an end alone the newest up to it.
    assert klines(live.demo, "60", startTime=first) == rows[200:300]
    assert klines(live.demo, "60", endTime=last) == rows[131:231]
    assert klines(live.demo, "60", startTime=first, endTime=last, limit=1000) == chosen


def test_candles_of_another_time_are_none(live: Server) -> None:
    assert klines(live.demo, "1", startTime="4102444800000000000") == []
    assert klines(live.demo, "1", endTime="1000000000000000000") == []


def test_candles_of_a_market_that_never_traded(quiet: Server) -> None:
    assert klines(quiet.demo, "1", "XRPUSDT.PERP") == []


def test_candles_of_trades(exchange: Server, alice: Account, bob: Account) -> None:
    for price in ("50000", "50300", "49900", "50100"):
        bob.sell("0.1", price)
        alice.buy("0.1")
    start = int(klines(alice, "1")[0][0])
    opened = ["50000.0", "50300.0", "49900.0", "50100.0", "0.4", "20030"]
    for interval in (*FIXED, "1W", "1M"):
        # A minute may have ended in between.
        rows = klines(alice, interval)
        if len(rows) == 1:
            assert rows[0][1:] == opened
            assert int(rows[0][0]) <= start


CANDLES = f"symbol={PERPETUAL}&interval"
NO_TIMES = ("1765975842", "1765975842095", "", "-1765975842095607088", "1.7e18", "soon", "9" * 19, "9" * 400)


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("interval=1", "InvalidParameter", "symbol"),
        ("symbol=BTCUSDT.PERP", "InvalidParameter", "interval"),
        ("symbol=NOSUCH&interval=1", "InvalidSymbol", "NOSUCH"),
        *(
            (f"symbol=BTCUSDT.PERP&interval={value}", "InvalidParameter", "interval")
            for value in ("2", "1m", "", "1d", "01")
        ),
        *(
            (f"{CANDLES}=1&limit={value}", "InvalidParameter", "limit")
            for value in ("99", "1001", "0", "-100", "1e2", "100.0", "", "x", "9" * 400, "%C2%B9%C2%B9%C2%B9")
        ),
        *(
            (f"{CANDLES}=1&{name}={value}", "InvalidParameter", name)
            for name in ("startTime", "endTime")
            for value in (
                "1765975842",
                "1765975842095",
                "",
                "-1765975842095607088",
                "1.7e18",
                "soon",
                "9" * 19,
                "9" * 400,
            )
        ),
        (
            "symbol=BTCUSDT.PERP&interval=1&startTime=1765975842095607088&endTime=1765975842095607087",
            "InvalidParameter",
            "endTime",
        ),
        ("symbol=BTCUSDT.PERP&interval=1&limit=100&limit=100", "InvalidParameter", "limit"),
        ("symbol=%FF&interval=1", "InvalidParameter", "symbol"),
    ],
)
def test_bad_queries_of_candles(quiet: Server, query: str, code: str, field: str) -> None:
    found, message = quiet.demo.refused("GET", f"/market/kline?{query}")
    assert found == code
    assert field in message


# Order books.


def orderbook(account: Account, query: str) -> Any:
    row = account.get(f"/market/orderbook?{query}")
    shapes.check(row, shapes.ORDERBOOK)
    return row


def test_an_orderbook(live: Server) -> None:
    for symbol in (PERPETUAL, "DOGEUSDT.PERP", SPOT):
        row = orderbook(live.demo, f"symbol={symbol}")
        assert row["symbol"] == symbol
        bids, asks = ([Decimal(price) for price, _ in row[side]] for side in ("bids", "asks"))
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert bids[0] < asks[0]
        assert len(bids) <= 100
        assert len(asks) <= 100


def test_levels_of_an_orderbook(exchange: Server, alice: Account) -> None:
    for number in range(120):
        alice.buy("0.0001", str(40_000 - number))
    for number in range(3):
        alice.buy("0.0005", "40000.0")
        alice.sell("0.25", f"{60_000 + number}.50")
    whole = orderbook(alice, f"symbol={PERPETUAL}&limit=1000")
    assert len(whole["bids"]) == 120
    # One row a price, with the sum of its orders in the shortest form.
    assert whole["bids"][0] == ["40000.0", "0.0016"]
    assert whole["asks"] == [["60000.5", "0.25"], ["60001.5", "0.25"], ["60002.5", "0.25"]]
    assert orderbook(alice, f"symbol={PERPETUAL}")["bids"] == whole["bids"][:100]
    assert orderbook(alice, f"symbol={PERPETUAL}&limit=1")["bids"] == whole["bids"][:1]
    assert orderbook(alice, f"symbol={PERPETUAL}&limit=1")["asks"] == whole["asks"][:1]
    assert orderbook(alice, "symbol=ETHUSDT") == {"symbol": "ETHUSDT", "bids": [], "asks": []}


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("", "InvalidParameter", "symbol"),
        ("symbol=NOSUCH", "InvalidSymbol", "NOSUCH"),
        *(
            (f"symbol=BTCUSDT.PERP&limit={value}", "InvalidParameter", "limit")
            for value in ("0", "1001", "-1", "1.5", "")
        ),
        ("symbol=BTCUSDT.PERP&symbol=BTCUSDT", "InvalidParameter", "symbol"),
    ],
)
def test_bad_queries_of_orderbooks(quiet: Server, query: str, code: str, field: str) -> None:
    found, message = quiet.demo.refused("GET", f"/market/orderbook?{query}")
    assert found == code
    assert field in message


# Fees.


def test_fee_rate(live: Server) -> None:
    rows = live.demo.get("/market/fee-rate")
    for row in rows:
        shapes.check(row, shapes.FEE_RATE)
    assert rows[0] == {"level": 0, "requiredTradeVolume": "0", "requiredAssetBalance": "0", "feeRate": "0.0006"}


def test_fees_taken_are_those_of_the_level(exchange: Server, alice: Account, bob: Account) -> None:
    resting = bob.sell("1", "50000")
    taking = alice.buy("1")
    assert bob.past(resting)["cumFee"] == "10"  # 0.0002
    assert alice.past(taking)["cumFee"] == "30"  # 0.0006


# HEAD, and what is not asked for.


def test_head_is_a_get_without_a_body(quiet: Server) -> None:
    target = f"/market/ticker?symbol={PERPETUAL}"
    head, get = quiet.demo.send("HEAD", target), quiet.demo.send("GET", target)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))
    assert head.headers["content-type"] == "application/json"


def test_unknown_parameters_are_ignored(quiet: Server) -> None:
    target = f"/market/ticker?symbol={PERPETUAL}"
    assert quiet.demo.get(f"{target}&more=1&more=2&%FF=%FF") == quiet.demo.get(target)
