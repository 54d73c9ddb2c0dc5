"""The page of the REST endpoints, from their table and from the OpenAPI document that the server shows."""

import msgspec

from tickwire.rest.application import endpoints
from tickwire.rest.control import TOKEN_HEADER, control_endpoints
from tickwire.rest.endpoint import Endpoint
from tickwire.rest.openapi import openapi_document
from tickwire.service.reference.markdown import (
    Json,
    anchor,
    code,
    field_table,
    pretty,
    schemas_of,
    table,
    ticked,
    type_text,
)

__all__ = ["rest_page"]


def rest_page() -> str:
    """Every endpoint."""
    table_of = (*endpoints(), *control_endpoints(dict))
    document = openapi_document(table_of)
    # Not the document's schemas: those are in the words of OpenAPI, where a tuple is an array of some length.
    replies, components = schemas_of([endpoint.reply for endpoint in table_of])
    bodies = schemas_of([endpoint.request for endpoint in table_of])[1]
    limits = ticked(name for name in document["components"]["headers"] if name.startswith("x-ratelimit"))
    head = [
        [f"[`{e.method} {e.path}`](#{anchor(f'{e.method} {e.path}')})", e.scope or "none", e.summary] for e in table_of
    ]
    text = (
        "# REST\n\nA running server shows the same at `/docs`, where requests can be tried, and gives it to programs at"
        " `/docs/openapi.json`. How to sign a request: [Connect a bot](../how-to/connect-a-bot.md).\n\nA key has the"
        " scope"
        " `read`, `trade` or both. Fields and parameters that are not listed are ignored. Every reply under"
        " `/api/v1` has the"
        f" headers {limits} (not with `--no-limits`). A code under Errors is explained in [Errors](errors.md).\n\n"
        + table(["method and path", "scope", "what"], head)
        + "\n`/_tickwire/` is tickwire's own: no exchange has it. Its calls take no signature; where the scope is"
        " `control`"
        f" they need the header `{TOKEN_HEADER}` with the `control_token` of `server.json` in the data directory.\n"
    )
    for endpoint, reply in zip(table_of, replies, strict=True):
        operation: Json = document["paths"][endpoint.path][endpoint.method.lower()]
        text += (
            f"\n## `{endpoint.method} {endpoint.path}`\n\n{endpoint.summary}. {_scope_text(endpoint)}\n"
            + (f"\n{endpoint.description}\n" if endpoint.description else "")
            + _request_text(endpoint, operation, bodies)
            + f"\nReply: {type_text(reply)}\n\n"
            + code(pretty(endpoint.reply_example), "json")
            + f"\nErrors: {ticked(_codes(operation))}.\n"
        )
    text += "\n# Rows\n"
    for name in sorted(components.keys() - {"Empty"}):
        text += f"\n## `{name}`\n\n{components[name].get('description', '')}\n\n" + field_table(components[name])
    return text


def _scope_text(endpoint: Endpoint) -> str:
    if endpoint.scope is None:
        return "Needs no key."
    if endpoint.scope == "control":
        return "Needs the control token."
    return f"Needs a key with the scope `{endpoint.scope}`."


def _request_text(endpoint: Endpoint, operation: Json, bodies: dict[str, Json]) -> str:
    text = ""
    if "parameters" in operation:
        body = [
            [
                f"`{parameter['name']}`",
                parameter["in"],
                type_text(parameter["schema"]),
                "yes" if parameter["required"] else "no",
                _default(parameter["schema"]),
                parameter.get("description", ""),
            ]
            for parameter in operation["parameters"]
        ]
        text += "\n" + table(["parameter", "in", "type", "required", "default", "meaning"], body)
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        schema = bodies[endpoint.request.__name__]
        required = schema.get("required", [])
        body = [
            [
                f"`{name}`",
                type_text(field),
                "yes" if name in required else "no",
                _default(field),
                field.get("description", ""),
            ]
            for name, field in schema["properties"].items()
        ]
        text += "\nBody:\n\n" + table(["field", "type", "required", "default", "meaning"], body)
        if "example" in content:
            text += "\n" + code(pretty(content["example"]), "json")
    return text


def _default(schema: Json) -> str:
    value = schema.get("default")
    return "" if value is None or value == [] else f"`{msgspec.json.encode(value).decode()}`"


def _codes(operation: Json) -> list[str]:
    found: list[str] = []
    for status, response in operation["responses"].items():
        if status != "200":
            found += response["content"]["application/json"]["examples"]
    return found
