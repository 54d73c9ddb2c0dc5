"""What the HTTP side counts, and to whom the metrics open."""

from collections.abc import Mapping

import pytest
from tests.rest.support import TOKEN, Client

from tickwire.rest.metrics import RequestCounters, may_read_metrics

FAR = "192.0.2.7"


@pytest.mark.parametrize(
    ("address", "headers", "query", "open_"),
    [
        ("127.0.0.1", {b"host": b"127.0.0.1:8080"}, b"", True),
        ("127.0.0.1", {b"host": b"localhost:8080"}, b"", True),
        ("::1", {b"host": b"[::1]:8080"}, b"", True),
        ("::ffff:127.0.0.1", {}, b"", True),
        ("", {b"host": b"localhost"}, b"", True),
        # Through a proxy on this machine, or from a page whose name leads here.
        ("127.0.0.1", {b"host": b"127.0.0.1", b"x-forwarded-for": b"192.0.2.7"}, b"", False),
        ("127.0.0.1", {b"host": b"127.0.0.1", b"forwarded": b"for=192.0.2.7"}, b"", False),
        ("127.0.0.1", {b"host": b"evil.example:8080"}, b"", False),
        # From elsewhere.
        (FAR, {b"host": b"127.0.0.1"}, b"", False),
        ("not an address", {}, b"", False),
        (FAR, {b"authorization": b"Bearer good"}, b"", True),
        (FAR, {b"authorization": b"Bearer other"}, b"", True),
        (FAR, {b"x-tickwire-token": b"good"}, b"", True),
        (FAR, {}, b"token=good", True),
        (FAR, {b"authorization": b"Bearer bad"}, b"token=bad", False),
        (FAR, {b"authorization": b"Bearer "}, b"token=", False),
    ],
)
def test_who_may_read(address: str, headers: Mapping[bytes, bytes], query: bytes, open_: bool) -> None:
    assert may_read_metrics(address, headers, query, [b"good", b"other"]) is open_


def test_labels_are_never_what_a_stranger_makes_up() -> None:
    counters = RequestCounters()
    counters.answered("GET", "/api/v1/account", 200, 0.002)
    counters.answered("BREW", "other", 405, 0.001)
    assert counters.requests == {("GET", "/api/v1/account", "200"): 1, ("other", "other", "405"): 1}
    assert {labels: histogram.count for labels, histogram in counters.seconds.items()} == {
        ("/api/v1/account",): 1,
        ("other",): 1,
    }


async def test_the_page_over_http(anonymous: Client) -> None:
    reply = await anonymous.send("GET", "/_tickwire/metrics", headers={"x-tickwire-token": TOKEN})
    assert (reply.status_code, reply.text) == (200, "one 1\n")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    head = await anonymous.send("HEAD", "/_tickwire/metrics", headers={"x-tickwire-token": TOKEN})
    assert (head.status_code, head.text, head.headers["content-length"]) == (200, "", "6")
    post = await anonymous.send("POST", "/_tickwire/metrics", headers={"x-tickwire-token": TOKEN})
    assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD")
    refused = await anonymous.send("GET", "/_tickwire/metrics", headers={"host": "evil.example"})
    assert (refused.status_code, refused.json()) == (403, {"error": "Forbidden"})
