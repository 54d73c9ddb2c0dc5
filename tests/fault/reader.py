"""A client that only reads: `python -m tests.fault.reader ADDRESS PORT KEY SECRET [TOPIC]`.

Prints a line once it is subscribed (or open, without a topic), and then answers pings until it is killed.
"""

import json
import sys
import time

from tests.contract.support import STREAM, sign
from websockets.sync.client import connect


def main(address: str, port: str, key: str, secret: str, *topics: str) -> None:
    expires = str(int(time.time()) + 60)
    headers = {"api-key": key, "api-expires": expires, "api-signature": sign(secret, "GET", STREAM, expires)}
    with connect(f"ws://{address}:{port}{STREAM}", additional_headers=headers, ping_interval=None) as stream:
        if topics:
            stream.send(json.dumps({"op": "subscribe", "args": topics}))
            stream.recv()
        print("open", flush=True)
        for _ in stream:
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
