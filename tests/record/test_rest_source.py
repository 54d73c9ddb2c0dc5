"""What is asked for over REST beside a recording."""

import json
import time
from pathlib import Path

import httpx
import pytest
from tests.contract.support import Server

from tickwire.record.rest_source import RestSource, targets

HOUR = 3_600_000_000_000


def test_candles_are_asked_for_with_their_topics() -> None:
    fixed = targets(["ticker.BTCUSDT", "account"])
    assert targets(["kline.1D.BTCUSDT.PERP", "ticker.BTCUSDT"]) == [
        *fixed,
        "/api/v1/market/kline?symbol=BTCUSDT.PERP&interval=1D&limit=1000",
    ]


async def test_a_wrong_clock_and_a_wrong_secret(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market", "--symbols", "BTCUSDT.PERP") as server:
        for offset in (-2 * HOUR, 0, 30 * HOUR):
            source = RestSource(
                server.stream_url, server.demo.key, server.demo.secret, clock=lambda late=offset: time.time_ns() + late
            )
            assert json.loads(await source.get("/api/v1/trade/symbol"))["perpetualSwap"] == ["BTCUSDT.PERP"]
            await source.close()
        source = RestSource(server.stream_url, server.demo.key, "wrong")
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            await source.get("/api/v1/trade/symbol")
        await source.close()
