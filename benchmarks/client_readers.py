"""Clients that read the frames of ``client_feed``: ``python -m benchmarks.client_readers NAME KIND PORT COUNT``.

Prints the CPU seconds from the first frame to the last. All but ours are what one writes with the library alone.
"""

import json
import sys
import time

import uvloop

from benchmarks.client_dicts import handler
from benchmarks.client_feed import SYMBOL

__all__ = ["main"]


async def _websockets(name: str, kind: str, port: int, count: int) -> float:
    from websockets.asyncio.client import connect

    handle = handler(name, kind)
    async with connect(f"ws://127.0.0.1:{port}/api/v1/stream", compression=None, max_size=None) as stream:
        await stream.send(json.dumps({"op": "subscribe", "args": [kind]}))
        handle(await stream.recv())
        started = time.process_time()
        for _ in range(count - 1):
            handle(await stream.recv())
        return time.process_time() - started


async def _tickwire(kind: str, port: int, count: int) -> float:
    from tickwire.client import Client, Latest, Queue

    async with Client(f"http://127.0.0.1:{port}", "key", "secret") as client:
        if kind == "ticker":
            tickers = client.ticker(SYMBOL, buffer=Queue(10_000))
            await anext(tickers)
            started = time.process_time()
            read = 1
            async for _ in tickers:
                read += 1
                if read == count:
                    break
            return time.process_time() - started
        books = client.order_book(SYMBOL, 100, changes=True, buffer=Latest())
        await anext(books)
        started = time.process_time()
        async for book in books:
            if book.seq == count - 1:
                break
        return time.process_time() - started


def main(name: str, kind: str, port: int, count: int) -> None:
    """Read all frames and print the CPU seconds that it took."""
    read = _tickwire(kind, port, count) if name == "tickwire" else _websockets(name, kind, port, count)
    print(uvloop.run(read), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
