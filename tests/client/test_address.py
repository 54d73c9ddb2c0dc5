"""Addresses in all spellings."""

import pytest

from tickwire.client.address import rest_url


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("localhost", "http://localhost"),
        ("ws://127.0.0.1:8080/api/v1/stream", "http://127.0.0.1:8080"),
        ("wss://exchange.example/api/v1/stream/", "https://exchange.example"),
        ("https://exchange.example/api/v1", "https://exchange.example"),
        ("HTTPS://exchange.example", "https://exchange.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_every_spelling_is_one_address(given: str, wanted: str) -> None:
    assert rest_url(given) == wanted


@pytest.mark.parametrize(
    "given",
    [
        "",
        "ftp://127.0.0.1",
        "http://",
        "http://host:99999",
        "http://host:port",
        "http://host/other",
        "http://host?x=1",
        "http://user:word@host",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_refused_with_what_was_there(given: str) -> None:
    with pytest.raises(ValueError, match="expected an address such as"):
        rest_url(given)
