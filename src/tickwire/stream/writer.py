"""Bytes to a socket, straight to the kernel where nothing waits before them.

An event loop's transport puts what it is given into a queue of its own and writes that when the turn is over. With one
frame for each of a thousand readers this costs a sixth of the server's time, and buys nothing: what a turn has brought
to a reader has been joined already.
"""

import asyncio
import os

__all__ = ["Writer"]

_send = os.write


class Writer:
    """Writes to one transport.

    ``write`` gives the bytes to the kernel, and only what that does not take to the transport, which goes on as ever:
    it waits, pauses the protocol, and finds out about a broken socket. Not so under TLS, where bytes on the socket are
    not those that are written. Whoever writes to the transport besides has to do it through here, or bytes overtake
    each other.
    """

    __slots__ = ("_free", "_number", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        raw = transport.get_extra_info("socket")
        direct = raw is not None and transport.get_extra_info("sslcontext") is None
        self._number: int = raw.fileno() if direct else -1
        self._free = False  # nothing waits in the transport, as far as is known

    def write(self, data: bytes) -> None:
        """Send ``data`` after all that was written before."""
        if self._free or self._is_free():
            try:
                sent = _send(self._number, data)
            except OSError:  # full, or broken
                sent = 0
            if sent == len(data):
                return
            self._free = False
            data = data[sent:]
        self._transport.write(data)

    def _is_free(self) -> bool:
        # Closing comes first: the descriptor's number may soon be another socket's.
        transport = self._transport
        self._free = self._number >= 0 and not transport.is_closing() and not transport.get_write_buffer_size()
        return self._free

    def stop(self) -> None:
        """Leave the descriptor alone from now on: the socket is ending."""
        self._number = -1
        self._free = False
