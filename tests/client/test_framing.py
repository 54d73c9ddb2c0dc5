"""The two readers of frames: the same tests, and the same messages from any bytes in any pieces."""

import itertools
import json
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from tickwire.client.framing import Binary, FastMessages, PlainMessages

LIMIT = 100_000

Make = Callable[..., PlainMessages]


def protocol(state: State = OPEN) -> ClientProtocol:
    made = ClientProtocol(
        parse_uri("ws://localhost/api/v1/stream"),
        extensions=[ClientPerMessageDeflateFactory()],
        state=state,
        max_size=LIMIT,
    )
    made.state = state
    return made


def frame(opcode: Opcode, data: bytes, fin: bool = True, **more: bool) -> bytes:
    return Frame(opcode, data, fin, **more).serialize(mask=False)


def text(data: str | bytes) -> bytes:
    return frame(Opcode.TEXT, data.encode() if isinstance(data, str) else data)


def close_codes(reader: PlainMessages) -> tuple[int | None, int | None]:
    sent, received = reader.protocol.close_sent, reader.protocol.close_rcvd
    return (sent.code if sent else None), (received.code if received else None)


@pytest.fixture(params=[PlainMessages, FastMessages])
def make(request: pytest.FixtureRequest) -> Make:
    return lambda state=OPEN: request.param(protocol(state))


@pytest.mark.parametrize("size", [0, 1, 2, 125, 126, 127, 65_535, 65_536, LIMIT])
def test_frames_of_every_form_of_length(make: Make, size: int) -> None:
    reader = make()
    payload = b"x" * size
    assert reader.receive(text(payload) + text("after")) == [payload, b"after"]


def test_many_frames_in_one_read_and_one_frame_in_many(make: Make) -> None:
    payloads = [json.dumps({"n": n, "text": "ä" * n}, ensure_ascii=False).encode() for n in range(200)]
    data = b"".join(map(text, payloads))
    assert make().receive(data) == payloads
    reader = make()
    assert [message for byte in data for message in reader.receive(bytes([byte]))] == payloads


def test_control_frames_between_and_fragments_among_them(make: Make) -> None:
    reader = make()
    data = (
        text("one")
        + frame(Opcode.PING, b"there?")
        + frame(Opcode.TEXT, "zw\u00f6".encode()[:3], fin=False)
        + frame(Opcode.PING, b"still?")
        + frame(Opcode.CONT, "zw\u00f6lf".encode()[3:])
        + frame(Opcode.BINARY, b"\xff")
        + text("three")
    )
    messages = reader.receive(data)
    assert messages == [b"one", "zw\u00f6lf".encode(), b"\xff", b"three"]
    assert [isinstance(message, Binary) for message in messages] == [False, False, True, False]
    assert len(reader.protocol.data_to_send()) == 2  # two pongs


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (text(b"\xff\xfe"), 1007),
        (frame(Opcode.TEXT, b"\xc3", fin=False) + frame(Opcode.CONT, b"("), 1007),
        (frame(Opcode.TEXT, b"\xc3", fin=False) + frame(Opcode.CONT, b""), 1007),
        (text("x" * (LIMIT + 1)), 1009),
        (b"\x81\xff" + (2**62).to_bytes(8, "big"), 1002),
        (b"\x81\x7f" + (2**62).to_bytes(8, "big"), 1009),
        (b"\x83\x00", 1002),
        (b"\xa1\x00", 1002),
        (b"\x81\x80\x00\x00\x00\x00", 1002),
        (frame(Opcode.CONT, b"alone"), 1002),
        (frame(Opcode.TEXT, b"begun", fin=False) + text("again"), 1002),
        (frame(Opcode.CLOSE, b"\x03\xf5bye"), 1013),
    ],
)
def test_what_ends_the_connection_and_with_which_code(make: Make, data: bytes, code: int) -> None:
    reader = make()
    assert reader.receive(text("before") + data + text("after")) == [b"before"]
    assert close_codes(reader)[0] == code


def test_the_answer_and_the_first_frames_in_one_read(make: Make) -> None:
    server = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()])
    reader = make(State.CONNECTING)
    reader.protocol.send_request(reader.protocol.connect())
    server.receive_data(b"".join(reader.protocol.data_to_send()))
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]
    server.send_text(b'{"compressed":"compressed compressed compressed"}')
    answer = b"".join(server.data_to_send())
    plain = text("plain")
    data = answer + plain + plain[:3]
    assert reader.receive(data) == [b'{"compressed":"compressed compressed compressed"}', b"plain"]
    assert reader.response is not None
    assert reader.response.status_code == 101
    assert reader.receive(plain[3:]) == [b"plain"]


def test_a_refusal_with_a_body(make: Make) -> None:
    reader = make(State.CONNECTING)
    reader.protocol.send_request(reader.protocol.connect())
    body = b'{"error":"api.unauthorized"}\r\n\r\n'
    head = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: %d\r\n\r\n" % len(body)
    for byte in head + body:
        assert reader.receive(bytes([byte])) == []
    assert reader.response is not None
    assert reader.response.status_code == 401
    assert bytes(reader.response.body or b"") == body


def test_an_answer_that_never_ends(make: Make) -> None:
    reader = make(State.CONNECTING)
    reader.protocol.send_request(reader.protocol.connect())
    for _ in range(100):
        assert reader.receive(b"x" * 1024) == []
    assert reader.protocol.handshake_exc is not None


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    borders = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for start, stop in itertools.pairwise(borders):
        yield data[start:stop]


payloads = st.one_of(
    st.text(max_size=40).map(str.encode), st.binary(max_size=300), st.integers(0, 70_000).map(lambda n: b"y" * n)
)
frames = st.one_of(
    payloads.map(text),
    st.builds(frame, st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT]), payloads, st.booleans()),
    st.builds(frame, st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125)),
    st.just(frame(Opcode.CLOSE, b"\x03\xe8")),
    st.binary(max_size=12),
)


@settings(deadline=None)
@given(st.lists(frames, max_size=8), st.lists(st.integers(0, 80_000), max_size=12))
def test_the_fast_reader_reads_what_the_plain_one_does(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    fast, plain = FastMessages(protocol()), PlainMessages(protocol())
    # The plain one frame by frame at most: it would answer frames behind one that ends the connection.
    by_byte = [message for start in range(len(data)) for message in plain.receive(data[start : start + 1])]
    assert [message for piece in pieces(data, cuts) for message in fast.receive(piece)] == by_byte
    assert close_codes(fast) == close_codes(plain)
    assert len(fast.protocol.data_to_send()) == len(plain.protocol.data_to_send())
