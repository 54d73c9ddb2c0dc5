import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from tickwire.wire.signing import STREAM_PATH, sign, signature_matches

VECTOR = "325b3b678130137bd18545487eb8152a9626d00e569b30b7f6ced15d34eaa534"


def test_the_vector_of_the_contract() -> None:
    assert sign("secret", "GET", "/api/v1/account", "1700000000") == VECTOR
    assert signature_matches("secret", "GET", "/api/v1/account", "1700000000", b"", VECTOR)


def test_the_message_is_joined_without_separators() -> None:
    body = b'{"symbol":"BTCUSDT.PERP"}'
    message = b'DELETE/api/v1/trade/order?a=b%20c1700000000{"symbol":"BTCUSDT.PERP"}'
    expected = hmac.new(b"key", message, hashlib.sha256).hexdigest()
    assert sign("key", "DELETE", "/api/v1/trade/order?a=b%20c", "1700000000", body) == expected


def test_the_secret_is_its_text_and_not_hex() -> None:
    assert (
        sign("00ff", "GET", STREAM_PATH, "1")
        != hmac.new(bytes.fromhex("00ff"), b"GET/api/v1/stream1", hashlib.sha256).hexdigest()
    )


@given(st.sampled_from(range(5)), st.text(min_size=1, max_size=5))
def test_every_part_counts(part: int, more: str) -> None:
    parts = ["secret", "GET", "/api/v1/account", "1700000000", ""]
    parts[part] += more.replace("\0", "0") if part == 0 else more  # HMAC pads a key with zero bytes
    secret, method, target, expires, body = parts
    assert not signature_matches(secret, method, target, expires, body.encode("utf-8", "surrogatepass"), VECTOR)


def test_a_signature_must_be_equal_to_the_letter() -> None:
    for wrong in ("", VECTOR[:-1], VECTOR.upper(), VECTOR + "0", "é" * 64):
        assert not signature_matches("secret", "GET", "/api/v1/account", "1700000000", b"", wrong)


def test_a_target_with_bytes_that_are_no_utf8_can_be_signed() -> None:
    target = b"/api/v1/market/ticker?symbol=\xff".decode("utf-8", "surrogateescape")
    expected = hmac.new(b"s", b"GET/api/v1/market/ticker?symbol=\xff1", hashlib.sha256).hexdigest()
    assert sign("s", "GET", target, "1") == expected
