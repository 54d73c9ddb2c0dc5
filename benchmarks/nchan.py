"""Publishes into nchan, which takes what is published as HTTP requests."""

import socket
import time
from pathlib import Path

from benchmarks.source import Source

__all__ = ["NchanPublisher"]

_LEAD_NS = 20_000_000
_ACCEPTED = b"HTTP/1.1 20"
_START_SECONDS = 10.0


class NchanPublisher:
    """One keep-alive connection to nginx at a socket's path, over which every payload is posted at its time.

    Requests are pipelined: nothing waits for a reply before the next is sent, as far as the kernel takes it.
    """

    def __init__(self, source: Source, path: Path) -> None:
        self._source = source
        self._tail = b""
        self._socket = socket.socket(socket.AF_UNIX)
        deadline = time.perf_counter() + _START_SECONDS
        while True:
            try:
                self._socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.perf_counter() > deadline:
                    raise RuntimeError("expected nginx to listen, see its messages above") from None
                time.sleep(0.01)

    def publish(self, rate: float, together: int, seconds: float) -> int:
        """``together`` payloads ``rate`` times a second; returns when the last one has been answered."""
        source, topics = self._source, len(self._source.names)
        turns = round(rate * seconds)
        start = time.time_ns() + _LEAD_NS
        topic = answered = 0
        for number in range(turns):
            intended = start + int(number * 1e9 / rate)
            time.sleep(max(0.0, (intended - time.time_ns()) / 1e9))
            requests = []
            for _ in range(together):
                payload = source.next(topic, intended)
                head = (
                    f"POST /publish/{source.names[topic]} HTTP/1.1\r\nhost: b\r\ncontent-length: {len(payload)}\r\n\r\n"
                )
                requests.append(head.encode() + payload)
                topic = (topic + 1) % topics
            self._socket.sendall(b"".join(requests))
            answered += self._answers(socket.MSG_DONTWAIT)
        while answered < turns * together:
            answered += self._answers(0)
        return turns * together

    def _answers(self, flags: int) -> int:
        """How many replies there are to read."""
        try:
            data = self._socket.recv(1024 * 1024, flags)
        except BlockingIOError:
            return 0
        if not data:
            raise RuntimeError("expected a reply, but nginx closed the connection")
        data = self._tail + data
        # A status line may come in two pieces.
        self._tail = data[max(len(data) - len(_ACCEPTED) + 1, 0) :]
        return data.count(_ACCEPTED)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
