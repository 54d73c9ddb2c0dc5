"""Readers that are behind: conflated, caught up, held, or closed."""

import asyncio
import json

import pytest
from tests.stream.bench import (
    Bench,
    stall,
    stalled_client,
)
from tests.stream.support import BOOK, ORDER, TICKER, key

from tickwire.stream.settings import StreamSettings

EXECUTION = "account.execution"


async def test_a_slow_reader_misses_states_but_not_the_newest(bench: Bench) -> None:
    client = await stalled_client(bench, TICKER, BOOK)
    await stall(bench, TICKER, "aside")
    for _ in range(1_000):
        bench.feed.change(key(TICKER))
    bench.feed.change(key(BOOK))
    newest = bench.feed.versions[key(TICKER)]
    assert bench.stream.counters.conflated == 2
    known = {TICKER: 0, BOOK: 0}
    seen = 0
    while known != {TICKER: newest, BOOK: 1}:
        message = await client.message()
        name, action, version = message["topic"], message["data"][0]["actionType"], message["data"][0]["rows"][0]
        if action == "UPDATE":
            assert version == known[name] + 1
        known[name] = version
        seen += 1
    assert seen < newest - 900
    # From here on it keeps up again.
    outbox = bench.protocols[0]._reader.outbox
    while outbox.paused or outbox.aside:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    bench.feed.padding = ""
    bench.feed.change(key(TICKER))
    assert (await client.message())["data"][0] == {"actionType": "UPDATE", "rows": [newest + 1, ""]}
    assert bench.stream.counters.closes == {}


@pytest.mark.parametrize("stream_settings", [StreamSettings(held_bytes=400_000, close_timeout=0.1)])
async def test_a_reader_of_orders_that_is_too_far_behind_is_closed(bench: Bench) -> None:
    await stalled_client(bench, ORDER)
    await stall(bench, ORDER, "_dropping")
    await bench.gone()
    assert bench.stream.counters.closes == {"too_slow": 1}
    assert +bench.feed.interest == {}


@pytest.mark.parametrize("name", [ORDER, EXECUTION])
@pytest.mark.parametrize("stream_settings", [StreamSettings(held_bytes=400_000, close_timeout=10.0)])
async def test_it_reads_why_when_it_reads_on(bench: Bench, name: str) -> None:
    client = await stalled_client(bench, name)
    await stall(bench, name, "_dropping")
    # Behind what the kernel had taken: no frame was left out before it.
    known = 0
    while (frame := await client.frame())[0] != 8:
        message = json.loads(frame[1])
        known += 1
        assert message["data"][0]["rows"][0] == known
    assert (int.from_bytes(frame[1][:2], "big"), frame[1][2:]) == (1013, b"reader too slow")
    assert known < bench.feed.versions[key(name)]


@pytest.mark.parametrize("stream_settings", [StreamSettings(stall_timeout=0.3, close_timeout=0.1)])
async def test_a_reader_that_takes_nothing_is_closed(bench: Bench) -> None:
    await stalled_client(bench, TICKER)
    await stall(bench, TICKER, "aside")
    await bench.gone()
    assert bench.stream.counters.closes == {"too_slow": 1}


@pytest.mark.parametrize("stream_settings", [StreamSettings(stall_timeout=0.3, close_timeout=0.1)])
async def test_a_reader_that_has_caught_up_may_wait_for_news(bench: Bench) -> None:
    client = await stalled_client(bench, TICKER)
    await stall(bench, TICKER, "aside")
    newest = bench.feed.versions[key(TICKER)]
    while (await client.message())["data"][0]["rows"][0] != newest:
        pass
    await asyncio.sleep(0.6)
    bench.feed.change(key(TICKER))
    assert (await client.message())["data"][0]["rows"][0] == newest + 1


@pytest.mark.parametrize("stream_settings", [StreamSettings(stall_timeout=1.0, close_timeout=0.1)])
async def test_a_reader_that_takes_a_little_is_kept(bench: Bench) -> None:
    client = await stalled_client(bench, TICKER)
    await stall(bench, TICKER, "aside", size=5_000_000)
    outbox = bench.protocols[0]._reader.outbox
    for _ in range(15):
        await client.reader.readexactly(20_000)
        await asyncio.sleep(0.1)
        assert outbox.paused
    assert bench.stream.counters.closes == {}
