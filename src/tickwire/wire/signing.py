"""Request signatures: HMAC-SHA256 over method, raw target, expiry and body, without separators.

The key is the secret's text in UTF-8, not its hex-decoded bytes. The stream's handshake is signed over
``GET/api/v1/stream`` and the expiry, whatever query it carries.
"""

import hashlib
import hmac

__all__ = ["API_PREFIX", "STREAM_PATH", "sign", "signature_matches"]

API_PREFIX = "/api/v1"
STREAM_PATH = "/api/v1/stream"


def sign(secret: str, method: str, target: str, expires: str, body: bytes = b"") -> str:
    """The lower-case hex signature of one request.

    ``target`` is the path with its query exactly as sent; ``expires`` the value of ``api-expires`` (Unix seconds).

    >>> sign("secret", "GET", "/api/v1/account", "1700000000")
    '325b3b678130137bd18545487eb8152a9626d00e569b30b7f6ced15d34eaa534'
    """
    message = (method + target + expires).encode("utf-8", "surrogateescape") + body
    return hmac.digest(secret.encode(), message, hashlib.sha256).hex()


def signature_matches(secret: str, method: str, target: str, expires: str, body: bytes, signature: str) -> bool:
    """Whether ``signature`` is the request's signature, compared in constant time."""
    expected = sign(secret, method, target, expires, body)
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape"))
