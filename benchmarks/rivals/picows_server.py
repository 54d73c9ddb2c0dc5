"""picows as a rival: ``python -m benchmarks.rivals.picows_server TOPICS SIZE``; one ``send`` a delivery."""

import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from benchmarks.source import SUBSCRIBED, Source, follow, requested_topics

__all__ = ["main"]


async def _main(source: Source) -> None:
    topics: dict[str, set[WSTransport]] = {name: set() for name in source.names}
    readers = list(topics.values())

    class Reader(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                for name in requested_topics(frame.get_payload_as_bytes()):
                    topics[name].add(transport)
                transport.send(WSMsgType.TEXT, SUBSCRIBED.encode())

        def on_ws_disconnected(self, transport: WSTransport) -> None:
            for connected in readers:
                connected.discard(transport)

    def listener(_request: WSUpgradeRequest) -> WSListener:
        return Reader()

    def publish(topic: int, payload: bytes) -> None:
        for reader in readers[topic]:
            reader.send(WSMsgType.TEXT, payload)

    server = await ws_create_server(listener, "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await follow(source, publish)


def main(topics: int, size: int) -> None:
    """Serve until standard input ends."""
    uvloop.run(_main(Source(topics, size)))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
