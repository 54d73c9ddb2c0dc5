import re
from html.parser import HTMLParser

import pytest
from tests.rest.support import Client

from tickwire.rest.stream_page import stream_page
from tickwire.rest.stream_topics import TOPICS
from tickwire.wire.closes import CLOSES

PAGES = ["/", "/docs", "/docs/stream"]


class Page(HTMLParser):
    """The addresses, anchors and open elements of a page."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.anchors: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("href", "src") and value is not None:
                self.addresses.append(value)
            if name == "id" and value is not None:
                self.anchors.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_whole_and_all_it_links_to_is_here(anonymous: Client, path: str) -> None:
    reply = await anonymous.send("GET", path)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in reply.headers["content-security-policy"]
    page = Page(reply.text)
    assert page.open == []
    assert len(page.anchors) == len(set(page.anchors))
    assert page.addresses
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.anchors
            continue
        # Nothing comes from elsewhere.
        assert address.startswith("/")
        assert (await anonymous.send("GET", address)).status_code == 200, address


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/docs/openapi.json", "application/json"),
        ("/docs/asyncapi.json", "application/json"),
        ("/docs/pages.css", "text/css; charset=utf-8"),
        ("/docs/reference.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_what_a_page_needs(anonymous: Client, path: str, content_type: str) -> None:
    reply = await anonymous.send("GET", path)
    assert (reply.status_code, reply.headers["content-type"]) == (200, content_type)
    head = await anonymous.send("HEAD", path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(reply.content)))


async def test_swagger_ui_is_new_enough_for_our_document(anonymous: Client) -> None:
    bundle = (await anonymous.send("GET", "/docs/swagger-ui-bundle.js")).text
    assert "isOpenAPI31" in bundle or "isOAS31" in bundle


async def test_other_methods_and_paths(anonymous: Client) -> None:
    reply = await anonymous.send("POST", "/docs")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")
    for path in ("/nope", "/docs/", "/docs/../pyproject.toml", "/docs/reference.html", "/api/v10", "/_tickwire"):
        assert (await anonymous.send("GET", path)).status_code == 404


async def test_the_stream_page_tells_all(anonymous: Client) -> None:
    text = Page((await anonymous.send("GET", "/docs/stream")).text).text
    for topic in TOPICS:
        assert topic.name in text
    for close in CLOSES.values():
        assert close.reason in text
        assert close.advice in text
    for word in ("bidPrice", "prevSeq", "liquidationPrice", "InvalidTopic", "api.invalidSession", "subscribe", "pong"):
        assert word in text


def test_the_stream_page_escapes_what_it_is_given() -> None:
    document = {
        "info": {"title": "<b>", "version": "1", "description": "a `<c>` & d"},
        "operations": {},
        "components": {"messages": {}, "schemas": {}},
        "x-handshake-errors": [],
        "x-reply-errors": [],
        "x-close-codes": [{"code": 1, "reason": "<i>", "reconnect": True, "advice": "x"}],
    }
    page = stream_page(document)
    assert not re.search("<(b|c|i)>", page)
    assert "<h1>&lt;b&gt;</h1>" in page
    assert "<code>&lt;c&gt;</code> &amp; d" in page
