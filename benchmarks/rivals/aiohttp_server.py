"""aiohttp as a rival: ``python -m benchmarks.rivals.aiohttp_server TOPICS SIZE``; one ``send_str`` a delivery."""

import asyncio
import socket
import sys

import uvloop
from aiohttp import WSMsgType, web

from benchmarks.source import SUBSCRIBED, Source, follow, requested_topics

__all__ = ["main"]


async def _main(source: Source) -> None:
    topics: dict[str, set[web.WebSocketResponse]] = {name: set() for name in source.names}
    queue: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    async def handle(request: web.Request) -> web.WebSocketResponse:
        reader = web.WebSocketResponse(compress=False)
        await reader.prepare(request)
        async for message in reader:
            if message.type is WSMsgType.TEXT:
                for name in requested_topics(message.data):
                    topics[name].add(reader)
                await reader.send_str(SUBSCRIBED)
        for readers in topics.values():
            readers.discard(reader)
        return reader

    async def send() -> None:
        readers = list(topics.values())
        while True:
            topic, text = await queue.get()
            for reader in tuple(readers[topic]):
                await reader.send_str(text)  # waits only where a reader is far behind

    application = web.Application()
    application.router.add_get("/api/v1/stream", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    await web.SockSite(runner, listener, backlog=4096).start()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    sender = asyncio.create_task(send())
    await follow(source, lambda topic, payload: queue.put_nowait((topic, payload.decode())))
    sender.cancel()


def main(topics: int, size: int) -> None:
    """Serve until standard input ends."""
    uvloop.run(_main(Source(topics, size)))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
