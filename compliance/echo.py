"""A server that sends back what it gets, through the very transport that serves the stream.

Everything is the stream's own: uvicorn's hand-over, the protocol class with its parser and extension, outbox and
frames. Three things differ: anybody may come in, a whole message is sent back instead of read as an operation, and
nothing is limited, as the cases send messages of 16 MiB and pings by the thousand. ``tickwire serve`` knows nothing
of it.

``python -m compliance.echo`` prints its port and serves until SIGTERM.
"""

import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from websockets.datastructures import Headers

from tickwire.bus.feed import Listener
from tickwire.keys.keyring import ApiKey, KeyRing
from tickwire.stream.frames import DEFLATED, Frame, deflated_frame, text_frame
from tickwire.stream.handshake import Handshake
from tickwire.stream.session import Session
from tickwire.stream.settings import StreamLimits, StreamSettings
from tickwire.stream.transport import Stream, StreamProtocol
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import TopicKey, parse_topic

__all__ = ["main"]

# More than the largest message of the cases, so that they all run; the stream's own limit of 64 KiB has tests of its
# own.
_MESSAGE_BYTES = 64 * 1024 * 1024

# A topic that is never conflated: what a slow reader has not taken yet is held, not dropped.
_KEPT = TopicKey.of(parse_topic("account.execution"), "echo")


class _NoFeed:
    """Nothing can be subscribed."""

    def refusal(self, key: TopicKey) -> ApiError | None:
        return ApiError("InvalidTopic", f"expected a message to send back, got a subscription to {key.topic.name}")

    def listen(self, listener: Listener) -> None:
        pass

    def join(self, keys: Sequence[TopicKey], then: Callable[[list[bytes]], None]) -> None:
        raise AssertionError("nothing is ever joined")

    def leave(self, key: TopicKey) -> None:
        raise AssertionError("nothing is ever joined")

    def settle(self, then: Callable[[], None]) -> None:
        then()


class _OpenDoor(Handshake):
    """Lets everybody in: the cases sign nothing."""

    def check(self, target: str, headers: Headers, address: str) -> ApiKey:
        return ApiKey("echo", "", "echo", frozenset(["read"]), (), 0)


class _Echoed(Frame):
    """A text or binary message.

    The stream leaves short messages uncompressed; here all are compressed, as kosoku fails over others in the cases
    of deflate.
    """

    def __init__(self, message: str | bytes) -> None:
        self._first, payload = (0x81, message.encode()) if isinstance(message, str) else (0x82, message)
        super().__init__(payload)

    def form(self, form: int) -> bytes:
        if form & DEFLATED:
            return deflated_frame(self.payload, self._first | 0x40)  # RSV1: compressed
        return text_frame(self.payload, self._first)


class _Echo(StreamProtocol):
    """The stream's protocol class with another thing to do with a whole message."""

    def _receive_message(self, session: Session, message: str | bytes, now: float) -> None:
        self._reader.outbox.publish(_KEPT, _Echoed(message))


async def _serve() -> None:
    with tempfile.TemporaryDirectory() as directory:
        keys = KeyRing.open(Path(directory))
        settings = StreamSettings(
            limits=StreamLimits.unlimited(), message_bytes=_MESSAGE_BYTES, held_bytes=2 * _MESSAGE_BYTES
        )
        stream = Stream(_NoFeed(), keys, time.time_ns, settings)
        stream.handshake = _OpenDoor(
            keys, settings.limits, clock=time.time_ns, sockets=lambda key: 0, address_sockets=lambda address: 0
        )

        class Protocol(_Echo):
            def __init__(self, config: Any, server_state: Any, app_state: Any) -> None:
                super().__init__(stream, server_state.connections)

        async def no_http(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

        config = uvicorn.Config(
            no_http, ws=Protocol, http="httptools", lifespan="off", log_level="error", access_log=False,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])
        keys.close()


def main() -> None:
    """Serve until SIGTERM."""
    uvloop.run(_serve())


if __name__ == "__main__":
    main()
