from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from websockets.datastructures import Headers

from tickwire.keys.keyring import ApiKey, KeyRing
from tickwire.stream.handshake import Handshake, Refusal, subscriber
from tickwire.stream.settings import StreamLimits
from tickwire.wire.signing import STREAM_PATH, sign

NOW = 1_700_000_000
ADDRESS = "192.0.2.1"


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyRing]:
    ring = KeyRing.open(tmp_path)
    yield ring
    ring.close()


@pytest.fixture
def reader(keys: KeyRing) -> ApiKey:
    return keys.create("alice", ["read"])


class Bench:
    def __init__(self, keys: KeyRing, **limits: int) -> None:
        self.now = float(NOW)
        self.open: dict[str, int] = {}
        self.handshake = Handshake(
            keys,
            StreamLimits(**limits),
            clock=lambda: int(self.now * 1e9),
            sockets=lambda key: self.open.get(key, 0),
            address_sockets=lambda address: self.open.get(address, 0),
        )

    def check(self, headers: dict[str, str], target: str = STREAM_PATH, address: str = ADDRESS) -> ApiKey | Refusal:
        return self.handshake.check(target, Headers(headers), address)


@pytest.fixture
def bench(keys: KeyRing) -> Bench:
    return Bench(keys)


def signed(key: ApiKey, expires: int = NOW + 60, target: str = STREAM_PATH, method: str = "GET") -> dict[str, str]:
    text = str(expires)
    return {"api-key": key.key, "api-expires": text, "api-signature": sign(key.secret, method, target, text)}


def test_headers_open_a_stream(bench: Bench, reader: ApiKey) -> None:
    assert bench.check(signed(reader)) == reader


def test_names_of_headers_have_no_case(bench: Bench, reader: ApiKey) -> None:
    assert bench.check({name.title(): value for name, value in signed(reader).items()}) == reader


def test_the_query_opens_a_stream_with_the_same_signature(bench: Bench, reader: ApiKey) -> None:
    assert bench.check({}, f"{STREAM_PATH}?{urlencode(signed(reader))}") == reader


def test_other_parameters_do_not_count(bench: Bench, reader: ApiKey) -> None:
    assert bench.check(signed(reader), STREAM_PATH + "?v=1&api-key=nonsense") == reader


def refusal_of(answer: ApiKey | Refusal) -> Refusal:
    assert isinstance(answer, Refusal)
    return answer


Change = Callable[[dict[str, str], ApiKey], dict[str, str]]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda headers, key: {}, 401, "api.unauthorized"),
        (lambda headers, key: headers | {"api-key": ""}, 401, "api.unauthorized"),
        (lambda headers, key: {n: v for n, v in headers.items() if n != "api-expires"}, 401, "api.unauthorized"),
        (lambda headers, key: signed(key, NOW - 1), 401, "api.unauthorized"),
        (lambda headers, key: signed(key, NOW + 24 * 3600 + 1), 401, "api.unauthorized"),
        (lambda headers, key: signed(key, target="/api/v1/account"), 401, "api.unauthorized"),
        (lambda headers, key: signed(key, method="POST"), 401, "api.unauthorized"),
        (lambda headers, key: headers | {"api-expires": "soon"}, 401, "api.unauthorized"),
        (lambda headers, key: headers | {"api-signature": "\u00e9"}, 401, "api.unauthorized"),
        (lambda headers, key: headers | {"api-key": "unknown-key"}, 401, "api.invalidSession"),
    ],
)
def test_refusals(bench: Bench, reader: ApiKey, change: Change, status: int, code: str) -> None:
    refusal = refusal_of(bench.check(change(signed(reader), reader)))
    assert (refusal.status, refusal.body) == (status, b'{"error":"%s"}' % code.encode())
    assert dict(refusal.headers) == {"content-type": "application/json", "x-prex-error-type": code}


def test_a_value_twice_is_no_value(bench: Bench, reader: ApiKey) -> None:
    headers = Headers(signed(reader))
    headers["api-key"] = reader.key
    assert refusal_of(bench.handshake.check(STREAM_PATH, headers, ADDRESS)).code == "api.unauthorized"
    query = urlencode([*signed(reader).items(), ("api-key", reader.key)])
    assert refusal_of(bench.check({}, f"{STREAM_PATH}?{query}")).code == "api.unauthorized"


def test_a_revoked_key_is_unknown(bench: Bench, keys: KeyRing, reader: ApiKey) -> None:
    keys.revoke(reader.key)
    assert refusal_of(bench.check(signed(reader))).code == "api.invalidSession"


def test_scope_and_address_are_checked(bench: Bench, keys: KeyRing) -> None:
    refusal = refusal_of(bench.check(signed(keys.create("bob", ["trade"]))))
    assert (refusal.status, refusal.body) == (403, b'{"error":"Forbidden"}')
    bound = keys.create("bob", ["read"], allow=["198.51.100.0/24"])
    assert refusal_of(bench.check(signed(bound))).status == 403
    assert bench.check(signed(bound), address="198.51.100.7") == bound


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "/api/v1/streams", "/api/v1/stream/", "/api/v1/account"])
def test_other_paths_of_the_api_are_an_invalid_origin(bench: Bench, reader: ApiKey, path: str) -> None:
    refusal = refusal_of(bench.check(signed(reader), path))
    assert (refusal.status, refusal.headers, refusal.body) == (
        403,
        (("content-type", "text/plain"),),
        b"Invalid Origin",
    )


@pytest.mark.parametrize("path", ["/", "/stream", "/api/v11", "*", ""])
def test_paths_elsewhere_are_not_found(bench: Bench, path: str) -> None:
    assert refusal_of(bench.check({}, path)).status == 404


def test_an_address_may_come_a_hundred_times_at_once_and_twenty_a_minute(bench: Bench, reader: ApiKey) -> None:
    headers = signed(reader)
    assert all(bench.check(headers) == reader for _ in range(100))
    refusal = refusal_of(bench.check(headers))
    assert (refusal.status, refusal.body) == (429, b'{"error":"TooManyRequests"}')
    assert dict(refusal.headers) == {
        "content-type": "application/json",
        "x-prex-error-type": "TooManyRequests",
        "Retry-After": "3",
        "x-ratelimit-reset": str(NOW + 3),
    }
    assert bench.check(headers, address="192.0.2.2") == reader
    bench.now += 3.01
    assert bench.check(headers) == reader
    assert refusal_of(bench.check(headers)).status == 429


def test_refused_handshakes_count_too(keys: KeyRing, reader: ApiKey) -> None:
    bench = Bench(keys, upgrade_burst=2)
    assert [refusal_of(bench.check({})).status for _ in range(3)] == [401, 401, 429]
    assert refusal_of(bench.check(signed(reader))).status == 429


def test_a_key_has_a_number_of_sockets(bench: Bench, reader: ApiKey) -> None:
    bench.open[reader.key] = 99
    assert bench.check(signed(reader)) == reader
    bench.open[reader.key] = 100
    refusal = refusal_of(bench.check(signed(reader)))
    assert refusal.status == 429
    assert dict(refusal.headers)["Retry-After"] == "10"


def test_without_limits_there_are_none(keys: KeyRing, reader: ApiKey) -> None:
    bench = Bench(keys)
    bench.handshake = Handshake(
        keys,
        StreamLimits.unlimited(),
        clock=lambda: NOW * 10**9,
        sockets=lambda key: 1_000_000,
        address_sockets=lambda address: 1_000_000,
    )
    assert all(bench.check(signed(reader)) == reader for _ in range(1_000))


def test_sockets_an_address(bench: Bench, reader: ApiKey) -> None:
    bench.open[ADDRESS] = 999
    assert bench.check(signed(reader)) == reader
    bench.open[ADDRESS] = 1_000
    refusal = refusal_of(bench.check(signed(reader)))
    assert (refusal.status, refusal.limit) == (429, "sockets_per_address")
    assert bench.check(signed(reader), address="192.0.2.99") == reader


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::1", "::/64"),
        ("", ""),
        ("a:b", "a:b"),
    ],
)
def test_an_address_of_ipv6_stands_for_its_line(address: str, counted_as: str) -> None:
    assert subscriber(address) == counted_as
