import asyncio
from collections.abc import Callable

import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test with a loop runs on both: uvloop is what serves, asyncio what is left where it can't be installed."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
