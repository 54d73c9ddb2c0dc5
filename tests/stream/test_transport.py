"""The stream on real sockets: uvicorn, a small feed, and clients of every kind."""

import asyncio
import contextlib
import json
import os
import socket
import struct
import time
from typing import Any

import httpx
import pytest
import websockets
from tests.stream.bench import (
    Bench,
    ask,
    raw,
    raw_open,
    stalled_client,
    subscribe,
    upgrade,
)
from tests.stream.support import BOOK, ORDER, TICKER, key
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from tickwire.stream.settings import StreamLimits, StreamSettings
from tickwire.wire.signing import STREAM_PATH

# Opening.


async def test_rest_and_stream_on_one_port(bench: Bench) -> None:
    async with bench.connect() as client, httpx.AsyncClient() as rest:
        assert (await rest.get(f"http://127.0.0.1:{bench.port}/anything")).text == "rest"
        await subscribe(client, TICKER, "account")
        bench.feed.change(key(TICKER))
        assert json.loads(await client.recv()) == {
            "topic": TICKER,
            "ts": "1",
            "data": [{"actionType": "UPDATE", "rows": [1, ""]}],
        }
        assert (bench.stream.hub.session_count, bench.stream.hub.subscription_count) == (1, 2)
    await bench.gone()
    assert bench.stream.hub.session_count == bench.stream.hub.subscription_count == 0
    assert +bench.feed.interest == {}
    assert bench.stream.counters.closes == {"by_client": 1}


async def test_an_upgrade_after_a_request_on_the_same_connection(bench: Bench) -> None:
    client = await raw(bench)
    status, _ = await client.request("/anything", {"Host": "localhost"})
    assert (status, await client.reader.readexactly(4)) == (200, b"rest")
    status, _ = await client.request(STREAM_PATH, upgrade() | bench.signed())
    assert status == 101
    client.send(1, b"ping")
    assert await client.frame() == (1, b"pong")


async def test_a_browser_signs_by_query_and_keeps_alive(bench: Bench) -> None:
    query = "&".join(f"{name}={value}" for name, value in bench.signed().items())
    client = await raw(bench)
    headers = upgrade(**{"Connection": "keep-alive, Upgrade", "Origin": "https://example.com"})
    status, _ = await client.request(f"{STREAM_PATH}?{query}", headers)
    assert status == 101
    client.send(1, b'{"op":"ping"}')
    assert (await client.message())["op"] == "pong"


async def refused(bench: Bench, **more: Any) -> websockets.Response:
    with pytest.raises(websockets.InvalidStatus) as caught:
        await bench.connect(**more)
    return caught.value.response


async def test_refusals_have_status_header_and_body(bench: Bench) -> None:
    response = await refused(bench, additional_headers={})
    assert (response.status_code, response.body) == (401, b'{"error":"api.unauthorized"}')
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-prex-error-type"] == "api.unauthorized"
    assert bench.stream.counters.refusals == {"api.unauthorized": 1}
    assert bench.stream.counters.connections == 0
    await bench.gone()


async def test_an_unknown_path_is_an_invalid_origin(bench: Bench) -> None:
    client = await raw(bench)
    status, headers = await client.request("/api/v1/account", upgrade())
    assert (status, headers["content-type"]) == (403, "text/plain")
    assert await client.reader.read() == b"Invalid Origin"


@pytest.mark.parametrize("stream_settings", [StreamSettings(limits=StreamLimits(upgrade_burst=1))])
async def test_too_many_upgrades_say_when_to_come_back(bench: Bench) -> None:
    async with bench.connect():
        response = await refused(bench)
    assert (response.status_code, response.body) == (429, b'{"error":"TooManyRequests"}')
    assert response.headers["Retry-After"] == "3"
    assert abs(int(response.headers["x-ratelimit-reset"]) - time.time()) < 60


@pytest.mark.parametrize("stream_settings", [StreamSettings(limits=StreamLimits(sockets_per_key=1))])
async def test_a_closed_socket_frees_its_place(bench: Bench) -> None:
    async with bench.connect():
        assert (await refused(bench)).status_code == 429
    await bench.gone()
    async with bench.connect() as client:
        await subscribe(client, TICKER)


@pytest.mark.parametrize(
    ("method", "change", "status"),
    [
        ("POST", {}, 405),
        ("GET", {"Sec-WebSocket-Key": "short"}, 400),
        ("GET", {"Sec-WebSocket-Version": "12"}, 400),
        ("GET", {"Content-Length": "3"}, 400),
        ("GET", {"X-Long": "x" * 9_000}, 431),
    ],
)
async def test_bad_handshakes_are_answered(bench: Bench, method: str, change: dict[str, str], status: int) -> None:
    client = await raw(bench)
    assert (await client.request(STREAM_PATH, upgrade() | bench.signed() | change, method))[0] == status
    await client.reader.read()
    client.writer.close()
    await bench.gone()
    assert bench.stream.counters.refusals == {"InvalidHandshake": 1}
    assert bench.stream.hub.session_count == 0


async def test_a_refused_peer_that_stays_is_cut_off(bench: Bench) -> None:
    client = await raw(bench)
    assert (await client.request(STREAM_PATH, upgrade()))[0] == 401
    await bench.gone()


async def test_small_frames_are_not_delayed_and_the_kernel_keeps_little(bench: Bench) -> None:
    async with bench.connect():
        connection = bench.protocols[0]._transport.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 64 * 1024


# Messages.


async def test_errors_keep_the_socket_open(bench: Bench) -> None:
    async with bench.connect() as client:
        assert (await ask(client, "{"))["error"] == "InvalidJson"
        assert (await ask(client, b"binary"))["error"] == "BinaryNotSupported"
        assert (await ask(client, '{"op":"x","id":9}'))["id"] == 9
        assert (await ask(client, '{"op":"ping"}'))["op"] == "pong"


async def test_fragments_make_one_message(bench: Bench) -> None:
    client = await raw_open(bench)
    text = '{"op":"ping","id":"größe"}'.encode()
    client.send(1, text[:20], fin=False)  # in the middle of a letter
    client.send(9, b"between")
    client.send(0, text[20:21], fin=False)
    client.send(0, b"", fin=False)
    client.send(0, text[21:])
    assert await client.frame() == (10, b"between")
    assert (await client.message())["id"] == "größe"
    client.send(2, b"a", fin=False)
    client.send(0, b"b")
    assert (await client.message())["error"] == "BinaryNotSupported"
    client.send(1, b"ping")
    assert await client.frame() == (1, b"pong")


async def test_a_frame_byte_by_byte(bench: Bench) -> None:
    client = await raw_open(bench)
    for byte in Frame(Opcode.TEXT, b'{"op":"ping"}').serialize(mask=True):
        client.writer.write(bytes((byte,)))
        await client.writer.drain()
        await asyncio.sleep(0)
    assert (await client.message())["op"] == "pong"


@pytest.mark.parametrize(
    ("frames", "code", "name"),
    [
        ([Frame(Opcode.TEXT, b"\xff\xfe")], 1007, "invalid_data"),
        ([Frame(Opcode.CONT, b"x")], 1002, "protocol_error"),
        ([Frame(Opcode.TEXT, b"x" * (64 * 1024 + 1))], 1009, "too_big"),
        ([Frame(Opcode.TEXT, b"x" * 40_000, fin=False), Frame(Opcode.CONT, b"x" * 40_000)], 1009, "too_big"),
        ([Frame(Opcode.CLOSE, struct.pack("!H", 1000))], 1000, "by_client"),
        ([Frame(Opcode.CLOSE, struct.pack("!H", 5))], 1002, "protocol_error"),
    ],
)
async def test_what_the_rfc_ends(bench: Bench, frames: list[Frame], code: int, name: str) -> None:
    client = await raw_open(bench)
    for frame in frames:
        client.writer.write(frame.serialize(mask=True))
    assert await client.close_code() == code
    client.writer.close()
    await bench.gone()
    assert bench.stream.counters.closes == {name: 1}


async def test_an_unmasked_frame_is_an_error(bench: Bench) -> None:
    client = await raw_open(bench)
    client.writer.write(Frame(Opcode.TEXT, b"ping").serialize(mask=False))
    assert await client.close_code() == 1002


async def test_a_reserved_bit_is_an_error(bench: Bench) -> None:
    client = await raw_open(bench)
    client.writer.write(b"\xc1\x80\x00\x00\x00\x00")  # RSV1 without the extension
    assert await client.close_code() == 1002


async def test_exactly_64_kib_is_fine(bench: Bench) -> None:
    client = await raw_open(bench)
    client.send(1, b'{"op":"ping"' + b" " * (64 * 1024 - 13) + b"}")
    assert (await client.message())["op"] == "pong"


async def test_nothing_is_sent_after_the_close_frame(bench: Bench) -> None:
    client = await raw_open(bench)
    client.send(1, json.dumps({"op": "subscribe", "args": [TICKER]}).encode())
    assert (await client.message())["success"]
    await client.message()
    client.writer.write(
        Frame(Opcode.TEXT, b'{"op":"ping"}').serialize(mask=True)
        + Frame(Opcode.CLOSE, struct.pack("!H", 1000)).serialize(mask=True)
        + Frame(Opcode.TEXT, b"ping").serialize(mask=True)
    )
    await client.writer.drain()
    bench.feed.change(key(TICKER))
    assert await client.close_code() == 1000


# Compression.


async def test_a_deflating_client_reads_the_same(bench: Bench) -> None:
    bench.feed.padding = "tick" * 100
    async with bench.connect(compression="deflate") as client, bench.connect() as plain:
        extension = client.response.headers["Sec-WebSocket-Extensions"]
        assert extension == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        assert "Sec-WebSocket-Extensions" not in plain.response.headers
        for each in (client, plain):
            await subscribe(each, TICKER)
        before = bench.stream.counters.bytes_out
        for _ in range(3):
            bench.feed.change(key(TICKER))
            assert await client.recv() == await plain.recv()
        sent = bench.stream.counters.bytes_out - before
        assert sent < 3 * 480 * 1.5, "the one reader's frames are small"
        await client.send(json.dumps({"op": "ping", "id": "x" * 100}))  # deflated on its way in
        assert json.loads(await client.recv())["id"] == "x" * 100


async def test_a_deflate_bomb_is_too_big(bench: Bench) -> None:
    async with bench.connect(compression="deflate") as client:
        await client.send("x" * 10_000_000)
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await client.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


@pytest.mark.parametrize(("bits", "accepted"), [(9, False), (11, False), (12, True), (15, True)])
async def test_a_window_too_small_for_shared_frames_is_declined(bench: Bench, bits: int, accepted: bool) -> None:
    offer = [ClientPerMessageDeflateFactory(server_max_window_bits=bits)]
    async with bench.connect(extensions=offer) as client:
        assert ("Sec-WebSocket-Extensions" in client.response.headers) == accepted
        bench.feed.padding = "tick" * 5_000
        await subscribe(client, TICKER)


# Keep-alive and rate.


@pytest.mark.parametrize("stream_settings", [StreamSettings(ping_interval=0.02, silence_timeout=1.0)])
async def test_a_peer_that_answers_pings_stays(bench: Bench) -> None:
    async with bench.connect() as client:
        await asyncio.sleep(1.2)
        await subscribe(client, TICKER)


@pytest.mark.parametrize(
    "stream_settings", [StreamSettings(ping_interval=0.05, silence_timeout=0.2, close_timeout=0.1)]
)
async def test_a_silent_peer_is_dropped(bench: Bench) -> None:
    client = await raw_open(bench)
    assert await client.frame() == (9, b"")
    assert await client.close_code() == 1013
    await bench.gone()
    assert bench.stream.counters.closes == {"silent": 1}


async def test_pings_of_the_client_are_answered_until_there_are_too_many(bench: Bench) -> None:
    client = await raw_open(bench)
    for number in range(40_000):
        client.send(9, str(number).encode())
    assert await client.frame() == (10, b"0")
    assert await client.close_code() == 1008
    client.writer.close()
    await bench.gone()
    assert bench.stream.counters.closes == {"too_fast": 1}
    assert bench.stream.counters.bytes_out < 20_000, "the flood was noticed before it was answered"


async def test_a_flood_of_fragments_is_ended(bench: Bench) -> None:
    client = await raw_open(bench)
    client.send(1, b"", fin=False)
    for _ in range(3_000):
        client.send(0, b"", fin=False)
    assert await client.close_code() == 1008


async def test_a_peer_that_keeps_sending_bad_frames_is_closed(bench: Bench) -> None:
    async with bench.connect() as client:
        for _ in range(300):
            await client.send("{")
        errors: list[str] = []
        with contextlib.suppress(websockets.ConnectionClosedError):
            async for message in client:
                errors.append(json.loads(message)["error"])  # noqa: PERF401  # the end comes as an exception
        assert errors[:50] == ["InvalidJson"] * 50
        assert errors.count("TooManyOperations") >= 100
        assert (client.close_code, client.close_reason) == (1008, "too many operations")


# Ends.


async def test_stopping_the_server_closes_with_1001(bench: Bench) -> None:
    async with bench.connect() as client, bench.connect() as other:
        await subscribe(client, TICKER)
        stopping = asyncio.create_task(bench.stop())
        for each in (client, other):
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await each.recv()
            assert caught.value.rcvd is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "server stopping")
    await stopping
    assert bench.stream.counters.closes == {"stopping": 2}


async def test_what_was_gathered_comes_before_the_close_frame(bench: Bench) -> None:
    async with bench.connect() as client:
        await subscribe(client, ORDER)
        bench.feed.change(key(ORDER))
        bench.protocols[0].shutdown()
        assert json.loads(await client.recv())["data"][0]["rows"][0] == 1
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()


async def test_a_peer_that_does_not_answer_the_close_frame_is_cut_off(bench: Bench) -> None:
    client = await raw_open(bench)
    bench.protocols[0].shutdown()
    bench.protocols[0].shutdown()
    assert (await client.frame())[0] == 8
    await bench.gone()
    assert bench.stream.counters.closes == {"stopping": 1}


async def test_revoking_a_key_closes_its_sockets_only(bench: Bench) -> None:
    other = bench.keys.create("bob", ["read"])
    async with bench.connect() as client, bench.connect(additional_headers=bench.signed(other)) as stays:
        bench.keys.revoke(bench.key.key)
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await client.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1008, "key revoked")
        await subscribe(stays, TICKER)
        assert (await refused(bench)).body == b'{"error":"api.invalidSession"}'


async def test_a_socket_that_is_torn_down_leaves_nothing(bench: Bench) -> None:
    client = await raw_open(bench)
    client.send(1, json.dumps({"op": "subscribe", "args": [TICKER, ORDER]}).encode())
    await client.message()
    bench.feed.held = True
    client.send(1, json.dumps({"op": "subscribe", "args": [BOOK]}).encode())
    await asyncio.sleep(0.05)
    client.writer.transport.abort()
    await bench.gone()
    bench.feed.commit()
    assert +bench.feed.interest == {}
    assert bench.stream.counters.closes == {"lost": 1}


async def test_an_end_of_stream_is_an_end(bench: Bench) -> None:
    client = await raw_open(bench)
    client.writer.write_eof()
    await client.reader.read()
    await bench.gone()
    assert bench.stream.counters.closes == {"lost": 1}


async def test_a_half_closed_peer_does_not_disturb_the_others(bench: Bench) -> None:
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    client = await stalled_client(bench, ORDER)
    transport = bench.protocols[0]._transport
    bench.feed.padding = "x" * 10_000
    while not transport.get_write_buffer_size():
        bench.feed.change(key(ORDER))
        await asyncio.sleep(0)
    client.writer.write_eof()  # with something still to be written to it, but not so much that it is behind
    async with bench.connect() as other:
        await subscribe(other, ORDER)
        while bench.stream.hub.session_count > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        bench.feed.change(key(ORDER))
        assert json.loads(await other.recv())["data"][0]["actionType"] == "UPDATE"
    assert errors == []


async def test_random_bytes_do_no_harm(bench: Bench) -> None:
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    for seed in range(60):
        client = await raw_open(bench)
        noise = bytearray(os.urandom(seed * 10))
        if seed % 2:  # a valid first byte and a mask get further
            noise[:2] = bytes((0x80 | seed % 11, 0x80 | len(noise) % 126))
        client.writer.write(bytes(noise))
        client.writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await client.reader.read()
        client.writer.close()
    await bench.gone()
    assert errors == []
    assert bench.stream.hub.session_count == 0
