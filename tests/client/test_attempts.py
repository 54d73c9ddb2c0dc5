"""From a call to its rows, and what happens on the way: against servers that go wrong on real sockets."""

import re
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.client.blocking import CLIENTS, MakeClient
from tests.client.faulty import FaultyServer, answer

from tickwire.client import (
    NO_RETRIES,
    ApiError,
    ClientError,
    ConnectionFailed,
    Forbidden,
    InvalidReply,
    RateLimited,
    Retries,
    ServerClock,
    ServerFailed,
    TimedOut,
    Unauthorized,
)
from tickwire.client.attempts import Caller, Pause, Reply, Request
from tickwire.client.calls import Call, cancel_order, place_order, server_time, symbols
from tickwire.wire.signing import sign

QUICK = Retries(first_pause=0.001)
SYMBOLS = b'{"spot":["BTCUSDT"],"perpetualSwap":[]}'
GOOD = answer("200 OK", SYMBOLS)
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


@pytest.fixture(params=CLIENTS, ids=["sync", "async"])
def client(request: pytest.FixtureRequest) -> MakeClient:
    """Makes a client of a faulty server."""

    def make(server: FaultyServer, **options: Any) -> Any:
        return request.param(server.url, "key", "secret", **({"retries": QUICK, "timeout": 5} | options))

    return make


CUT_BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + SYMBOLS
CUT_CHUNK = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n30\r\n" + SYMBOLS
CUT_HEAD = b"HTTP/1.1 200 OK\r\ncontent-le"
CUT_JSON = answer("200 OK", SYMBOLS[:-3], "content-type: application/json")
NOT_HTTP = b"SSH-2.0-OpenSSH_9.2\r\n"
BAD_GATEWAY = answer("502 Bad Gateway", HTML, "content-type: text/html")
UNAVAILABLE = answer("503 Service Unavailable", b'{"error":"Unavailable","message":"the exchange is stopping"}')
BUSY = answer("429 Too Many Requests", b'{"error":"TooManyRequests","message":"slower"}', "retry-after: 0")

FAULTS: tuple[tuple[bytes, type[Exception], str], ...] = (
    (CUT_BODY, ConnectionFailed, "failed before the whole reply was here"),
    (CUT_CHUNK, ConnectionFailed, "failed before the whole reply was here"),
    (CUT_HEAD, ConnectionFailed, "failed before the whole reply was here"),
    (b"", ConnectionFailed, "failed before the whole reply was here"),
    (NOT_HTTP, ConnectionFailed, "failed before the whole reply was here"),
    (FaultyServer.RESET, ConnectionFailed, "failed before the whole reply was here"),
    (CUT_JSON, InvalidReply, r"expected JSON .* got 36 bytes of application/json: '{\"spot\""),
    (answer("200 OK", HTML, "content-type: text/html"), InvalidReply, "got 50 bytes of text/html: '<html><body>"),
    (BAD_GATEWAY, ServerFailed, "http.502: the server answers 50 bytes of text/html: '<html><body>"),
    (answer("504 Gateway Timeout", b""), ServerFailed, "http.504: status 504"),
    (UNAVAILABLE, ServerFailed, "Unavailable: the exchange is stopping"),
    (BUSY, RateLimited, "TooManyRequests: slower"),
)


@pytest.mark.parametrize(("fault", "kind", "words"), FAULTS)
def test_a_read_goes_through_faults(client: MakeClient, fault: bytes, kind: type[Exception], words: str) -> None:
    with FaultyServer(fault, fault, GOOD) as server, client(server) as rest:
        assert rest.symbols().spot == ["BTCUSDT"]
        assert len(server.requests) == 3


@pytest.mark.parametrize(("fault", "kind", "words"), FAULTS)
def test_a_read_gives_up_after_some_attempts(
    client: MakeClient, fault: bytes, kind: type[Exception], words: str
) -> None:
    with FaultyServer(fault, fault, GOOD) as server, client(server, retries=Retries(2, first_pause=0.001)) as rest:
        with pytest.raises(kind, match=words):
            rest.symbols()
        assert len(server.requests) == 2


@pytest.mark.parametrize(("fault", "kind", "words"), FAULTS)
def test_a_write_that_may_have_arrived_is_never_repeated(
    client: MakeClient, fault: bytes, kind: type[Exception], words: str
) -> None:
    with FaultyServer(fault, GOOD) as server, client(server) as rest:
        with pytest.raises(kind, match=words) as caught:
            rest.place_order("BTCUSDT.PERP", "BUY", 1)
        assert len(server.requests) == 1
        if isinstance(caught.value, ConnectionFailed):
            assert caught.value.may_have_arrived


def test_silence_ends_with_the_timeout(client: MakeClient) -> None:
    with FaultyServer(FaultyServer.SILENCE, GOOD) as server, client(server, timeout=0.2) as rest:
        assert rest.symbols().spot == ["BTCUSDT"]
    with FaultyServer(FaultyServer.SILENCE, GOOD) as server, client(server, timeout=0.2) as rest:
        with pytest.raises(TimedOut) as caught:
            rest.cancel_order("BTCUSDT.PERP", "x")
        assert caught.value.may_have_arrived


def test_a_server_that_is_away(client: MakeClient) -> None:
    with FaultyServer() as server:
        pass
    with client(server) as rest:
        for call in (rest.symbols, lambda: rest.place_order("BTCUSDT.PERP", "BUY", 1)):
            with pytest.raises(ConnectionFailed, match=f"can't reach {server.url}") as caught:
                call()
            assert not caught.value.may_have_arrived


def test_wrong_types_are_not_asked_for_again(client: MakeClient) -> None:
    with FaultyServer(answer("200 OK", b'{"spot":1}'), GOOD) as server, client(server) as rest:
        with pytest.raises(InvalidReply, match=r"of other types than documented: .*spot"):
            rest.symbols()
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (
            answer("301 Moved", b"", "location: https://else.example/"),
            InvalidReply,
            "sends us to https://else.example/",
        ),
        (answer("204 No Content", b""), InvalidReply, "expected status 200, got 204"),
        (answer("403 Forbidden", b"Invalid Origin", "content-type: text/plain"), Forbidden, "Invalid Origin"),
        (answer("404 Not Found", b"[1]"), ApiError, "http.404: the server answers 3 bytes"),
        (answer("400 Bad Request", b"\xff", "x-prex-error-type: MinNotional"), ApiError, "MinNotional: the server"),
    ],
)
def test_other_answers(client: MakeClient, reply: bytes, kind: type[Exception], words: str) -> None:
    with FaultyServer(reply, GOOD) as server, client(server) as rest:
        with pytest.raises(kind, match=words):
            rest.symbols()
        assert len(server.requests) == 1


def test_each_attempt_is_signed_afresh(client: MakeClient) -> None:
    now = [1_765_975_842_000_000_000]

    def local() -> int:
        now[0] += 1_000_000_000
        return now[0]

    with FaultyServer(b"", GOOD) as server, client(server, clock=ServerClock(local)) as rest:
        rest.symbols()
        first, second = (server.header("api-expires", index) for index in (0, 1))
        assert int(second) > int(first)
        for index, expires in enumerate((first, second)):
            expected = sign("secret", "GET", "/api/v1/trade/symbol", expires)
            assert server.header("api-signature", index) == expected


def test_a_body_is_signed_as_sent(client: MakeClient) -> None:
    with FaultyServer(answer("200 OK", b"{}")) as server, client(server) as rest:
        rest.cancel_order("BTCUSDT.PERP", "x")
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"DELETE /api/v1/trade/order HTTP/1.1")
        assert body == b'{"symbol":"BTCUSDT.PERP","orderId":"x"}'
        expected = sign("secret", "DELETE", "/api/v1/trade/order", server.header("api-expires"), body)
        assert server.header("api-signature") == expected
        assert server.header("content-type") == "application/json"


def test_where_the_key_stands(client: MakeClient) -> None:
    headers = ("x-ratelimit-limit: 100", "x-ratelimit-remaining: 97", "x-ratelimit-reset: 1795542523")
    with FaultyServer(GOOD, answer("200 OK", SYMBOLS, *headers), GOOD) as server, client(server) as rest:
        rest.symbols()
        assert rest.rate_limit is None
        rest.symbols()
        assert (rest.rate_limit.limit, rest.rate_limit.remaining, rest.rate_limit.reset) == (100, 97, 1795542523)


def test_a_call_that_needs_a_key_says_so(client: MakeClient) -> None:
    with FaultyServer() as server, client(server) as rest:
        rest._caller._key = ""
        with pytest.raises(ValueError, match="GET /api/v1/trade/symbol: expected a client with key and secret"):
            rest.symbols()


def test_half_a_key_is_refused(client: MakeClient) -> None:
    for maker in CLIENTS:
        with pytest.raises(ValueError, match="expected key and secret, got only the key"):
            maker("http://127.0.0.1:8080", "key")


# The decisions alone, without sockets: what is sent and waited for is seen here.


def run(call: Call[Any], *outcomes: Callable[[Request], Reply | ConnectionFailed], clock: ServerClock) -> list[float]:
    """The pauses of a call that meets these outcomes and ends well."""
    steps = Caller("key", "secret", clock, Retries()).attempts(call, lambda: 0.5)
    waiting = list(outcomes)
    pauses = []
    outcome: Reply | ConnectionFailed | None = None
    try:
        while True:
            step = steps.send(outcome)
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                outcome = None
            else:
                outcome = waiting.pop(0)(step)
    except StopIteration:
        assert waiting == []
        return pauses


def fixed(status: int, body: bytes = b"{}", **headers: str) -> Callable[[Request], Reply]:
    return lambda _: Reply(status, {name.replace("_", "-"): text for name, text in headers.items()}, body)


def test_pauses_grow_and_what_the_server_asks_for_is_added() -> None:
    pauses = run(
        symbols(), fixed(500), fixed(429, retry_after="3"), fixed(503), fixed(200, SYMBOLS), clock=ServerClock()
    )
    assert pauses == [0.1, 3.2, 0.4]


def test_retry_after_may_be_a_date() -> None:
    date, until = formatdate(1_765_975_842, usegmt=True), formatdate(1_765_975_849, usegmt=True)
    good = fixed(200, SYMBOLS)
    assert run(symbols(), fixed(503, date=date, retry_after=until), good, clock=ServerClock()) == [7.1]
    # Past, or without a Date of the server's own, or none at all.
    assert run(symbols(), fixed(503, date=until, retry_after=date), good, clock=ServerClock()) == [0.1]
    soon = formatdate(time.time() + 5, usegmt=True)
    (pause,) = run(symbols(), fixed(503, retry_after=soon), good, clock=ServerClock())
    assert 3 < pause < 5.2
    assert run(symbols(), fixed(503, retry_after="soon"), good, clock=ServerClock()) == [0.1]


def test_a_write_that_never_arrived_is_repeated() -> None:
    away = ConnectionFailed("away", may_have_arrived=False)
    reply = fixed(200, b"{}")
    assert run(cancel_order("S", "x"), lambda _: away, reply, clock=ServerClock()) == [0.1]


NOW = 1_765_975_842_000_000_000


def a_server(clock_ahead: int) -> Callable[[Request], Reply]:
    """A server's check of `api-expires`, its clock so many seconds ahead of the client's."""

    def reply(request: Request) -> Reply:
        server_time = NOW + clock_ahead * 1_000_000_000
        if request.target == "/api/v1/public/time":
            return Reply(200, {}, b'{"serverTime":"%d"}' % server_time)
        if not 0 <= int(request.headers["api-expires"]) - server_time // 1_000_000_000 <= 86_400:
            return Reply(401, {}, b'{"error":"api.unauthorized"}')
        return Reply(200, {}, SYMBOLS)

    return reply


@pytest.mark.parametrize("ahead", [31, 3600, 10**9, -86_400, -(10**9)])
def test_a_wrong_clock_is_measured_after_a_401_and_the_call_repeated_at_once(ahead: int) -> None:
    clock = ServerClock(lambda: NOW)
    server = a_server(ahead)
    assert run(symbols(), server, server, server, clock=clock) == []
    assert clock.offset == ahead * 1_000_000_000
    # Known from now on.
    assert run(symbols(), server, clock=clock) == []


def test_a_write_too_as_a_401_has_done_nothing() -> None:
    clock = ServerClock(lambda: NOW)
    server = a_server(3600)

    def placed(request: Request) -> Reply:
        assert server(request).status == 200
        return Reply(200, {}, b'{"order":' + ORDER + b"}")

    assert run(place_order("S", "BUY", 1), server, server, placed, clock=clock) == []


ORDER = (
    b'{"orderId":"x","symbol":"S","side":"BUY","orderType":"MARKET","quantity":"1","amount":null,"price":null,'
    b'"triggerPrice":null,"status":"FILLED","timeInForce":"IOC","takeProfitPrice":null,"stopLossPrice":null,'
    b'"leavesQty":"0"}'
)


def test_a_proxy_whose_clock_is_wrong_costs_one_measurement() -> None:
    clock = ServerClock(lambda: NOW)
    server = a_server(0)
    date = formatdate(NOW // 1_000_000_000 - 3600, usegmt=True)

    def through_proxy(request: Request) -> Reply:
        reply = server(request)
        return Reply(reply.status, {"date": date}, reply.body)

    # Believed after the first reply, refused by the server then, and never believed again.
    run(symbols(), through_proxy, clock=clock)
    run(symbols(), through_proxy, through_proxy, through_proxy, clock=clock)
    for _ in range(3):
        run(symbols(), through_proxy, clock=clock)
    assert clock.offset == 0


def test_a_clock_that_is_right_is_not_the_reason_of_a_401() -> None:
    refused = fixed(401, b'{"error":"api.unauthorized"}')
    with pytest.raises(Unauthorized, match="signature headers are missing, expired or wrong"):
        run(symbols(), refused, a_server(0), clock=ServerClock(lambda: NOW))


def test_a_401_without_an_answer_about_the_time_stays_one() -> None:
    refused = fixed(401, b'{"error":"api.invalidSession"}')
    away = ConnectionFailed("away", may_have_arrived=False)
    with pytest.raises(Unauthorized, match=re.escape("api.invalidSession")):
        run(symbols(), refused, lambda _: away, clock=ServerClock(lambda: NOW))


def test_no_retries_is_one_attempt(client: MakeClient) -> None:
    with FaultyServer(UNAVAILABLE, GOOD) as server, client(server, retries=NO_RETRIES) as rest:
        with pytest.raises(ServerFailed):
            rest.symbols()
        assert len(server.requests) == 1


# Whatever a server answers, a call ends with rows or with a ``ClientError``.

awkward = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ("9" * 5000, "-1", "1e9", "nan", "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359")
    ),
)
bodies = st.one_of(
    st.binary(max_size=100),
    st.sampled_from((b'{"serverTime":"soon"}', b'{"serverTime":"' + b"9" * 5000 + b'"}', b"[" * 100_000, SYMBOLS)),
)


@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, 999),
    st.dictionaries(
        st.sampled_from(
            ("date", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "location",
             "content-type", "x-prex-error-type")
        ),
        awkward,
    ),
    bodies,
)  # fmt: skip
def test_any_answer_is_rows_or_a_client_error(status: int, headers: dict[str, str], body: bytes) -> None:
    reply = Reply(status, headers, body)
    for call in (server_time(), symbols(), cancel_order("S", "x")):
        caller = Caller("key", "secret", ServerClock(lambda: NOW), Retries())
        steps = caller.attempts(call, lambda: 0.5)
        outcome: Reply | None = None
        for _ in range(20):
            try:
                step = steps.send(outcome)
            except StopIteration:
                break
            except ClientError:
                break
            outcome = None if isinstance(step, Pause) else reply
        else:
            raise AssertionError("a call without an end")
