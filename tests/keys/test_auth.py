from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.keys.auth import authenticate
from tickwire.keys.keyring import ApiKey, KeyRing
from tickwire.wire.errors import ApiError
from tickwire.wire.signing import sign

NOW = 1_700_000_000
EXPIRES = str(NOW + 30)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    ring = KeyRing.open(tmp_path_factory.mktemp("keys"))
    ring.create("alice", ["read", "trade"], key="full-key", secret="secret")
    ring.create("alice", ["read"], key="read-key", secret="secret")
    ring.create("alice", ["read"], ["192.0.2.0/24"], key="bound-key", secret="secret")
    ring.create("alice", ["read"], key="dead-key", secret="secret")
    ring.revoke("dead-key")
    return ring


def check(ring: KeyRing, **changes: Any) -> ApiKey:
    """A good request, but for what the test changes after it was signed."""
    request: dict[str, Any] = {
        "method": "POST",
        "target": "/api/v1/trade/order?x=%20y",
        "body": b'{"symbol":"BTCUSDT.PERP"}',
        "api_key": "full-key",
        "expires": EXPIRES,
        "scope": "trade",
        "address": "192.0.2.1",
        "now_seconds": NOW,
    }
    signed = request | {name: changes[name] for name in ("expires",) if changes.get(name)}
    request["signature"] = sign("secret", signed["method"], signed["target"], signed["expires"], signed["body"])
    return authenticate(ring, **(request | changes))


def refusal(ring: KeyRing, **changes: Any) -> tuple[int, str]:
    with pytest.raises(ApiError) as refused:
        check(ring, **changes)
    return refused.value.status, refused.value.code


def test_a_good_request_gives_its_key(ring: KeyRing) -> None:
    assert check(ring) == ring.find("full-key")


def test_the_vector_of_the_contract(ring: KeyRing) -> None:
    key = authenticate(
        ring,
        method="GET",
        target="/api/v1/account",
        body=b"",
        api_key="full-key",
        expires="1700000000",
        signature="325b3b678130137bd18545487eb8152a9626d00e569b30b7f6ced15d34eaa534",
        scope="read",
        address="",
        now_seconds=1_700_000_000,
    )
    assert key.account == "alice"


@pytest.mark.parametrize("header", ["api_key", "expires", "signature"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_header(ring: KeyRing, header: str, value: str | None) -> None:
    assert refusal(ring, **{header: value}) == (401, "api.unauthorized")


@pytest.mark.parametrize(
    "expires",
    [
        "soon",
        "-1",
        "+1700000030",
        " 1700000030",
        "1700000030.0",
        "1.7e9",
        "\u0661\u0667",
        "17\udcff",
        "9" * 21,
        "9" * 100_000,
    ],
)
def test_a_malformed_expiry(ring: KeyRing, expires: str) -> None:
    assert refusal(ring, expires=expires) == (401, "api.unauthorized")


@pytest.mark.parametrize(
    ("expires", "now", "good"),
    [
        (NOW, NOW, True),
        (NOW, NOW + 0.5, False),
        (NOW, NOW + 1, False),
        (NOW + 86_400, NOW, True),
        (NOW + 86_401, NOW, False),
        (10**19, NOW, False),
    ],
)
def test_the_window_of_the_expiry(ring: KeyRing, expires: int, now: float, good: bool) -> None:
    if good:
        assert check(ring, expires=str(expires), now_seconds=now).key == "full-key"
    else:
        assert refusal(ring, expires=str(expires), now_seconds=now) == (401, "api.unauthorized")


@pytest.mark.parametrize("key", ["no-such-key", "dead-key", "full-key ", "k" * 100_000, "\udcff"])
def test_an_unknown_or_revoked_key(ring: KeyRing, key: str) -> None:
    assert refusal(ring, api_key=key) == (401, "api.invalidSession")


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"target": "/api/v1/trade/order"},
        {"target": "/api/v1/trade/order?x= y"},
        {"body": b'{"symbol":"ETHUSDT.PERP"}'},
        {"body": b""},
        {"signature": "0" * 64},
        {"signature": "short"},
        {"signature": "ü" * 64},
        {"signature": "\ud800"},
        {"signature": sign("other", "POST", "/api/v1/trade/order?x=%20y", EXPIRES, b'{"symbol":"BTCUSDT.PERP"}')},
        {
            "signature": sign(
                "secret", "POST", "/api/v1/trade/order?x=%20y", EXPIRES, b'{"symbol":"BTCUSDT.PERP"}'
            ).upper()
        },
    ],
)
def test_a_wrong_signature(ring: KeyRing, changes: dict[str, Any]) -> None:
    assert refusal(ring, **changes) == (401, "api.unauthorized")


def test_a_signature_is_good_for_its_own_expiry_only(ring: KeyRing) -> None:
    request = {"method": "GET", "target": "/api/v1/account", "body": b"", "scope": "read", "address": ""}
    signature = sign("secret", "GET", "/api/v1/account", EXPIRES)
    with pytest.raises(ApiError, match="api-signature"):
        authenticate(
            ring,
            **request,
            api_key="full-key",
            expires=str(NOW + 31),
            signature=signature,
            now_seconds=NOW,  # type: ignore[arg-type]
        )


def test_a_missing_scope_and_a_foreign_address(ring: KeyRing) -> None:
    assert refusal(ring, api_key="read-key") == (403, "Forbidden")
    assert check(ring, api_key="read-key", scope="read").key == "read-key"
    assert check(ring, api_key="bound-key", scope="read").key == "bound-key"
    assert refusal(ring, api_key="bound-key", scope="read", address="203.0.113.1") == (403, "Forbidden")


def test_the_order_of_the_checks(ring: KeyRing) -> None:
    """What fails first decides, so a stranger learns nothing of a key that it can't sign with."""
    everything_wrong = {"expires": "1", "api_key": "no-such-key", "signature": "0" * 64, "address": "203.0.113.1"}
    assert refusal(ring, **everything_wrong)[1] == "api.unauthorized"
    assert refusal(ring, **everything_wrong | {"expires": EXPIRES})[1] == "api.invalidSession"
    assert refusal(ring, **everything_wrong | {"expires": EXPIRES, "api_key": "bound-key"})[1] == "api.unauthorized"


def test_a_refusal_shows_the_code_alone(ring: KeyRing) -> None:
    with pytest.raises(ApiError) as refused:
        check(ring, signature="0" * 64)
    assert refused.value.body() == b'{"error":"api.unauthorized"}'


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=30), st.text(max_size=80), st.sampled_from(["", "::1", "x"]))
def test_any_text_is_refused_by_a_code(ring: KeyRing, key: str, expires: str, signature: str, address: str) -> None:
    for api_key, when in [(key, expires), ("full-key", EXPIRES)]:
        status, code = refusal(ring, api_key=api_key, expires=when, signature=signature, address=address)
        assert (status, code) in {(401, "api.unauthorized"), (401, "api.invalidSession")}
