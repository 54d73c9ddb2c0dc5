import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop
from tests.stream.bench import QUICK, Bench

from tickwire.stream.settings import StreamSettings


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test with a loop runs on both: uvloop is what serves, asyncio what is left where it can't be installed."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def stream_settings() -> StreamSettings:
    """Overridden by parametrize where a test needs other times."""
    return QUICK


@pytest.fixture
async def bench(tmp_path: Path, stream_settings: StreamSettings) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, stream_settings)
    await bench.start()
    yield bench
    await bench.close()
