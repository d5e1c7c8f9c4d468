"""The one error shape of each dialect."""

from typing import Any

import httpx

from tests.support.sse import DONE

KEYS = {"message", "type", "param", "code"}
TYPES = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "rate_limit_error",
    "server_error",
}
MESSAGES_TYPES = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "api_error",
    "overloaded_error",
    "timeout_error",
}


def assert_error(response: httpx.Response, status: int, code: str) -> dict[str, str]:
    """The error of a response, after everything that holds for all errors."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    error = assert_error_body(response.json(), code)
    if response.request.url.path.startswith("/v1/messages"):
        assert response.headers["request-id"] == response.json()["request_id"]
    else:
        assert "type" not in response.json()
    if status in {429, 503, 529}:
        assert 0 < int(response.headers["retry-after"]) <= 120
    return error


def assert_error_body(body: dict[str, Any], code: str) -> dict[str, str]:
    """The same for an error that comes as an event of a stream."""
    error: dict[str, str] = body["error"]
    if body.get("type") == "error":
        assert set(body) == {"type", "error", "request_id"}
        assert set(error) == {"type", "message", "code"}
        assert error["type"] in MESSAGES_TYPES
    else:
        assert set(body) == {"error"}
        assert set(error) - {"object"} == KEYS  # an event has that, too
        assert error["type"] in TYPES
    assert error["code"] == code, error
    for leak in ("Traceback", 'File "', "/site-packages", "/home/", "/tmp/", ".py"):  # noqa: S108
        assert leak not in error["message"], error
    return error


def assert_failed_stream(events: list[Any], code: str) -> None:
    """A stream that has begun, and ends with that error and nothing else."""
    *before, last = events
    assert before
    assert DONE not in before
    assert all("error" not in event for event in before)
    if "error" in last:
        assert_error_body(last, code)
    else:  # an event of /v1/responses
        assert (last["type"], last["code"]) == ("error", code)
