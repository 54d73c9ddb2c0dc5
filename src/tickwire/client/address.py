"""Where a server is, in whichever spelling of its address."""

from urllib.parse import urlsplit

from tickwire.wire.signing import API_PREFIX, STREAM_PATH

__all__ = ["rest_url"]

_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_PATHS = ("", API_PREFIX, STREAM_PATH)


def rest_url(url: str) -> str:
    """``https://host:port`` of any spelling of an address: ``http`` or ``ws``, with the API's path or without.

    >>> rest_url("wss://exchange.example/api/v1/stream")
    'https://exchange.example'

    Without a scheme it is ``http``. Raises ``ValueError`` for anything else.
    """
    expected = f"expected an address such as http://127.0.0.1:8080, got {url!r}"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{expected}: {error}") from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname or port == 0:
        raise ValueError(expected)
    if parts.path.rstrip("/") not in _PATHS or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{expected}: it may hold {API_PREFIX} and nothing else behind the host")
    return f"{scheme}://{parts.netloc}"
