"""Both REST clients behind one face, so that every test runs with both."""

import asyncio
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tickwire.client import RestClient, SyncRestClient


class Blocking:
    """The asynchronous client, its methods run to their end; iterators come as lists."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = RestClient(*args, **options)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def method(*args: Any, **options: Any) -> Any:
            result = found(*args, **options)
            if inspect.isasyncgen(result):
                return self._runner.run(_collect(result))
            if inspect.iscoroutine(result):
                return self._runner.run(result)
            return result

        return method

    def __enter__(self) -> "Blocking":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


async def _collect(rows: Any) -> list[Any]:
    return [row async for row in rows]


MakeClient = Callable[..., Any]
CLIENTS: tuple[MakeClient, ...] = (SyncRestClient, Blocking)
