"""picows as a client: ``python -m benchmarks.rivals.picows_client KIND PORT COUNT``; json.loads, as the plain one."""

import asyncio
import sys
import time

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.client_dicts import handler

__all__ = ["main"]


class _Reader(WSListener):  # it has no types
    def __init__(self, kind: str, count: int) -> None:
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._handle = handler("picows", kind)
        self._left = count
        self._started = 0.0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Subscribe."""
        transport.send(WSMsgType.TEXT, b'{"op":"subscribe","args":[]}')

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Read one frame."""
        if frame.msg_type != WSMsgType.TEXT or not self._left:
            return
        self._handle(frame.get_payload_as_bytes())
        self._started = self._started or time.process_time()
        self._left -= 1
        if not self._left:
            self.done.set_result(time.process_time() - self._started)
            transport.disconnect()


async def _main(kind: str, port: int, count: int) -> float:
    reader = _Reader(kind, count)
    await ws_connect(lambda: reader, f"ws://127.0.0.1:{port}/api/v1/stream")
    return await reader.done


def main(kind: str, port: int, count: int) -> None:
    """Read all frames and print the CPU seconds that it took."""
    print(uvloop.run(_main(kind, port, count)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
