"""The OpenAPI 3.1 document, made from the table of endpoints and the wire's types."""

from collections.abc import Sequence

import msgspec

from tickwire import __version__
from tickwire.rest.control import TOKEN_HEADER
from tickwire.rest.endpoint import Endpoint
from tickwire.rest.schemas import Json, schemas_of
from tickwire.wire.errors import BARE_CODES, ERRORS, ApiError
from tickwire.wire.requests import NoQuery

__all__ = ["openapi_document"]

_DESCRIPTION = """\
A derivatives exchange's API as served by tickwire. The stream is described in [its own document](/docs/stream).

**Signing.** `api-signature` is the lower-case hex HMAC-SHA256 of `METHOD` + raw request target (path and query exactly
as sent) + `api-expires` + body, without separators; the HMAC key is the secret's text. `api-expires` is in Unix
seconds, not past and at most 24 hours ahead.

**Types.** A decimal is a JSON string (`"74937.1"`), never a number and never with an exponent. A timestamp is a JSON
string of 19 digits: nanoseconds since the epoch.

**Errors.** The body holds the code in `error`, and most often a sentence in `message`; the header `x-prex-error-type`
holds the code too. Parameters and fields that are not listed here are ignored.
"""
_TAGS = {
    "public": "No key needed.",
    "market": "Contracts, prices, candles and books.",
    "account": "The key's own account.",
    "trade": "Orders, leverage and margin.",
    "history": "Past orders and executions.",
    "control": "What no exchange offers: the sandbox's own control plane.",
}
_SIGNED: Json = {"apiKey": [], "apiExpires": [], "apiSignature": []}
_SIGNED_CODES = ("api.unauthorized", "api.invalidSession", "Forbidden")
_PATH_PARAMETER: Json = {
    "name": "key",
    "in": "path",
    "required": True,
    "description": "The key's text.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,128}$"},
    "example": "demo-key-1",
}


def openapi_document(table: Sequence[Endpoint]) -> Json:
    """The document; what it holds encodes to JSON."""
    schema_of, components = schemas_of(kind for endpoint in table for kind in (endpoint.request, endpoint.reply))
    paths: Json = {}
    for endpoint in table:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schema_of, components)
    for endpoint in table:
        if not endpoint.takes_body:  # written out as parameters
            components.pop(endpoint.request.__name__, None)
    components["Error"] = _ERROR_SCHEMA
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tickwire",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY_SCHEMES, "headers": _HEADERS},
    }


def _operation(endpoint: Endpoint, schema_of: dict[int, Json], components: Json) -> Json:
    name = endpoint.path.removeprefix("/api/v1/").removeprefix("/_tickwire/").replace("/", "-").replace("{key}", "key")
    operation: Json = {
        "operationId": f"{endpoint.method.lower()}-{name}",
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.scope == "control":
        operation["security"] = [{"controlToken": []}]
    elif endpoint.scope is not None:
        operation["security"] = [_SIGNED]
        operation["description"] = f"{endpoint.description} Needs a key with the scope `{endpoint.scope}`.".lstrip()
    else:
        operation["security"] = []
    if "{key}" in endpoint.path:
        operation["parameters"] = [_PATH_PARAMETER]
    if endpoint.takes_body:
        content: Json = {"schema": schema_of[id(endpoint.request)]}
        if endpoint.example is not None:
            content["example"] = _without_nulls(endpoint.example)
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    elif endpoint.request is not NoQuery:
        operation["parameters"] = _parameters(components[endpoint.request.__name__])
    operation["responses"] = _responses(endpoint, schema_of[id(endpoint.reply)])
    return operation


def _parameters(schema: Json) -> list[Json]:
    """The fields of a query's schema as query parameters."""
    required = schema.get("required", [])
    parameters = []
    for name, field in schema["properties"].items():
        field = dict(field)
        # A query cannot hold null: an optional parameter is one that is not sent.
        kinds = [kind for kind in field.pop("anyOf", []) if kind != {"type": "null"}]
        for kind in kinds:
            field = {**kind, **field}
        if "enum" in field:
            field["enum"] = [value for value in field["enum"] if value is not None]
        if field.get("default", ...) is None:
            del field["default"]
        parameter: Json = {"name": name, "in": "query", "required": name in required}
        description = field.pop("description", None)
        if description:
            parameter["description"] = description
        parameter["schema"] = field
        parameters.append(parameter)
    return parameters


def _responses(endpoint: Endpoint, reply: Json) -> Json:
    limited = endpoint.tag != "control"
    codes: list[str] = []
    if endpoint.takes_body or endpoint.request is not NoQuery:
        codes.append("InvalidParameter")
    codes.extend(endpoint.errors)
    if endpoint.scope == "control":
        codes.append("Forbidden")
    elif endpoint.scope is not None:
        codes.extend(_SIGNED_CODES)
        codes.append("Unavailable")
    if limited:
        codes.append("TooManyRequests")
    codes.append("InternalError")
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS if name.startswith("x-ratelimit")}
    if not limited:
        headers = {}
    responses: Json = {
        "200": {
            "description": endpoint.summary,
            "headers": headers,
            "content": {"application/json": {"schema": reply, "example": endpoint.reply_example}},
        }
    }
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(ERRORS[code].status, []).append(code)
    for status, names in sorted(by_status.items()):
        extra = {"x-prex-error-type": {"$ref": "#/components/headers/x-prex-error-type"}}
        if status == 429:
            extra["retry-after"] = {"$ref": "#/components/headers/retry-after"}
        responses[str(status)] = {
            "description": "; ".join(dict.fromkeys(ERRORS[name].reason for name in names)),
            "headers": {**headers, **extra},
            "content": {
                "application/json": {
                    "schema": {
                        "allOf": [
                            {"$ref": "#/components/schemas/Error"},
                            {"properties": {"error": {"enum": list(dict.fromkeys(names))}}},
                        ]
                    },
                    "examples": {name: _error_example(name) for name in names},
                }
            },
        }
    return responses


def _error_example(code: str) -> Json:
    return {"summary": ERRORS[code].advice, "value": msgspec.json.decode(ApiError(code).body())}


def _without_nulls(request: object) -> Json:
    """An example body with the optional fields that are not set left out."""
    fields: Json = msgspec.to_builtins(request)
    return {name: value for name, value in fields.items() if value is not None}


_ERROR_SCHEMA: Json = {
    "title": "Error",
    "description": "A refusal; nothing was changed.",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "A code of the catalogue."},
        "message": {
            "type": "string",
            "description": f"What was expected and what was there. Not sent with {', '.join(sorted(BARE_CODES))}.",
        },
    },
}
_SECURITY_SCHEMES: Json = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "api-key", "description": "The key."},
    "apiExpires": {
        "type": "apiKey",
        "in": "header",
        "name": "api-expires",
        "description": "Unix seconds until which the signature holds.",
    },
    "apiSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "api-signature",
        "description": "Lower-case hex HMAC-SHA256 of METHOD + raw target + api-expires + body.",
    },
    "controlToken": {
        "type": "apiKey",
        "in": "header",
        "name": TOKEN_HEADER,
        "description": "The token that the server writes into its data directory.",
    },
}
_HEADERS: Json = {
    "x-ratelimit-limit": {"description": "Requests a second.", "schema": {"type": "integer", "minimum": 1}},
    "x-ratelimit-remaining": {
        "description": "Requests that may follow at once.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "x-ratelimit-reset": {
        "description": "When all of them may follow at once again, in epoch seconds.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "x-prex-error-type": {"description": "The code in `error`.", "schema": {"type": "string"}},
    "retry-after": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
}
