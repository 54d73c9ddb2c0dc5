"""Write the top of a book to a file, one JSON line a change: python examples/record_book.py FILE [COUNT]

Gaps and reconnects are lines of their own, so that whoever reads the file knows where something is missing. Takes the
server and the key from TICKWIRE_URL, TICKWIRE_API_KEY and TICKWIRE_API_SECRET. Ctrl-C stops it.
"""

import asyncio
import contextlib
import os
import sys

import msgspec

from tickwire.client import Client, OrderBook, Queue

SYMBOL = os.environ.get("SYMBOL", "BTCUSDT.PERP")


async def main(path: str, count: int | None) -> None:
    url, key, secret = (os.environ.get(f"TICKWIRE_{name}", "") for name in ("URL", "API_KEY", "API_SECRET"))
    written = 0
    with open(path, "ab") as file:  # noqa: ASYNC230 (lines this short do not keep the loop waiting)
        async with Client(url or "http://127.0.0.1:8080", key, secret) as client:
            # Every change, and not just the newest book: a queue. Should the disk be too slow, the client waits for it.
            async for item in client.order_book(SYMBOL, depth=10, changes=True, buffer=Queue(1000)).with_events():
                if isinstance(item, OrderBook):
                    line = {"ts": item.ts, "seq": item.seq, "bids": item.bids, "asks": item.asks}
                    written += 1
                else:
                    line = {"event": type(item).__name__, **msgspec.structs.asdict(item)}
                file.write(msgspec.json.encode(line) + b"\n")
                if written == count:
                    break
    print(written, "books of", SYMBOL, "written to", path)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None))
