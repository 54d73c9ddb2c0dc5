import pytest
from tests.rest.support import PERPETUAL, START, Client, DirectGateway

from tickwire.exchange.commands import PlaceOrder, Tick
from tickwire.wire.intervals import MINUTE


async def test_ping_and_time_need_no_key(anonymous: Client, gateway: DirectGateway) -> None:
    ping = await anonymous.send("GET", "/api/v1/public/ping")
    time = await anonymous.send("GET", "/api/v1/public/time")
    assert (ping.status_code, ping.text) == (200, "{}")
    assert (time.status_code, time.json()) == (200, {"serverTime": str(gateway.now())})


@pytest.mark.parametrize("path", ["/api/v1/market/contract", "/api/v1/market/ticker"])
async def test_an_object_with_symbol_and_an_array_without(client: Client, path: str) -> None:
    one = await client.get(f"{path}?symbol={PERPETUAL}")
    every = await client.get(path)
    assert isinstance(one, dict)
    assert one["symbol"] == PERPETUAL
    assert one in every
    assert "BTCUSDT" in [row["symbol"] for row in every]


async def test_the_contract_of_a_spot_pair_has_null_in_the_derivative_fields(client: Client) -> None:
    contract = await client.get("/api/v1/market/contract?symbol=BTCUSDT")
    assert contract["maxLeverage"] is None
    assert contract["fundingIntervalHours"] is None
    assert contract["tickSize"] is not None


async def test_the_ticker_shows_best_prices_and_the_last_day(client: Client, gateway: DirectGateway) -> None:
    gateway.apply(PlaceOrder("alice", PERPETUAL, 1, 2, quantity=1000))
    ticker = await client.get(f"/api/v1/market/ticker?symbol={PERPETUAL}")
    assert (ticker["bidPrice"], ticker["askPrice"], ticker["lastPrice"]) == ("74937.0", "74937.1", "74937.1")
    assert ticker["volume24h"] == "0.001"
    assert ticker["priceChange24h"] == "0.0"


async def test_funding_is_an_array_of_perpetuals(client: Client) -> None:
    every = await client.get("/api/v1/market/funding-info")
    one = await client.get(f"/api/v1/market/funding-info?symbol={PERPETUAL}")
    assert [row["symbol"] for row in one] == [PERPETUAL]
    assert one[0] in every
    assert all(row["symbol"].endswith(".PERP") for row in every)
    assert await client.get("/api/v1/market/funding-info?symbol=BTCUSDT") == []


async def test_candles_are_arrays_of_seven_texts_oldest_first(client: Client, gateway: DirectGateway) -> None:
    gateway.apply(PlaceOrder("alice", PERPETUAL, 1, 2, quantity=1000))
    gateway.time += 2 * MINUTE
    gateway.apply(Tick())
    candles = await client.get(f"/api/v1/market/kline?symbol={PERPETUAL}&interval=1")
    assert all(len(candle) == 7 and all(isinstance(text, str) for text in candle) for candle in candles)
    starts = [int(candle[0]) for candle in candles]
    assert starts == [START - START % MINUTE + step * MINUTE for step in range(3)]
    assert candles[1][1:] == ["74937.1", "74937.1", "74937.1", "74937.1", "0", "0"]

    bounds = f"startTime={starts[1]}&endTime={starts[1]}"
    assert await client.get(f"/api/v1/market/kline?symbol={PERPETUAL}&interval=1&{bounds}") == [candles[1]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("interval=1", "symbol"),
        (f"symbol={PERPETUAL}", "interval"),
        (f"symbol={PERPETUAL}&interval=2", "interval"),
        (f"symbol={PERPETUAL}&interval=1&limit=99", "limit"),
        (f"symbol={PERPETUAL}&interval=1&limit=1001", "limit"),
        (f"symbol={PERPETUAL}&interval=1&limit=1e2", "limit"),
        (f"symbol={PERPETUAL}&interval=1&limit=100.0", "limit"),
        (f"symbol={PERPETUAL}&interval=1&startTime=1765975842", "startTime"),
        (f"symbol={PERPETUAL}&interval=1&endTime=9999999999999999999", "endTime"),
        (f"symbol={PERPETUAL}&interval=1&startTime={START}&endTime={START - 1}", "endTime"),
    ],
)
async def test_a_bad_candle_query_names_its_field(client: Client, query: str, field: str) -> None:
    reply = await client.call("GET", f"/api/v1/market/kline?{query}")
    assert reply.status_code == 400
    assert reply.json()["error"] == "InvalidParameter"
    assert reply.json()["message"].startswith(f"{field}: expected")


async def test_the_book_is_best_first_and_bounded(client: Client) -> None:
    book = await client.get(f"/api/v1/market/orderbook?symbol={PERPETUAL}&limit=2")
    assert book == {
        "symbol": PERPETUAL,
        "bids": [["74937.0", "1"], ["74936.9", "1"]],
        "asks": [["74937.1", "1"], ["74937.2", "1"]],
    }
    assert len((await client.get(f"/api/v1/market/orderbook?symbol={PERPETUAL}"))["bids"]) == 5


async def test_fee_levels(client: Client) -> None:
    levels = await client.get("/api/v1/market/fee-rate")
    assert levels[0] == {"level": 0, "requiredTradeVolume": "0", "requiredAssetBalance": "0", "feeRate": "0.0006"}
    assert [row["level"] for row in levels] == list(range(12))


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/market/contract?symbol=NOPE",
        "/api/v1/market/ticker?symbol=",
        "/api/v1/market/funding-info?symbol=btcusdt.perp",
        "/api/v1/market/kline?symbol=NOPE&interval=1",
        "/api/v1/market/orderbook?symbol=NOPE",
        "/api/v1/account/position?symbol=NOPE",
        "/api/v1/trade/order?symbol=NOPE",
        "/api/v1/trade/order/history?symbol=NOPE",
    ],
)
async def test_an_unknown_symbol_is_refused(client: Client, target: str) -> None:
    reply = await client.call("GET", target)
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidSymbol")
    assert reply.headers["x-prex-error-type"] == "InvalidSymbol"
