import json
import re
from pathlib import Path

import msgspec
import pytest

import tickwire
from tickwire.wire.errors import BARE_CODES, ERRORS, ApiError, explain

SOURCES = Path(tickwire.__file__).parent


def test_every_code_has_a_status_a_reason_and_advice() -> None:
    assert len(ERRORS) > 20
    for code, entry in ERRORS.items():
        assert entry.code == code
        assert 400 <= entry.status < 600
        assert entry.reason[0].islower()
        assert not entry.reason.endswith(".")
        assert entry.advice[0].isupper()
        assert entry.advice.endswith(".")


def test_the_codes_raised_are_those_of_the_catalogue() -> None:
    raised = {
        code
        for path in SOURCES.rglob("*.py")
        for code in re.findall(r'\bApiError\(\s*"([A-Za-z.]+)"', path.read_text("utf-8"))
    }
    assert raised <= set(ERRORS)
    assert len(raised) > 15


def test_a_code_that_is_not_in_the_catalogue_can_not_be_raised() -> None:
    with pytest.raises(KeyError):
        ApiError("NoSuchCode")


def test_bodies() -> None:
    error = ApiError("MinNotional", "expected a value of at least 1, got 0.5")
    assert error.status == 400
    assert json.loads(error.body()) == {"error": "MinNotional", "message": "expected a value of at least 1, got 0.5"}
    assert json.loads(ApiError("MinNotional").body())["message"] == ERRORS["MinNotional"].reason
    for code in BARE_CODES:
        assert (
            ApiError(code, "more than a stranger should know").body()
            == json.dumps({"error": code}).replace(" ", "").encode()
        )
    assert ApiError("api.unauthorized").status == ApiError("api.invalidSession").status == 401
    assert ApiError("Forbidden").status == 403


class Sample(msgspec.Struct):
    name: str
    count: int = 0
    tags: list[str] = []


@pytest.mark.parametrize(
    ("text", "explained"),
    [
        (b'{"name":1}', "name: expected str, got int"),
        (b"{}", "name: expected a value, got nothing"),
        (b'{"name":"x","tags":["a",2]}', "tags[1]: expected str, got int"),
        (b"[]", "body: expected object, got array"),
    ],
)
def test_a_decoders_complaint_names_the_field(text: bytes, explained: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(text, type=Sample)
    assert explain(caught.value, "body") == explained
