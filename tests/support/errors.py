"""The one error shape."""

import httpx

KEYS = {"message", "type", "param", "code"}
TYPES = {
    "invalid_request_error",
    "authentication_error",
    "not_found_error",
    "rate_limit_error",
    "server_error",
}


def assert_error(response: httpx.Response, status: int, code: str) -> dict[str, str]:
    """The error of a response, after everything that holds for all errors."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    error = assert_error_body(response.json(), code)
    if status in {429, 503}:
        assert 0 < int(response.headers["retry-after"]) <= 120
    return error


def assert_error_body(body: dict[str, dict[str, str]], code: str) -> dict[str, str]:
    """The same for an error that comes as an event of a stream."""
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == KEYS
    assert error["type"] in TYPES
    assert error["code"] == code, error
    for leak in ("Traceback", 'File "', "/site-packages", "/home/", "/tmp/", ".py"):  # noqa: S108
        assert leak not in error["message"], error
    return error
