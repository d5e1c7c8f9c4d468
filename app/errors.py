"""One table turns errors into HTTP, and one function writes them in OpenAI's shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from engine.errors import (
    ContextLengthError,
    EngineDeadError,
    EngineDrainingError,
    EngineError,
    EngineNotReadyError,
    EngineStalledError,
    GenerationFailedError,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    TaskNotSupportedError,
)


class UnsupportedMediaTypeError(InvalidRequestError):
    """The body is not declared as JSON."""


class RouteNotFoundError(EngineError):
    """There is no such route."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What an error becomes; `code` is what agents decide on."""

    status: HTTPStatus
    type: str
    code: str
    retry_after_s: int | None = None
    closes: bool = False


_INVALID = "invalid_request_error"
_SERVER = "server_error"

RULES: dict[type[EngineError], Rule] = {
    InvalidRequestError: Rule(HTTPStatus.BAD_REQUEST, _INVALID, "invalid_request"),
    ContextLengthError: Rule(HTTPStatus.BAD_REQUEST, _INVALID, "context_length_exceeded"),
    UnsupportedMediaTypeError: Rule(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _INVALID, "unsupported_media_type"
    ),
    ModelNotFoundError: Rule(HTTPStatus.NOT_FOUND, "not_found_error", "model_not_found"),
    RouteNotFoundError: Rule(HTTPStatus.NOT_FOUND, "not_found_error", "route_not_found"),
    TaskNotSupportedError: Rule(HTTPStatus.NOT_FOUND, "not_found_error", "task_not_supported"),
    OverloadedError: Rule(HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "overloaded", 1),
    EngineNotReadyError: Rule(HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "engine_not_ready", 5),
    EngineStalledError: Rule(HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "engine_stalled", 10),
    EngineDrainingError: Rule(
        HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "engine_draining", 1, closes=True
    ),
    EngineDeadError: Rule(HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "engine_dead", 30, closes=True),
    GenerationFailedError: Rule(HTTPStatus.INTERNAL_SERVER_ERROR, _SERVER, "generation_failed"),
    EngineError: Rule(HTTPStatus.INTERNAL_SERVER_ERROR, _SERVER, "server_error"),
}


def rule_for(error: EngineError) -> Rule:
    """The rule of the error's class, or of the nearest class above it."""
    return next(RULES[kind] for kind in type(error).__mro__ if kind in RULES)


def render(message: str, type_: str, code: str, param: str | None = None) -> bytes:
    """The body of an error, as OpenAI's clients read it."""
    return orjson.dumps(
        {"error": {"message": message, "type": type_, "param": param, "code": code}}
    )


def render_error(error: EngineError) -> bytes:
    """The body for an engine error; also the data of the last event of a stream that failed."""
    rule = rule_for(error)
    return render(str(error), rule.type, rule.code, getattr(error, "param", None))


def response_to(error: EngineError) -> Response:
    """The whole answer for an engine error."""
    rule = rule_for(error)
    headers: dict[str, str] = {}
    if rule.retry_after_s is not None:
        headers["retry-after"] = str(rule.retry_after_s)
    if rule.closes:
        headers["connection"] = "close"
    return _response(render_error(error), rule.status, headers)


async def on_engine_error(_: Request, error: Exception) -> Response:
    """Starlette's handler for `EngineError`."""
    assert isinstance(error, EngineError)  # registered for this class alone
    return response_to(error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for its own 404 and 405."""
    assert isinstance(error, HTTPException)  # registered for this class alone
    if error.status_code == HTTPStatus.NOT_FOUND:
        path = request.scope["path"]
        return response_to(RouteNotFoundError(f"There is no route {request.method} {path}."))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        path = request.scope["path"]
        message = f"{path} does not answer {request.method}."
        body = render(message, _INVALID, "method_not_allowed")
        return _response(body, error.status_code, error.headers or {})
    return _response(render(error.detail, _INVALID, "http_error"), error.status_code, {})


def bug_response() -> Response:
    """The whole answer when the server itself is at fault."""
    body = render("The server made a mistake; its log has the details.", _SERVER, "server_error")
    return _response(body, HTTPStatus.INTERNAL_SERVER_ERROR, {})


def _response(body: bytes, status: int, headers: Mapping[str, str]) -> Response:
    return Response(body, status, headers=headers, media_type="application/json")
