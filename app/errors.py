"""One table turns errors into HTTP; `app.dialect` writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from app.dialect import Failure, dialect_of
from engine.adapters.refusal import AdapterRefusedError
from engine.errors import (
    AdaptersNotEnabledError,
    ContextLengthError,
    DeadlineExceededError,
    EngineDeadError,
    EngineDrainingError,
    EngineError,
    EngineNotReadyError,
    EngineStalledError,
    GenerationFailedError,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    ResponseNotFoundError,
    ShareUsedError,
    TaskNotSupportedError,
)


class UnsupportedMediaTypeError(InvalidRequestError):
    """The body is not declared as JSON."""


class RequestTooLargeError(InvalidRequestError):
    """The body, or a part of it, has more bytes than are read."""


class NotHttpError(InvalidRequestError):
    """What was sent is not HTTP."""


class HeadTooLargeError(InvalidRequestError):
    """The request's headers have more bytes than are read."""


class RequestTimeoutError(InvalidRequestError):
    """The request did not arrive in time."""


class TooManyConnectionsError(EngineError):
    """As many clients are connected as may be."""


class RouteNotFoundError(EngineError):
    """There is no such route."""


class UnauthorizedError(EngineError):
    """No key, or none that is good here."""

    headers: ClassVar[Mapping[str, str]] = {"www-authenticate": "Bearer"}


class ForbiddenError(EngineError):
    """A key that may not do this."""


class RateLimitedError(EngineError):
    """A key whose budget is used up for now."""

    def __init__(self, message: str, headers: Mapping[str, str], retry_after_s: int) -> None:
        super().__init__(message)
        self.headers = headers
        self.retry_after_s = retry_after_s


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
    AdapterRefusedError: Rule(HTTPStatus.BAD_REQUEST, _INVALID, "adapter_refused"),
    UnauthorizedError: Rule(HTTPStatus.UNAUTHORIZED, "authentication_error", "invalid_api_key"),
    ForbiddenError: Rule(HTTPStatus.FORBIDDEN, "permission_error", "permission_denied"),
    RateLimitedError: Rule(
        HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded", 1
    ),
    UnsupportedMediaTypeError: Rule(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _INVALID, "unsupported_media_type"
    ),
    # What is left of the body is not read.
    RequestTooLargeError: Rule(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _INVALID, "request_too_large", closes=True
    ),
    NotHttpError: Rule(HTTPStatus.BAD_REQUEST, _INVALID, "not_http", closes=True),
    HeadTooLargeError: Rule(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _INVALID, "headers_too_large", closes=True
    ),
    RequestTimeoutError: Rule(HTTPStatus.REQUEST_TIMEOUT, _INVALID, "request_timeout", closes=True),
    TooManyConnectionsError: Rule(
        HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "too_many_connections", 1, closes=True
    ),
    ModelNotFoundError: Rule(HTTPStatus.NOT_FOUND, "not_found_error", "model_not_found"),
    ResponseNotFoundError: Rule(HTTPStatus.NOT_FOUND, "not_found_error", "response_not_found"),
    RouteNotFoundError: Rule(HTTPStatus.NOT_FOUND, "not_found_error", "route_not_found"),
    TaskNotSupportedError: Rule(HTTPStatus.NOT_FOUND, "not_found_error", "task_not_supported"),
    AdaptersNotEnabledError: Rule(HTTPStatus.NOT_FOUND, "not_found_error", "adapters_not_enabled"),
    ShareUsedError: Rule(HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_error", "share_used", 1),
    OverloadedError: Rule(HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "overloaded", 1),
    EngineNotReadyError: Rule(HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "engine_not_ready", 5),
    EngineStalledError: Rule(HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "engine_stalled", 10),
    EngineDrainingError: Rule(
        HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "engine_draining", 1, closes=True
    ),
    DeadlineExceededError: Rule(HTTPStatus.GATEWAY_TIMEOUT, _SERVER, "deadline_exceeded"),
    EngineDeadError: Rule(HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "engine_dead", 30, closes=True),
    GenerationFailedError: Rule(HTTPStatus.INTERNAL_SERVER_ERROR, _SERVER, "generation_failed"),
    EngineError: Rule(HTTPStatus.INTERNAL_SERVER_ERROR, _SERVER, "server_error"),
}


def rule_for(error: EngineError) -> Rule:
    """The rule of the error's class, or of the nearest class above it."""
    return next(RULES[kind] for kind in type(error).__mro__ if kind in RULES)


def failure_of(error: EngineError) -> Failure:
    """The error as its dialect is to write it."""
    return failure_by(rule_for(error), str(error), getattr(error, "param", None))


def failure_by(rule: Rule, message: str, param: str | None = None) -> Failure:
    """An error of that kind as its dialect is to write it."""
    return Failure(message=message, status=rule.status, type=rule.type, code=rule.code, param=param)


def event_of(error: EngineError, scope: Scope, position: int) -> bytes:
    """The last event of a stream that failed; `position` counts the events before it."""
    dialect = dialect_of(scope["path"])
    failure = failure_of(error)
    _note(failure, scope)
    return dialect.write_event(failure, _request_id(scope), position)


def response_to(error: EngineError, scope: Scope) -> Response:
    """The whole answer for an engine error."""
    rule = rule_for(error)
    headers: dict[str, str] = {}
    # Some know better when to come again.
    retry_after_s = getattr(error, "retry_after_s", None) or rule.retry_after_s
    if retry_after_s is not None:
        headers["retry-after"] = str(retry_after_s)
    if rule.closes:
        headers["connection"] = "close"
    headers |= getattr(error, "headers", {})
    return _response(failure_of(error), scope, headers)


async def on_engine_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for `EngineError`."""
    assert isinstance(error, EngineError)  # registered for this class alone
    return response_to(error, request.scope)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for its own 404 and 405."""
    assert isinstance(error, HTTPException)  # registered for this class alone
    path = request.scope["path"]
    headers = dict(error.headers or {})
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            missing = RouteNotFoundError(f"There is no route {request.method} {path}.")
            return response_to(missing, request.scope)
        case HTTPStatus.METHOD_NOT_ALLOWED:
            message, code = f"{path} does not answer {request.method}.", "method_not_allowed"
            headers = {"allow": ", ".join(_methods(request))}
        case _:
            message, code = error.detail, "http_error"
    failure = Failure(message=message, status=error.status_code, type=_INVALID, code=code)
    return _response(failure, request.scope, headers)


def _methods(request: Request) -> list[str]:
    """What the path answers; Starlette names only those of the first route that has it."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods
    return sorted(found)


def bug_response(scope: Scope) -> Response:
    """The whole answer when the server itself is at fault."""
    message = "The server made a mistake; its log has the details."
    return _response(failure_by(RULES[EngineError], message), scope, {})


def _response(failure: Failure, scope: Scope, headers: Mapping[str, str]) -> Response:
    dialect = dialect_of(scope["path"])
    _note(failure, scope)
    body = dialect.write(failure, _request_id(scope))
    status = dialect.status(failure)
    return Response(body, status, headers=headers, media_type="application/json")


def _note(failure: Failure, scope: Scope) -> None:
    """For the log."""
    scope.setdefault("state", {})["code"] = failure.code


def _request_id(scope: Scope) -> str:
    """As the middleware has put it there."""
    found: str = scope.get("state", {}).get("request_id", "")
    return found
