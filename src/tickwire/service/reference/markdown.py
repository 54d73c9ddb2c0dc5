"""Markdown from values, and types as words."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

__all__ = [
    "Json",
    "anchor",
    "code",
    "field_table",
    "pretty",
    "schemas_of",
    "table",
    "ticked",
    "toml",
    "type_text",
]

Json = dict[str, Any]


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *body]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def code(text: str, language: str) -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```\n"


def ticked(names: Iterable[str]) -> str:
    """Names as code, with commas."""
    return ", ".join(f"`{name}`" for name in names)


def pretty(value: object) -> str:
    """Indented JSON, with what fits on a line left there."""
    return _folded(msgspec.json.decode(msgspec.json.encode(value)), "")


def _folded(value: Any, indent: str) -> str:
    flat = msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
    if len(indent) + len(flat) <= 100 or not isinstance(value, dict | list) or not value:
        return flat
    inner = indent + "  "
    if isinstance(value, dict):
        parts = [f'{inner}"{name}": {_folded(part, inner)}' for name, part in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + _folded(part, inner) for part in value) + f"\n{indent}]"


def schemas_of(types: Iterable[Any]) -> tuple[list[Json], dict[str, Json]]:
    """The JSON schema of each type, and by name those of the structs that they refer to."""
    schemas, components = msgspec.json.schema_components(types, ref_template="{name}")
    return list(schemas), components


def type_text(schema: Json) -> str:
    """A field's type in words."""
    if "anyOf" in schema:
        return " or ".join(type_text(kind) for kind in schema["anyOf"])
    if "$ref" in schema:
        return f"`{schema['$ref']}`"
    if "enum" in schema:
        return " ".join("null" if value is None else f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("format") == "decimal":
        return "Decimal"
    if schema.get("pattern") == "^[0-9]{19}$":
        return "Timestamp"
    if schema.get("format") == "uuid":
        return "uuid"
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return "[" + ", ".join(type_text(item) for item in schema["prefixItems"]) + "]"
        return f"array of {type_text(schema['items'])}"
    words = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "up to"))
    bounds = [f"{word} {schema[name]}" for name, word in words if name in schema]
    return " ".join([schema["type"], *bounds])


def field_table(schema: Json) -> str:
    """The fields of an object schema as a table."""
    fields = schema.get("properties", {})
    body = [[f"`{name}`", type_text(field), field.get("description", "")] for name, field in fields.items()]
    return table(["field", "type", "meaning"], body)


def anchor(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")


def toml(value: object) -> str:
    """A value as it stands in a TOML file."""
    # JSON writes the few kinds there are as TOML does.
    return msgspec.json.encode(value if isinstance(value, bool | int | float) else str(value)).decode()
