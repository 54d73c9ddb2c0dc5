"""What is outside ``/api/v1``: the start page and the documents of both APIs, each made when first asked for."""

import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources
from pathlib import Path

import msgspec

from tickwire.rest.asyncapi import asyncapi_document
from tickwire.rest.endpoint import Endpoint, encode
from tickwire.rest.messages import HTML, JSON
from tickwire.rest.openapi import openapi_document
from tickwire.rest.stream_page import stream_page

__all__ = ["Page", "Pages"]

Header = tuple[bytes, bytes]

# Nothing is loaded from elsewhere: the pages work offline, and show that they do. Swagger UI sets styles from scripts
# and draws its icons from data URLs.
_POLICY = (
    b"content-security-policy",
    b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
)
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_CACHED = (b"cache-control", b"max-age=86400")
_CSS = (b"content-type", b"text/css; charset=utf-8")
_JAVASCRIPT = (b"content-type", b"text/javascript; charset=utf-8")
_PNG = (b"content-type", b"image/png")

_SWAGGER_FILES: dict[str, Header] = {
    "swagger-ui.css": _CSS,
    "swagger-ui-bundle.js": _JAVASCRIPT,
    "favicon-32x32.png": _PNG,
}
_OWN_FILES: dict[str, Header] = {
    "start.html": HTML,
    "reference.html": HTML,
    "reference.js": _JAVASCRIPT,
    "pages.css": _CSS,
}


class Page(msgspec.Struct, frozen=True):
    """One page as sent."""

    headers: tuple[Header, ...]
    body: bytes


class Pages:
    """All pages by their path."""

    def __init__(self, table: Sequence[Endpoint]) -> None:
        self._made: dict[bytes, Page] = {}
        self._makers: dict[bytes, Callable[[], Page]] = {
            b"/": lambda: _own("start.html"),
            b"/docs": lambda: _own("reference.html"),
            b"/docs/reference.js": lambda: _own("reference.js"),
            b"/docs/pages.css": lambda: _own("pages.css"),
            b"/docs/openapi.json": lambda: _document(openapi_document(table)),
            b"/docs/asyncapi.json": lambda: _document(asyncapi_document()),
            b"/docs/stream": lambda: Page((HTML, _POLICY, _NO_SNIFFING), stream_page(asyncapi_document()).encode()),
        }
        for name in _SWAGGER_FILES:
            self._makers[b"/docs/" + name.encode()] = partial(_swagger, name)

    def find(self, path: bytes) -> Page | None:
        """The page at ``path``, without its query."""
        page = self._made.get(path)
        if page is None:
            maker = self._makers.get(path)
            if maker is None:
                return None
            page = self._made[path] = maker()
        return page


def _document(document: object) -> Page:
    return Page((JSON,), msgspec.json.format(encode(document), indent=2))


def _own(name: str) -> Page:
    body = (resources.files(__package__) / "static" / name).read_bytes()
    return Page((_OWN_FILES[name], _POLICY, _NO_SNIFFING), body)


def _swagger(name: str) -> Page:
    # Found without being imported: the package's own code brings a template engine along.
    spec = importlib.util.find_spec("swagger_ui")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    body = Path(spec.submodule_search_locations[0], "static", name).read_bytes()
    return Page((_SWAGGER_FILES[name], _CACHED, _NO_SNIFFING), body)
