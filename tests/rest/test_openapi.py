from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.rest.support import api_document

from tickwire.rest.application import endpoints
from tickwire.rest.trade import OpenOrders
from tickwire.wire.errors import ERRORS


@pytest.mark.parametrize("open_orders", ["bare", "wrapped"])
def test_the_document_is_valid(open_orders: OpenOrders) -> None:
    document = api_document(open_orders)
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_endpoint_is_in_it_with_its_scope() -> None:
    paths = api_document()["paths"]
    for endpoint in endpoints():
        operation = paths[endpoint.path][endpoint.method.lower()]
        if endpoint.scope is None:
            assert operation["security"] == []
            assert "401" not in operation["responses"]
        else:
            assert operation["security"] == [{"apiKey": [], "apiExpires": [], "apiSignature": []}]
            assert f"scope `{endpoint.scope}`" in operation["description"]
            assert {"401", "403", "429", "500", "503"} <= operation["responses"].keys()
        assert ("requestBody" in operation) == (endpoint.method != "GET")


def test_every_schema_is_used_and_every_reference_leads_somewhere() -> None:
    document = api_document()
    references: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                references.add(part["$ref"])
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            for inner in part:
                walk(inner)

    walk(document)
    names = {reference.removeprefix("#/components/schemas/") for reference in references if "/schemas/" in reference}
    assert names == document["components"]["schemas"].keys()


def examples_of(document: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """(where, schema, example) of every body in the document."""
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            bodies = [(f"{where} {status}", response) for status, response in operation["responses"].items()]
            if "requestBody" in operation:
                bodies.append((f"{where} request", operation["requestBody"]))
            for name, body in bodies:
                content = body["content"]["application/json"]
                shown = [content["example"]] if "example" in content else []
                shown += [example["value"] for example in content.get("examples", {}).values()]
                assert shown, f"{name}: no example"
                found += [(name, content["schema"], example) for example in shown]
    return found


@pytest.mark.parametrize("open_orders", ["bare", "wrapped"])
def test_every_example_is_what_its_schema_says(open_orders: OpenOrders) -> None:
    document = api_document(open_orders)
    for where, schema, example in examples_of(document):
        errors = list(Draft202012Validator({**schema, "components": document["components"]}).iter_errors(example))
        assert not errors, f"{where}: {errors[0].message}"


def test_errors_are_those_of_the_catalogue() -> None:
    for operations in api_document()["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status == "200":
                    continue
                codes = response["content"]["application/json"]["examples"]
                assert {ERRORS[code].status for code in codes} == {int(status)}


def test_queries_are_parameters_without_null() -> None:
    operation = api_document()["paths"]["/api/v1/trade/execution/history"]["get"]
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert parameters["count"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 64}
    assert parameters["productType"]["schema"]["enum"] == ["PERPETUAL", "SPOT"]
    assert parameters["startTime"]["schema"]["pattern"] == "^[0-9]{19}$"
    assert parameters["orderId"]["schema"]["format"] == "uuid"
    assert not any(parameter["required"] for parameter in parameters.values())
    assert b"null" not in msgspec.json.encode(operation["parameters"])
