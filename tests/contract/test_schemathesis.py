"""The server against its own OpenAPI document: what it takes, what it answers, and that nothing breaks it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from requests import PreparedRequest
from requests.auth import AuthBase
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.contract.support import Account, Server

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


class Signed(AuthBase):
    """Signs what is sent, exactly as it is sent."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        assert request.method is not None
        request.headers.update(self._account.headers(request.method, request.path_url, body))
        request.headers["x-tickwire-token"] = self._account.server.token
        return request


SETTINGS = settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def operations(server: Server) -> Iterator[Any]:
    """What the document that the server itself gives out describes."""
    for result in schemathesis.openapi.from_url(f"{server.url}/docs/openapi.json").get_all_operations():
        yield result.ok()


def try_out(account: Account, operation: Any, mode: GenerationMode) -> Counter[tuple[str, int]]:
    """Send an operation what the document allows, or does not; how often each status came back."""
    answers = Counter[tuple[str, int]]()

    @SETTINGS
    @given(case=operation.as_strategy(generation_mode=mode))
    def keeps_to_it(case: schemathesis.Case) -> None:
        response = case.call(auth=Signed(account))
        answers[operation.label, response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    # Where nothing is asked for, there is nothing to get wrong.
    with suppress(Unsatisfiable):
        keeps_to_it()
    return answers


def test_every_operation_keeps_to_the_document(quiet: Server) -> None:
    answers = Counter[tuple[str, int]]()
    # Not by schemathesis' plugin for pytest, which does not work with pytest 9.2.
    for operation in operations(quiet):
        # An account each: one that has chosen another trade mode gets no order placed.
        account = quiet.account()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            answers += try_out(account, operation, mode)
        account.cancel_all()
    # It has come past the signature everywhere, and into the exchange.
    assert len({label for label, status in answers if status in (200, 400)}) >= 24
    assert not [label for label, status in answers if status in (401, 403)]
    assert answers["POST /api/v1/trade/order", 200] > 0
