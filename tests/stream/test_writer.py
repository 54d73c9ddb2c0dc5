"""The same bytes in the same order as by the transport itself, whatever the peer takes and when."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.stream.writer import Writer

WRITERS: dict[str, Callable[[asyncio.Transport], Callable[[bytes], None]]] = {
    "plain": lambda transport: transport.write,
    "direct": lambda transport: Writer(transport).write,
}
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [uvloop.new_event_loop, asyncio.SelectorEventLoop]


class Held(asyncio.Protocol):
    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.Transport, Held, socket.socket]]:
    """A transport whose kernel takes a few kilobytes, and its peer."""
    own, peer = socket.socketpair()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    peer.setblocking(False)
    transport, protocol = await asyncio.get_running_loop().create_connection(Held, sock=own)
    try:
        yield transport, protocol, peer
    finally:
        transport.abort()
        peer.close()
        await protocol.lost


async def read(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await asyncio.get_running_loop().sock_recv(peer, size - len(data))
    return data


def run(main: Any, loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main)


# What to do: write so many bytes, or let the peer read so many of those that are on their way.
STEPS = st.lists(st.tuples(st.sampled_from(["write", "write", "read", "turn"]), st.integers(1, 20_000)), max_size=25)


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=60, deadline=None)
@given(steps=STEPS, loop=st.sampled_from(LOOPS))
def test_every_byte_arrives_in_order(
    kind: str, steps: list[tuple[str, int]], loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def main() -> None:
        async with connected() as (transport, _, peer):
            write = WRITERS[kind](transport)
            written = received = b""
            for number, (step, size) in enumerate(steps):
                if step == "write":
                    data = bytes([number]) * size
                    write(data)
                    written += data
                elif step == "read":
                    received += await read(peer, min(size, len(written) - len(received)))
                else:
                    await asyncio.sleep(0)
            received += await read(peer, len(written) - len(received))
            assert received == written
            assert transport.get_write_buffer_size() == 0

    run(main(), loop)


def test_it_goes_to_the_kernel_at_once_and_what_is_left_to_the_transport() -> None:
    async def main() -> None:
        async with connected() as (transport, _, peer):
            writer = Writer(transport)
            writer.write(b"now")
            assert peer.recv(10) == b"now"  # no turn of the loop has been needed
            writer.write(bytes(1_000_000))
            left = transport.get_write_buffer_size()
            assert 0 < left < 1_000_000
            writer.write(b"after")  # not past what waits
            assert transport.get_write_buffer_size() == left + 5
            assert (await read(peer, 1_000_005))[-5:] == b"after"
            await asyncio.sleep(0.01)  # a turn, in which the transport sees that all is gone
            assert transport.get_write_buffer_size() == 0
            writer.write(b"at once again")
            assert peer.recv(100) == b"at once again"

    run(main())


def test_a_broken_socket_is_the_transports_to_find_out() -> None:
    async def main() -> None:
        async with connected() as (transport, protocol, peer):
            writer = Writer(transport)
            peer.close()
            writer.write(b"into the void")
            assert await protocol.lost is None or isinstance(protocol.lost.result(), OSError)

    run(main())


def test_after_its_end_the_number_may_be_another_sockets() -> None:
    async def main() -> None:
        async with connected() as (transport, protocol, _):
            writer = Writer(transport)
            writer.write(b"x")
            number = transport.get_extra_info("socket").fileno()
            reader, other = os.pipe()
            os.set_blocking(reader, False)
            transport.abort()
            await protocol.lost
            writer.stop()
            try:
                os.dup2(other, number)
                with pytest.raises(RuntimeError, match="the handler is closed"):  # the transport's own answer
                    writer.write(b"not for this one")
                with pytest.raises(BlockingIOError):
                    os.read(reader, 100)
            finally:
                for each in (reader, other, number):
                    os.close(each)

    run(main())
