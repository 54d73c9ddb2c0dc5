"""What one would write to keep a stream: ``python -m benchmarks.rivals.lines TOPIC --to FILE --url --key --secret``."""

import argparse
import asyncio
import json
import signal
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tickwire.wire.signing import STREAM_PATH, sign


async def _keep(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    expires = str(int(time.time()) + 60)
    headers = {
        "api-key": arguments.key,
        "api-expires": expires,
        "api-signature": sign(arguments.secret, "GET", STREAM_PATH, expires),
    }
    url = arguments.url.replace("http", "ws", 1) + STREAM_PATH

    async def read() -> None:
        async with connect(url, additional_headers=headers, max_size=None) as connection:
            await connection.send(json.dumps({"op": "subscribe", "args": [arguments.topic]}))
            with open(arguments.to, "w", encoding="utf-8") as file:  # noqa: ASYNC230  # as one would
                try:
                    async for message in connection:
                        file.write(f"{time.time_ns()} {message!s}\n")
                except ConnectionClosed:
                    pass

    task = asyncio.create_task(read())
    await stop.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("topic")
    for name in ("--to", "--url", "--key", "--secret"):
        parser.add_argument(name, required=True)
    asyncio.run(_keep(parser.parse_args()))
