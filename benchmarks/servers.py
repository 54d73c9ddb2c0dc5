"""Servers that benchmarks start besides tickwire itself: ``python -m benchmarks.servers NAME [FRAMES]``.

Each runs on uvloop, prints its address once it listens, and ends by SIGTERM. Those that publish do so 20 times a
second, FRAMES frames at a time.
"""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import uvicorn
import uvloop
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as serve_websockets

from benchmarks.processes import temporary_directory
from tickwire.bus.feed import Listener
from tickwire.keys.keyring import KeyRing
from tickwire.stream.settings import StreamLimits, StreamSettings
from tickwire.stream.transport import Stream, make_stream_protocol
from tickwire.wire.envelope import data_frame
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import TopicKey

__all__ = ["KEY", "SECRET", "TOPIC", "TURNS_A_SECOND", "main"]

KEY, SECRET = "benchmark-key", "benchmark-secret"
TOPIC = "ticker.BTCUSDT.PERP"
TURNS_A_SECOND = 20

_BODY = (
    b'{"order":{"orderId":"00000000-0000-4000-8000-000000000000","symbol":"BTCUSDT.PERP","side":"BUY",'
    b'"orderType":"LIMIT","quantity":"0.001","amount":null,"price":"70000.0","triggerPrice":null,"status":"NEW",'
    b'"timeInForce":"GTC","takeProfitPrice":null,"stopLossPrice":null,"leavesQty":"0.001"}}'
)

_ROW = {
    "symbol": "BTCUSDT.PERP",
    "volume24h": "18394.250731",
    "turnover24h": "1378551217.40512",
    "priceChange24h": "-412.7",
    "bidPrice": "74937.0",
    "askPrice": "74937.1",
    "lastPrice": "74937.1",
    "markPrice": "74935.8",
    "indexPrice": "74933.2",
    "fundingRate": "0.0001",
}


async def _nothing(
    _scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Reads the body, checks nothing, and answers with a constant order."""
    while (await receive()).get("more_body", False):
        pass
    headers = [(b"content-length", b"%d" % len(_BODY)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _BODY})


def _listener() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    return listener


async def _serve(**settings: Any) -> None:
    config = uvicorn.Config(
        _nothing, http="httptools", lifespan="off", log_level="warning", access_log=False, server_header=False,
        timeout_graceful_shutdown=1, backlog=4096, **settings,
    )  # fmt: skip
    await uvicorn.Server(config).serve(sockets=[_listener()])


async def _serve_nothing(_frames: int) -> None:
    await _serve(ws="none")


def _frame() -> bytes:
    """A ticker frame of some 320 bytes."""
    return data_frame(TOPIC, time.time_ns(), "UPDATE", (_ROW,))


class _TickerFeed:
    """A feed that publishes one ticker frame again and again."""

    def __init__(self) -> None:
        self._listener: Listener
        self._joined: dict[TopicKey, None] = {}

    def refusal(self, _key: TopicKey) -> ApiError | None:
        return None

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    def join(self, keys: Sequence[TopicKey], then: Callable[[list[bytes]], None]) -> None:
        self._joined.update(dict.fromkeys(keys))
        then([data_frame(key.topic.name, time.time_ns(), "SNAPSHOT", (_ROW,)) for key in keys])

    def leave(self, _key: TopicKey) -> None:
        pass

    def settle(self, then: Callable[[], None]) -> None:
        then()

    async def publish(self, frames: int) -> None:
        while True:
            await asyncio.sleep(1 / TURNS_A_SECOND)
            for _ in range(frames):
                for key in self._joined:
                    self._listener(key, _frame())


async def _serve_stream(frames: int) -> None:
    """The stream's own transport, hub and outboxes, with a constant feed."""
    feed = _TickerFeed()
    with temporary_directory() as directory:
        keys = KeyRing.open(directory)
        keys.create("demo", ("read",), key=KEY, secret=SECRET)
        stream = Stream(feed, keys, time.time_ns, StreamSettings(limits=StreamLimits.unlimited()))
        task = asyncio.create_task(feed.publish(frames))
        await _serve(ws=make_stream_protocol(stream))
        task.cancel()
        keys.close()


async def _serve_broadcast(frames: int) -> None:
    """``websockets`` with its own ``broadcast``."""
    connections: set[ServerConnection] = set()

    async def handle(connection: ServerConnection) -> None:
        connections.add(connection)
        try:
            await connection.recv()  # the subscription; answered as the reader expects it
            await connection.send(data_frame(TOPIC, time.time_ns(), "SNAPSHOT", (_ROW,)).decode())
            await connection.wait_closed()
        finally:
            connections.remove(connection)

    async with serve_websockets(handle, sock=_listener(), compression=None):
        while True:
            await asyncio.sleep(1 / TURNS_A_SECOND)
            for _ in range(frames):
                broadcast(connections, _frame().decode())


_SERVERS = {"nothing": _serve_nothing, "stream": _serve_stream, "broadcast": _serve_broadcast}


def main(name: str, frames: int = 1) -> None:
    """Run the server of this name until it is told to stop."""
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_SERVERS[name](frames))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
