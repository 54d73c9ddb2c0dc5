"""JSON Schemas of the wire's types, in the words that OpenAPI 3.1 and AsyncAPI 3.0 share."""

from collections.abc import Iterable
from typing import Any

import msgspec

__all__ = ["Json", "schemas_of"]

Json = dict[str, Any]


def schemas_of(types: Iterable[Any]) -> tuple[dict[int, Json], Json]:
    """Schemas by the ``id`` of their type, and the components that they refer to."""
    kinds = list({id(kind): kind for kind in types}.values())
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return {id(kind): _plain(schema) for kind, schema in zip(kinds, schemas, strict=True)}, _plain(components)


def _plain(schema: Any) -> Any:
    """Tuples as arrays of a fixed length: ``prefixItems`` is not in draft 7, and few readers of 2020-12 know it."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain(part) for name, part in schema.items() if name != "prefixItems"}
    if "prefixItems" in schema:
        kinds: list[Json] = []
        for part in schema["prefixItems"]:
            if part not in kinds:
                kinds.append(part)
        plain["items"] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return plain
