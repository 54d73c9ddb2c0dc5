"""The AsyncAPI 3.0 document of the stream, made from the wire's types and catalogues."""

from typing import Any

__all__ = ["asyncapi_document"]


def asyncapi_document() -> dict[str, Any]:
    """The document; what it holds encodes to JSON."""
    return {}
