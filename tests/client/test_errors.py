"""The refusals by status, and what they carry."""

import pickle

import pytest

from tickwire.client.errors import ApiError, Forbidden, RateLimited, ServerFailed, Unauthorized, refusal


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, ApiError), (401, Unauthorized), (403, Forbidden), (405, ApiError), (429, RateLimited), (502, ServerFailed)],
)
def test_each_status_has_its_class(status: int, kind: type[ApiError]) -> None:
    assert type(refusal(status, "x")) is kind


def test_the_field_is_the_one_that_the_message_names() -> None:
    error = refusal(400, "InvalidParameter", "price: expected more than zero, got 0")
    assert error.field == "price"
    assert str(error) == "InvalidParameter: price: expected more than zero, got 0"
    assert refusal(400, "MinNotional", "expected a value of at least 1, got 0.5").field is None


def test_a_known_code_explains_itself() -> None:
    error = refusal(401, "api.unauthorized")
    assert error.message == "signature headers are missing, expired or wrong"
    assert "clock" in error.advice


def test_an_unknown_code_is_kept() -> None:
    error = refusal(418, "Teapot")
    assert (error.code, error.message, error.advice) == ("Teapot", "status 418", "")


def test_it_survives_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(refusal(429, "TooManyRequests", "slow: down", 3.0)))
    assert (type(error), error.code, error.field, error.retry_after) == (RateLimited, "TooManyRequests", "slow", 3.0)
