"""A request read in one step is answered as `websockets` answers it, or is left to that."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tickwire.stream.deflate import EXTENSIONS
from tickwire.stream.upgrade import Upgrade, read_upgrade

NONCE = base64.b64encode(bytes(range(16))).decode()
USUAL = {
    "host": "localhost:8080",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": NONCE,
    "sec-websocket-version": "13",
    "api-key": "key",
}


def request(headers: dict[str, str], target: str = "/api/v1/stream", first: str = "GET {} HTTP/1.1") -> bytes:
    lines = [first.format(target), *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def plain(data: bytes) -> tuple[Request, list[str], ServerProtocol] | None:
    """The reference: the request, the lines of the answer, and the protocol; ``None`` unless it is granted."""
    protocol = ServerProtocol(extensions=EXTENSIONS)
    protocol.receive_data(data)
    events = protocol.events_received()
    if len(events) != 1 or not isinstance(events[0], Request):
        return None
    response = protocol.accept(events[0])
    return None if response.status_code != 101 else (events[0], lines(response.serialize()), protocol)


def lines(response: bytes) -> list[str]:
    """Without the date, which may be another second's."""
    return [line for line in response.decode().split("\r\n") if not line.startswith("Date: ")]


def compare(data: bytes) -> Upgrade | None:
    upgrade = read_upgrade(data)
    if upgrade is not None:
        reference = plain(data)
        assert reference is not None, "took what websockets refuses"
        expected, answer, protocol = reference
        assert upgrade.target == expected.path
        assert list(upgrade.headers.raw_items()) == list(expected.headers.raw_items())
        assert lines(upgrade.response) == answer
        assert list(map(repr, upgrade.extensions)) == list(map(repr, protocol.extensions))
    return upgrade


OFFERS = [
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=9, permessage-deflate",
    "permessage-deflate; server_max_window_bits=9",
    "permessage-deflate; nonsense",
    "x-webkit-deflate-frame",
    "bad;;",
    "",
]
VALUES = {
    "upgrade": ["websocket", "WebSocket", "websocket, h2c", "h2c", ""],
    "connection": ["Upgrade", "upgrade", "keep-alive, Upgrade", "Upgrade, keep-alive", "keep-alive", "Upgrade,"],
    "sec-websocket-key": [NONCE, NONCE[:-2], NONCE.replace("=", "!"), base64.b64encode(b"short").decode(), ""],
    "sec-websocket-version": ["13", "8", "13, 8", ""],
    "sec-websocket-extensions": OFFERS,
    "sec-websocket-protocol": ["chat"],
    "content-length": ["0", "5"],
    "transfer-encoding": ["chunked"],
    "origin": ["https://example.com", "null"],
    "x": ["a\tb", "\xe9", " padded ", "a  b", "\x7f", "a\x00b"],
}
CHANGES = st.lists(
    st.sampled_from([(name, value) for name, values in VALUES.items() for value in values])
    | st.tuples(st.sampled_from(list(USUAL)), st.none())
    | st.tuples(st.text("abcX-_ :", min_size=1, max_size=8), st.text(max_size=8).map(lambda text: text[:8])),
    max_size=4,
)


@given(CHANGES, st.sampled_from(["/api/v1/stream", "/api/v1/stream?api-key=%20k", "/", "*", "/ ü", ""]))
def test_whatever_it_takes_is_answered_as_by_websockets(changes: list[tuple[str, str | None]], target: str) -> None:
    headers: dict[str, str] = dict(USUAL)
    for name, value in changes:
        if value is None:
            headers.pop(name, None)
        else:
            headers[name] = value
    try:
        data = request(headers, target)
    except UnicodeEncodeError:
        return
    compare(data)


@given(st.data())
def test_bytes_in_the_wrong_places_change_nothing_about_that(data: st.DataObject) -> None:
    usual = request(USUAL)
    at = data.draw(st.integers(0, len(usual)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.binary(max_size=3) | st.sampled_from([b"\r\n", b"\n", b": ", b"\r\n\r\n", usual]))
    compare(usual[:at] + put + usual[at + cut :])


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"connection": "keep-alive, Upgrade"},  # a browser
        {"origin": "https://example.com", "user-agent": "Mozilla/5.0 (X11; Linux x86_64)", "pragma": "no-cache"},
        *({"sec-websocket-extensions": offer} for offer in OFFERS[:4]),
    ],
)
def test_the_usual_forms_are_taken(change: dict[str, str]) -> None:
    assert compare(request(USUAL | change)) is not None


def test_deflate_is_agreed_to_without_contexts() -> None:
    upgrade = compare(request(USUAL | {"sec-websocket-extensions": OFFERS[0]}))
    assert upgrade is not None
    (extension,) = upgrade.extensions
    assert isinstance(extension, PerMessageDeflate)
    assert extension.local_no_context_takeover
    # Each connection has its own, with its own decoder.
    another = read_upgrade(request(USUAL | {"sec-websocket-extensions": OFFERS[0]}))
    assert another is not None
    assert another.extensions[0] is not extension


@pytest.mark.parametrize(
    "data",
    [
        request(USUAL)[:-1],
        request(USUAL) + b"\x81\x84\0\0\0\0ping",
        request(USUAL, first="POST {} HTTP/1.1"),
        request(USUAL, first="GET {} HTTP/1.0"),
        request(USUAL | {"content-length": "0"}),
        request(USUAL | {"cookie": "c" * 4096}),
        request(USUAL).replace(b"api-key: key", b"api-key: key\r\napi-key: other"),
    ],
)
def test_anything_else_is_left_alone(data: bytes) -> None:
    assert read_upgrade(data) is None
