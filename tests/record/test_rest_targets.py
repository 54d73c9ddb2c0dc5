"""What is asked for over REST beside a recording."""

import json
import time
from pathlib import Path

import pytest
from tests.contract.support import Server

from tickwire.client import RestClient, ServerClock, Unauthorized, calls
from tickwire.record.rest_targets import targets

HOUR = 3_600_000_000_000


def test_candles_are_asked_for_with_their_topics() -> None:
    fixed = targets(["ticker.BTCUSDT", "account"])
    assert targets(["kline.1D.BTCUSDT.PERP", "ticker.BTCUSDT"]) == [
        *fixed,
        "/api/v1/market/kline?symbol=BTCUSDT.PERP&interval=1D&limit=1000",
    ]


async def test_a_wrong_clock_and_a_wrong_secret(tmp_path: Path) -> None:
    target = "/api/v1/trade/symbol"
    with Server(tmp_path / "data", "--no-market", "--symbols", "BTCUSDT.PERP") as server:
        for offset in (-2 * HOUR, 0, 30 * HOUR):
            clock = ServerClock(lambda late=offset: time.time_ns() + late)
            async with RestClient(server.url, server.demo.key, server.demo.secret, clock=clock) as rest:
                body = await rest.send(calls.read(target))
            assert json.loads(body)["perpetualSwap"] == ["BTCUSDT.PERP"]
            assert body == server.demo.send("GET", "/trade/symbol").content
        async with RestClient(server.url, server.demo.key, "wrong") as rest:
            with pytest.raises(Unauthorized) as refused:
                await rest.send(calls.read(target))
        assert refused.value.status == 401
