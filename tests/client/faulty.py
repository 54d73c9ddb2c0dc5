"""A server that goes wrong on purpose: each connection's request is answered with the next of some given bytes."""

import socket
import threading
from types import TracebackType


class FaultyServer:
    """Answers on real sockets. An answer is raw bytes, after which the connection is closed; `RESET` breaks it,
    `SILENCE` keeps it open without a word.
    """

    RESET = b"reset"
    SILENCE = b"silence"

    def __init__(self, *answers: bytes) -> None:
        self.requests: list[bytes] = []
        self._answers = answers
        self._kept: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.requests.append(_request(connection))
            if answer == self.RESET:
                # Closing with a linger time of zero sends RST.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.close()
            elif answer == self.SILENCE:
                self._kept.append(connection)
            else:
                connection.sendall(answer)
                connection.close()

    def header(self, name: str, request: int = -1) -> str:
        """A header of one of the requests so far."""
        for line in self.requests[request].decode().split("\r\n"):
            found, _, value = line.partition(": ")
            if found.lower() == name:
                return value
        raise AssertionError(f"no header {name}")

    def __enter__(self) -> "FaultyServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Wakes the thread from accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for connection in self._kept:
            connection.close()


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65_536)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        part = connection.recv(65_536)
        if not part:
            break
        body += part
    return head + b"\r\n\r\n" + body


def answer(status: str, body: bytes, *headers: str) -> bytes:
    """The bytes of a whole reply."""
    head = "\r\n".join((f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers))
    return head.encode() + b"\r\n\r\n" + body
