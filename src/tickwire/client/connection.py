"""The raw connection: whole messages with their time of receipt, through as many sockets as it takes.

``Connection`` keeps one socket open, signs each handshake anew, subscribes again after each reconnect, pings a silent
server, and tells its reader in-band what happened. When to come back is decided by ``policy``, how bytes become
messages by ``framing``. What messages mean is not known here; see ``client`` for typed streams.

Back-pressure: what has been read and not yet taken by the reader is bounded in bytes. At the bound the socket is not
read any more, the server's buffers fill, and the server does with this reader what it does with slow ones.
"""

import asyncio
import contextlib
import email.utils
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import msgspec
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.http11 import Response
from websockets.uri import parse_uri

from tickwire.client.errors import ClientError
from tickwire.client.events import Connected, RawFrame, Reconnecting
from tickwire.client.policy import End, Finish, Reconnector, Wait
from tickwire.client.transport import ConnectionSettings, StreamSocket
from tickwire.wire.signing import API_PREFIX, STREAM_PATH, sign

__all__ = ["Batch", "Connection", "ConnectionItem", "ConnectionSettings", "StreamEnded", "stream_url"]

# Topics the exchange takes in one frame (contract section 3.1).
_TOPICS_PER_FRAME = 50
# Operations sent at once, and the pause after them: below the 50 a second that a server may allow.
_BURST = 20
_BURST_PAUSE = 0.5


class StreamEnded(ClientError):
    """The connection has ended for good: the server refused it, or closed it with a code that says so.

    ``end`` has the status or close code, and the server's words.
    """

    def __init__(self, end: End) -> None:
        self.end = end
        code = f"status {end.status} {end.error}".rstrip() if end.status else f"close code {end.close_code}"
        super().__init__(f"the stream has ended for good: {code}: {end.reason}")


class Batch(msgspec.Struct, frozen=True, gc=False):
    """The messages of one read of the socket, in order; ``received`` in ns since the epoch, ``size`` in bytes."""

    received: int
    messages: list[bytes]
    size: int


ConnectionItem = RawFrame | Connected | Reconnecting


def stream_url(url: str) -> str:
    """The stream's address from that of the server: ``http://host:8080`` gives ``ws://host:8080/api/v1/stream``.

    Takes http, https, ws and wss, with or without ``/api/v1`` or the whole path. Raises ``ValueError`` otherwise.
    """
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise ValueError(f"expected a url such as http://127.0.0.1:8080, got {url!r}")
    path = parts.path.rstrip("/")
    if not path.endswith(STREAM_PATH):
        path = path.removesuffix(API_PREFIX) + STREAM_PATH
    return f"{scheme}://{parts.netloc}{path}"


class Connection:
    """A connection to the stream of ``url`` that heals itself.

    Iterate over it within ``async with``: raw frames, and among them ``Connected`` and ``Reconnecting`` where they
    happened. It has one reader. The iteration ends when the connection is closed, and raises ``StreamEnded`` when the
    server has no use for us: a wrong key, a missing scope, a close code that means so. A server that is away, or
    busy, is waited for.

    ``clock`` gives the time in ns since the epoch, by the server's clock where that is known; an answer of the server
    that our signature has expired corrects it here. ``tls`` is for wss with certificates of one's own.
    """

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        *,
        topics: Iterable[str] = (),
        settings: ConnectionSettings | None = None,
        clock: Callable[[], int] = time.time_ns,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.url = stream_url(url)
        self.topics: dict[str, None] = dict.fromkeys(topics)  # what is wanted, in the order of asking
        self.number = 0  # connections made so far
        self._key = key
        self._secret = secret
        self._settings = settings or ConnectionSettings()
        self._clock = clock
        self._correction = 0  # ns to add to the clock
        self._tls = tls
        self._uri = parse_uri(self.url)
        self._policy = Reconnector(self._settings.back_off)
        self._socket: StreamSocket | None = None  # while the handshake is through and the socket open
        self._items: deque[Batch | Connected | Reconnecting] = deque()
        self._held = 0  # bytes in them
        self._more: asyncio.Future[None] | None = None  # of the reader that waits
        self._outgoing: deque[tuple[str, str]] = deque()  # operation and topic
        self._flushing: asyncio.Handle | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping: asyncio.Future[None] | None = None

    async def __aenter__(self) -> "Connection":
        """Begin to connect, without waiting for it."""
        if self._task is not None:
            raise RuntimeError("a connection can be opened once only; make another one")
        loop = asyncio.get_running_loop()
        self._stopping = loop.create_future()
        self._task = loop.create_task(self._run(), name=f"tickwire connection to {self.url}")
        self._task.add_done_callback(lambda _: self._wake())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection, with the closing handshake where there is one."""
        await self.close()

    async def close(self) -> None:
        """End it. What has been read already can still be iterated over."""
        if self._stopping is not None and not self._stopping.done():
            self._stopping.set_result(None)
        if self._task is not None:
            await asyncio.wait([self._task])

    @property
    def connected(self) -> bool:
        """Whether the handshake is through and the socket open."""
        return self._socket is not None

    # Topics.

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Ask for topics, now and after each reconnect. Topics that are subscribed already are asked for again."""
        self._change("subscribe", topics)

    async def unsubscribe(self, topics: Iterable[str]) -> None:
        """Ask for topics no more."""
        self._change("unsubscribe", topics)

    def request(self, operation: str, topics: Iterable[str]) -> None:
        """``subscribe`` or ``unsubscribe``, for callers that are no coroutine."""
        self._change(operation, topics)

    def _change(self, operation: str, topics: Iterable[str]) -> None:
        if isinstance(topics, str):
            raise TypeError(f"expected a list of topics, got the text {topics!r}; put it into a list")
        for topic in topics:
            if operation == "subscribe":
                self.topics[topic] = None
            else:
                self.topics.pop(topic, None)
            if self._socket is not None:
                self._outgoing.append((operation, topic))
        # At the turn's end, so that many calls make few frames.
        if self._outgoing and self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = None
        for _ in range(_BURST):
            if self._socket is None or not self._outgoing:
                return
            operation = self._outgoing[0][0]
            topics: list[str] = []
            while self._outgoing and self._outgoing[0][0] == operation and len(topics) < _TOPICS_PER_FRAME:
                topics.append(self._outgoing.popleft()[1])
            self._socket.send(msgspec.json.encode({"op": operation, "args": topics}))
        self._flushing = asyncio.get_running_loop().call_later(_BURST_PAUSE, self._flush)

    # What the reader gets.

    def __aiter__(self) -> AsyncIterator[ConnectionItem]:
        """Iterate over frames and events."""
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[ConnectionItem]:
        async for item in self.batches():
            if isinstance(item, Batch):
                received = item.received
                for data in item.messages:
                    yield RawFrame(received, data)
            else:
                yield item

    async def batches(self) -> AsyncIterator[Batch | Connected | Reconnecting]:
        """The same as by iteration, with the frames of one read of the socket together."""
        if self._task is None:
            raise RuntimeError("expected an open connection; use it within async with")
        items = self._items
        while True:
            while items:
                item = items.popleft()
                if isinstance(item, Batch):
                    self._held -= item.size
                    if self._socket is not None and self._held <= self._settings.buffer_bytes // 2:
                        self._socket.resume()
                yield item
            if self._task.done():
                self._task.result()  # raises why it has ended
                return
            self._more = asyncio.get_running_loop().create_future()
            await self._more

    def _put(self, item: Batch | Connected | Reconnecting) -> None:
        self._items.append(item)
        self._wake()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    # The life of the connection.

    async def _run(self) -> None:
        assert self._stopping is not None
        loop = asyncio.get_running_loop()
        action = self._policy.due()
        while not isinstance(action, Finish):
            if isinstance(action, Wait):
                end = action.end
                code = end.status or end.close_code
                self._put(Reconnecting(time.time_ns(), end.reason, code, action.delay, action.attempt))
                await asyncio.wait([self._stopping], timeout=action.delay)
                action = self._policy.stopped() if self._stopping.done() else self._policy.due()
                continue
            ended = await self._dial(loop)
            action = self._policy.stopped() if ended is None else self._policy.ended(ended, loop.time())
        if action.end is not None:
            raise StreamEnded(action.end)

    async def _dial(self, loop: asyncio.AbstractEventLoop) -> End | None:
        """Make one connection and stay until it has ended; how it did, or ``None`` when it was stopped."""
        assert self._stopping is not None
        protocol = ClientProtocol(
            self._uri,
            extensions=[ClientPerMessageDeflateFactory()] if self._settings.deflate else None,
            max_size=self._settings.max_message_bytes,
        )
        socket = StreamSocket(protocol, self._settings, loop, opened=self._is_open, received=self._receive)
        opening = loop.create_task(self._open(socket))
        try:
            await _first(opening, self._stopping)
            if not opening.done():
                return None
            refused = opening.result()
            if refused is not None:
                return refused
            self._policy.opened(loop.time())
            await _first(socket.lost, self._stopping)
            if not socket.lost.done():
                await socket.close()
                return None
            return socket.lost.result()
        finally:
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await opening
            self._socket = None
            self._outgoing.clear()
            socket.abort()

    async def _open(self, socket: StreamSocket) -> End | None:
        loop = asyncio.get_running_loop()
        secure = self._tls or ssl.create_default_context() if self._uri.secure else None
        try:
            async with asyncio.timeout(self._settings.open_timeout):
                await loop.create_connection(lambda: socket, self._uri.host, self._uri.port, ssl=secure)
                socket.handshake(self._signature())
                answer = await socket.answer
        except TimeoutError:
            return End(f"no answer within {self._settings.open_timeout:g} s")
        except OSError as error:
            return End(str(error) or type(error).__name__)
        if isinstance(answer, End):
            return answer
        if answer is not None:
            return self._refusal(answer)
        return None

    def _signature(self) -> dict[str, str]:
        now = self._clock() + self._correction
        expires = str(int(now / 1e9 + self._settings.expires_after))
        signature = sign(self._secret, "GET", STREAM_PATH, expires)
        return {"api-key": self._key, "api-expires": expires, "api-signature": signature}

    def _refusal(self, response: Response) -> End:
        """An answer that is no upgrade. When it says that we are not authorised, our clock is set by its date."""
        if response.status_code == 401:
            with contextlib.suppress(TypeError, ValueError):
                date = email.utils.parsedate_to_datetime(_field(response, "Date"))
                self._correction = int(date.timestamp()) * 1_000_000_000 - self._clock()
        reason = bytes(response.body or b"").decode(errors="replace")[:200] or response.reason_phrase
        return End(
            reason,
            status=response.status_code,
            error=_field(response, "x-prex-error-type"),
            retry_after=_seconds(_field(response, "Retry-After")),
        )

    # What the socket calls.

    def _is_open(self, socket: StreamSocket) -> None:
        """The handshake is through; called before any message, so that ``Connected`` comes first."""
        self._socket = socket
        self.number += 1
        self._put(Connected(time.time_ns(), self.number))
        self._change("subscribe", tuple(self.topics))

    def _receive(self, messages: list[bytes], size: int) -> bool:
        """Take what one read brought; whether there is room for more."""
        self._held += size
        self._put(Batch(time.time_ns(), messages, size))
        return self._held < self._settings.buffer_bytes


def _field(response: Response, name: str) -> str:
    """A header of an answer, the first where it is there twice; empty where it is missing."""
    return next(iter(response.headers.get_all(name)), "")


def _seconds(text: str) -> float:
    """``Retry-After`` in seconds, at most a day; 0 where it is no number (a date: exchanges do not send those)."""
    return min(float(text), 86_400.0) if text.isascii() and text.isdecimal() else 0.0


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
