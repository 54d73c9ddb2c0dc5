"""Servers that benchmarks start besides tickwire itself: ``python -m benchmarks.servers NAME [TOPICS SIZE]``.

Each runs on uvloop, prints its address once it listens, and ends by SIGTERM. Those that publish have TOPICS topics
with payloads of SIZE bytes, and publish what standard input says (see ``source``).
"""

import asyncio
import contextlib
import logging
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
from benchmarks.source import SUBSCRIBED, Source, follow, requested_topics
from tickwire.bus.feed import Listener
from tickwire.keys.keyring import KeyRing
from tickwire.stream.connections import make_http_protocol
from tickwire.stream.settings import StreamLimits, StreamSettings
from tickwire.stream.transport import Stream, make_stream_protocol
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import TopicKey, parse_topic

__all__ = ["KEY", "SECRET", "SourceFeed", "main"]

KEY, SECRET = "benchmark-key", "benchmark-secret"

_BODY = (
    b'{"order":{"orderId":"00000000-0000-4000-8000-000000000000","symbol":"BTCUSDT.PERP","side":"BUY",'
    b'"orderType":"LIMIT","quantity":"0.001","amount":null,"price":"70000.0","triggerPrice":null,"status":"NEW",'
    b'"timeInForce":"GTC","takeProfitPrice":null,"stopLossPrice":null,"leavesQty":"0.001"}}'
)


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
        _nothing, lifespan="off", log_level="warning", access_log=False, server_header=False,
        timeout_graceful_shutdown=1, backlog=4096, **settings,
    )  # fmt: skip
    await uvicorn.Server(config).serve(sockets=[_listener()])


async def _serve_nothing() -> None:
    await _serve(http="httptools", ws="none")


class SourceFeed:
    """A ``bus.Feed`` straight from a source: the real hub and transport, without an engine behind them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._keys = [TopicKey.of(parse_topic(name), "") for name in source.names]
        self._numbers = {key: number for number, key in enumerate(self._keys)}
        self._listener: Listener

    def refusal(self, key: TopicKey) -> ApiError | None:
        """Topics of the source alone can be had."""
        return None if key in self._numbers else ApiError("InvalidSymbol", f"no topic {key.topic.name!r}")

    def listen(self, listener: Listener) -> None:
        """Send every payload to ``listener``, read or not."""
        self._listener = listener

    def join(self, keys: Sequence[TopicKey], then: Callable[[list[bytes]], None]) -> None:
        """Nothing is ever under way, so the newest state is true at once."""
        then([self._source.newest(self._numbers[key]) for key in keys])

    def leave(self, _key: TopicKey) -> None:
        """The source goes on."""

    def settle(self, then: Callable[[], None]) -> None:
        """Nothing is ever under way."""
        then()

    def publish(self, topic: int, payload: bytes) -> None:
        """Hand one payload to the hub."""
        self._listener(self._keys[topic], payload)


async def _serve_stream(source: Source) -> None:
    """The stream's own transport, hub and outboxes."""
    feed = SourceFeed(source)
    with temporary_directory() as directory:
        keys = KeyRing.open(directory)
        keys.create("demo", ("read",), key=KEY, secret=SECRET)
        stream = Stream(feed, keys, time.time_ns, StreamSettings(limits=StreamLimits.unlimited()))
        task = asyncio.create_task(follow(source, feed.publish))
        await _serve(http=make_http_protocol(stream), ws=make_stream_protocol(stream))
        task.cancel()
        keys.close()


async def _serve_deflated(source: Source) -> None:
    await _serve_broadcast(source, "deflate")


async def _serve_broadcast(source: Source, compression: str | None = None) -> None:
    """``websockets`` with its own ``broadcast``."""
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # readers just vanish
    topics: dict[str, set[ServerConnection]] = {name: set() for name in source.names}
    readers = list(topics.values())

    async def handle(connection: ServerConnection) -> None:
        try:
            async for message in connection:
                for name in requested_topics(message):
                    topics[name].add(connection)
                await connection.send(SUBSCRIBED)
        finally:
            for connections in readers:
                connections.discard(connection)

    def publish(topic: int, payload: bytes) -> None:
        broadcast(readers[topic], payload.decode())

    async with serve_websockets(handle, sock=_listener(), compression=compression, ping_interval=None):
        await follow(source, publish)


_SERVERS = {
    "stream": _serve_stream,
    "broadcast": _serve_broadcast,
    "broadcast-deflate": _serve_deflated,
}


def main(name: str, topics: int = 1, size: int = 320) -> None:
    """Run the server of this name until it is told to stop."""
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve_nothing() if name == "nothing" else _SERVERS[name](Source(topics, size)))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
