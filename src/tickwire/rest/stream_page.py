"""The stream's AsyncAPI document as a page for people: everything on it is taken from the document."""

import html
import re
from collections.abc import Sequence

import msgspec

from tickwire.rest.schemas import Json

__all__ = ["stream_page"]

_CODE = re.compile(r"(`+)(.+?)\1")
_TIMESTAMP_PATTERN = "^[0-9]{19}$"
_SECTIONS = {
    "connect": "Connect",
    "operations": "Operations",
    "topics": "Topics",
    "rows": "Rows",
    "errors": "Errors",
    "close-codes": "Close codes",
}


def stream_page(document: Json) -> str:
    """The whole page."""
    messages: Json = document["components"]["messages"]
    operations: Json = document["operations"]
    received = [name for name, operation in operations.items() if operation["action"] == "receive"]
    replies = [name for name in messages if "x-row" not in messages[name] and name not in received]
    topics = [message for message in messages.values() if "x-row" in message]
    links = "".join(f'<li><a href="#{anchor}">{title}</a></li>' for anchor, title in _SECTIONS.items())
    parts = [
        f"<h1>{_text(document['info']['title'])}</h1>",
        f'<p class="quiet">Version {_text(document["info"]["version"])}, as '
        '<a href="/docs/asyncapi.json">AsyncAPI</a>; the <a href="/docs">REST reference</a> is its other half.</p>',
        f"<nav><ul>{links}</ul></nav>",
        _heading("connect"),
        *(f"<p>{_rich(paragraph)}</p>" for paragraph in document["info"]["description"].strip().split("\n\n")),
        _heading("operations"),
        "<p>What a client sends:</p>",
        *(_message(messages[name]) for name in received),
        "<p>What it gets in reply:</p>",
        *(_message(messages[name]) for name in replies),
        _heading("topics"),
        _table(
            ("Topic", "Row", "What"),
            [
                (
                    f'<a href="#topic-{_text(topic["name"])}"><code>{_text(topic["title"])}</code></a>',
                    _type(topic["x-row"]),
                    _rich(topic["summary"]),
                )
                for topic in topics
            ],
        ),
        *(_topic(topic) for topic in topics),
        _heading("rows"),
        *(_row(name, schema) for name, schema in document["components"]["schemas"].items()),
        _heading("errors"),
        "<p>Before the upgrade, as an HTTP status:</p>",
        _errors(document["x-handshake-errors"], with_status=True),
        "<p>On the open socket, in a reply:</p>",
        _errors(document["x-reply-errors"], with_status=False),
        _heading("close-codes"),
        _table(
            ("Code", "Reason", "Reconnect", "What to do"),
            [
                (
                    str(close["code"]),
                    _text(close["reason"]),
                    "yes" if close["reconnect"] else "no",
                    _rich(close["advice"]),
                )
                for close in document["x-close-codes"]
            ],
        ),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<title>tickwire: stream reference</title>\n"
        '<link rel="stylesheet" href="/docs/pages.css">\n</head>\n<body>\n<main>\n'
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _rich(value: str) -> str:
    """A text with `code` in it."""
    return _CODE.sub(r"<code>\2</code>", html.escape(value, quote=False))


def _heading(anchor: str) -> str:
    return f'<h2 id="{anchor}">{_SECTIONS[anchor]}</h2>'


def _table(head: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    titles = "".join(f"<th>{title}</th>" for title in head)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines)
    return f'<div class="table"><table>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _example(message: Json) -> str:
    encoded = msgspec.json.encode(message["examples"][0]["payload"])
    formatted = msgspec.json.format(encoded, indent=2).decode() if len(encoded) > 110 else encoded.decode()
    return f"<pre><code>{html.escape(formatted, quote=False)}</code></pre>"


def _message(message: Json) -> str:
    return f"<h3>{_text(message['title'])}</h3>\n<p>{_rich(message['summary'])}</p>\n{_example(message)}"


def _topic(topic: Json) -> str:
    return (
        f'<h3 id="topic-{_text(topic["name"])}"><code>{_text(topic["title"])}</code></h3>\n'
        f"<p>{_rich(topic['summary'])}. Row: {_type(topic['x-row'])}. {_rich(topic['description'])}</p>\n"
        f"{_example(topic)}"
    )


def _row(name: str, schema: Json) -> str:
    required = schema.get("required", [])
    lines = [
        (
            f"<code>{_text(field)}</code>",
            _type(part),
            ("" if field in required else "May be left out. ") + _rich(part.get("description", "")),
        )
        for field, part in schema["properties"].items()
    ]
    return f'<h3 id="row-{_text(name)}">{_text(name)}</h3>\n<p>{_rich(schema.get("description", ""))}</p>\n' + _table(
        ("Field", "Type", "Meaning"), lines
    )


def _type(schema: Json) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = _text(schema["$ref"].rpartition("/")[2])
        return f'<a href="#row-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return ", ".join("null" if value is None else f"<code>{_text(value)}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        length = f"{schema['maxItems']} " if "maxItems" in schema else ""
        return f"array of {length}{_type(schema['items'])}"
    if schema.get("format") == "decimal":
        return "decimal"
    if schema.get("pattern") == _TIMESTAMP_PATTERN:
        return "timestamp"
    return _text(schema.get("format") or schema.get("type", "anything"))


def _errors(errors: list[Json], *, with_status: bool) -> str:
    head = ("Code", "Status", "Meaning", "What to do") if with_status else ("Code", "Meaning", "What to do")
    lines = [
        (
            f"<code>{_text(error['code'])}</code>",
            *((str(error["status"]),) if with_status else ()),
            _rich(error["reason"]),
            _rich(error["advice"]),
        )
        for error in errors
    ]
    return _table(head, lines)
