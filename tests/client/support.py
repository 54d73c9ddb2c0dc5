"""A peer between the client and a real server that loses, repeats and spoils what passes; and small helpers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from tests.contract.support import PATIENCE, Account, Server
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tickwire.client.client import Client
from tickwire.client.connection import ConnectionSettings
from tickwire.client.policy import BackOff
from tickwire.client.rest import RestClient

T = TypeVar("T")

QUICK = ConnectionSettings(back_off=BackOff(first=0.05, longest=0.2))
Mangle = Callable[[str], list[str]]


class Middle:
    """What is between: ``mangle`` makes of each frame of the server those that the client gets; ``operations`` are the
    client's own, in order. An operation for which ``answer`` has a reply does not reach the server."""

    def __init__(self) -> None:
        self.url = ""
        self.operations: list[tuple[str, list[str]]] = []
        self.mangle: Mangle = lambda frame: [frame]
        self.answer: Callable[[str, list[str]], str | None] = lambda operation, topics: None
        self.peers: list[ServerConnection] = []

    async def send(self, frame: str) -> None:
        """Say something of one's own."""
        await self.peers[-1].send(frame)


@contextlib.asynccontextmanager
async def between(server: Server) -> AsyncIterator[Middle]:
    middle = Middle()

    async def handler(peer: ServerConnection) -> None:
        assert peer.request is not None
        headers = {name: peer.request.headers[name] for name in ("api-key", "api-expires", "api-signature")}
        middle.peers.append(peer)
        async with connect(server.stream_url, additional_headers=headers, compression=None) as upstream:

            async def down() -> None:
                async for frame in upstream:
                    for mangled in middle.mangle(str(frame)):
                        await peer.send(mangled)

            downward = asyncio.create_task(down())
            async for frame in peer:
                operation = json.loads(frame)
                middle.operations.append((operation["op"], operation["args"]))
                reply = middle.answer(operation["op"], operation["args"])
                await (upstream.send(frame) if reply is None else peer.send(reply))
            downward.cancel()
            await asyncio.gather(downward, return_exceptions=True)

    async with serve(handler, "127.0.0.1", 0, compression=None) as listener:
        middle.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        yield middle


@contextlib.asynccontextmanager
async def client_of(account: Account, middle: Middle | None = None) -> AsyncIterator[Client]:
    """A client of a real server, through ``middle`` where there is one; REST always goes straight."""
    url = account.server.url
    client = Client(middle.url if middle else url, account.key, account.secret, settings=QUICK)
    client.rest = RestClient(url, account.key, account.secret)
    async with client:
        yield client


async def until(items: AsyncIterator[T], wanted: Callable[[T], bool]) -> list[T]:
    """What comes up to the first item that is wanted."""
    found = []
    async with asyncio.timeout(PATIENCE):
        async for item in items:
            found.append(item)
            if wanted(item):
                return found
    raise AssertionError(f"the iteration has ended after {found}")


async def eventually(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (a condition of any kind)
            await asyncio.sleep(0.01)
