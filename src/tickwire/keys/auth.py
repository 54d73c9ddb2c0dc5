"""The one check of a signed request that REST and the stream's handshake share (contract, section 2)."""

from tickwire.keys.keyring import ApiKey, KeyRing
from tickwire.wire.errors import ApiError
from tickwire.wire.signing import signature_matches

__all__ = ["MAX_AHEAD_SECONDS", "authenticate"]

# A signature can't be taken back before it expires: a day bounds what a leaked one is worth, and still lets a client
# whose clock is set to the wrong time zone in.
MAX_AHEAD_SECONDS = 24 * 3600

# Seconds since the epoch have ten digits until 2286; the bound keeps int() away from texts of any length.
_MAX_EXPIRES_LENGTH = 20


def authenticate(
    ring: KeyRing,
    *,
    method: str,
    target: str,
    body: bytes,
    api_key: str | None,
    expires: str | None,
    signature: str | None,
    scope: str,
    address: str,
    now_seconds: float,
) -> ApiKey:
    """The key that signed a request, when it may do what it asks for.

    ``target`` is the raw request target with its query (``wire.signing.STREAM_PATH`` for the handshake); the three
    header values are ``None`` when missing; ``scope`` is what the endpoint demands (``read`` or ``trade``);
    ``address`` the peer's; ``now_seconds`` Unix time. Raises ``ApiError``, in this order: ``api.unauthorized`` for a
    missing header and a malformed, past or far future expiry, ``api.invalidSession`` for an unknown or revoked key,
    ``api.unauthorized`` for a wrong signature, ``Forbidden`` for an address or a scope that the key does not have.
    """
    if not api_key or not expires or not signature:
        raise ApiError("api.unauthorized", "expected the headers api-key, api-expires and api-signature")
    if len(expires) > _MAX_EXPIRES_LENGTH or not (expires.isascii() and expires.isdigit()):
        raise ApiError("api.unauthorized", f"api-expires: expected Unix seconds in digits, got {expires[:40]!r}")
    ahead = int(expires) - now_seconds
    if ahead < 0:
        raise ApiError("api.unauthorized", f"api-expires: expected a time to come, got {expires}")
    if ahead > MAX_AHEAD_SECONDS:
        raise ApiError(
            "api.unauthorized", f"api-expires: expected at most {MAX_AHEAD_SECONDS} seconds ahead, got {expires}"
        )
    key = ring.find(api_key)
    if key is None:
        raise ApiError("api.invalidSession")
    if not signature.isascii() or not signature_matches(key.secret, method, target, expires, body, signature):
        raise ApiError("api.unauthorized", "api-signature: does not match method, target, expiry and body")
    if not key.allows(address):
        raise ApiError("Forbidden", f"the key may not be used from {address}")
    if scope not in key.scopes:
        raise ApiError("Forbidden", f"the key lacks the scope {scope}")
    return key
