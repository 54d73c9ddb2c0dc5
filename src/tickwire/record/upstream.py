"""The upstream side of a relay: as many sockets to one server as its limit of topics a socket asks for.

A topic is on one of the sockets, the first that has room; the first socket is always there, so that a relay without
readers knows, too, whether its upstream is. Each heals itself (see ``client.connection``); what they bring comes out
in one stream of calls.
"""

import asyncio
from collections.abc import Callable, Iterable

from tickwire.client.connection import Batch, Connection, StreamEnded
from tickwire.client.events import Connected

__all__ = ["Upstream"]


class _Socket:
    """One connection, and what is known of it."""

    __slots__ = ("connection", "lost", "opened", "reason", "task")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.opened = False  # at least once
        self.lost = False
        self.reason = "not connected yet"
        self.task: asyncio.Task[None]


class Upstream:
    """Topics of one server.

    ``connect`` makes a connection that is not open yet. ``received`` gets each message; ``resubscribed`` the topics of
    a socket that is back, before any message of it; ``changed`` is called when the upstream is lost, even if on one of
    several sockets, and when it is whole again; ``failed`` when it will have nothing more to do with us, such as after
    a wrong key.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        topics_per_socket: int,
        *,
        received: Callable[[bytes], None],
        resubscribed: Callable[[Iterable[str]], None],
        changed: Callable[[], None],
        failed: Callable[[StreamEnded], None],
    ) -> None:
        if topics_per_socket < 1:
            raise ValueError(f"expected at least 1 topic a socket, got {topics_per_socket}")
        self._connect = connect
        self._topics_per_socket = topics_per_socket
        self._received = received
        self._resubscribed = resubscribed
        self._changed = changed
        self._failed = failed
        self._sockets: list[_Socket] = []
        self._places: dict[str, _Socket] = {}
        self._connected = False
        self._ending: set[asyncio.Task[None]] = set()
        self.losses = 0  # times that the upstream was lost

    def start(self) -> None:
        """Open the first socket; from within the event loop."""
        self._open()

    async def stop(self) -> None:
        """Close every socket."""
        await asyncio.gather(*(self._end(socket) for socket in self._sockets), *self._ending)

    @property
    def connected(self) -> bool:
        """Whether the first socket has been open, and none is lost."""
        return self._connected

    @property
    def reason(self) -> str:
        """Why it is not; empty while it is."""
        return next((socket.reason for socket in self._sockets if socket.lost), "") or self._sockets[0].reason

    @property
    def sockets(self) -> int:
        """How many sockets there are, open or about to be."""
        return len(self._sockets)

    # Topics.

    def subscribe(self, topic: str) -> None:
        """Ask for a topic, now and after each reconnect; one that is subscribed already gives a fresh SNAPSHOT."""
        socket = self._places.get(topic) or self._place()
        self._places[topic] = socket
        socket.connection.request("subscribe", [topic])

    def unsubscribe(self, topic: str) -> None:
        """Ask for a topic no more."""
        socket = self._places.pop(topic)
        socket.connection.request("unsubscribe", [topic])
        if not socket.connection.topics and socket is not self._sockets[0]:
            self._close(socket)

    def _place(self) -> _Socket:
        for socket in self._sockets:
            if len(socket.connection.topics) < self._topics_per_socket:
                return socket
        return self._open()

    # Sockets.

    def _open(self) -> _Socket:
        socket = _Socket(self._connect())
        self._sockets.append(socket)
        socket.task = asyncio.get_running_loop().create_task(self._read(socket))
        return socket

    def _close(self, socket: _Socket) -> None:
        self._sockets.remove(socket)
        closing = asyncio.get_running_loop().create_task(self._end(socket))
        self._ending.add(closing)
        closing.add_done_callback(self._ending.discard)
        self._look()

    async def _end(self, socket: _Socket) -> None:
        await socket.connection.close()
        await socket.task

    async def _read(self, socket: _Socket) -> None:
        try:
            async with socket.connection as connection:
                async for item in connection.batches():
                    if isinstance(item, Batch):
                        for data in item.messages:
                            self._received(data)
                        continue
                    if isinstance(item, Connected):
                        if socket.opened:
                            self._resubscribed(tuple(connection.topics))
                        socket.opened = True
                        self._mark(socket, lost=False, reason="")
                    else:
                        self._mark(socket, lost=True, reason=item.reason)
        except StreamEnded as ended:
            self._mark(socket, lost=True, reason=str(ended))
            self._failed(ended)

    def _mark(self, socket: _Socket, *, lost: bool, reason: str) -> None:
        socket.lost = lost
        socket.reason = reason
        self._look()

    def _look(self) -> None:
        """Say so when the whole has changed. A socket that is new does not make it less whole."""
        sockets = self._sockets
        connected = bool(sockets) and sockets[0].opened and not any(socket.lost for socket in sockets)
        if connected != self._connected:
            self._connected = connected
            self.losses += not connected
            self._changed()
