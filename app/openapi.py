"""The OpenAPI document: the routes, what the engine says of them, and the tables of the errors.

FastAPI knows paths, parameters and what the application answers itself. Bodies and answers of the
engine come from its contracts, errors and their statuses from `app.errors` and `app.dialect`.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.routing import BaseRoute

from app.about import release
from app.dependencies import ready_engine
from app.dialect import ANTHROPIC, OPENAI, RESPONSES, Dialect, dialect_of
from app.errors import (
    RULES,
    ForbiddenError,
    RateLimitedError,
    RequestTimeoutError,
    RequestTooLargeError,
    Rule,
    UnauthorizedError,
    UnsupportedMediaTypeError,
    failure_by,
)
from app.health import PROBES
from app.keys import ADMIN
from engine import Engine, EngineError
from engine.errors import (
    EngineDeadError,
    EngineDrainingError,
    EngineNotReadyError,
    EngineStalledError,
    InvalidRequestError,
    OverloadedError,
    ShareUsedError,
)
from engine.schemas import REFERENCE, JsonSchema, RouteSchemas, Schemas

_JSON = "application/json"
_DESCRIPTION = "An open model, served through OpenAI's and Anthropic's APIs."
_STATES = (EngineNotReadyError, EngineStalledError, EngineDrainingError, EngineDeadError)
_REQUEST_ID: JsonSchema = {
    "description": "The request's id: the client's own, or a new one.",
    "required": True,
    "schema": {"type": "string"},
}
_KEYS: JsonSchema = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
RETRY_AFTER: JsonSchema = {
    "retry-after": {
        "description": "Seconds after which trying again may help.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}


class Document:
    """Made when it is first asked for, since that takes some seconds; then it is bytes."""

    def __init__(self, routes: Sequence[BaseRoute], *, has_keys: bool) -> None:
        """`has_keys` says whether requests need one."""
        self._has_keys = has_keys
        self._routes = [route for route in routes if isinstance(route, APIRoute)]
        self._making = asyncio.Lock()
        self._body: bytes | None = None

    async def read(self, engine: Engine) -> bytes:
        """The document as JSON; raises `EngineError` while there is no model."""
        schemas = engine.serving.schemas
        async with self._making:
            if self._body is None:
                self._body = await asyncio.to_thread(lambda: self._make(schemas()))
        return self._body

    def _make(self, schemas: Schemas) -> bytes:
        return orjson.dumps(compose(self._routes, schemas, has_keys=self._has_keys))


def compose(routes: Sequence[APIRoute], schemas: Schemas, *, has_keys: bool) -> dict[str, Any]:
    """The document for these routes, of a server that asks for keys or does not."""
    document = get_openapi(
        title="unigate", version=release(), description=_DESCRIPTION, routes=routes
    )
    definitions = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's 422
        definitions.pop(unused, None)
    definitions.update(schemas.definitions)
    if has_keys:
        document["components"]["securitySchemes"] = _KEYS
    errors = _Errors()
    definitions.update(errors.definitions)
    for route in routes:
        for method in route.methods:
            operation = document["paths"][route.path_format][method.lower()]
            contract = schemas.routes.get(f"{method} {route.path_format}")
            dialect = dialect_of(route.path_format)
            responses = operation["responses"]
            responses.pop(str(HTTPStatus.UNPROCESSABLE_ENTITY.value), None)
            if contract is not None:
                _describe(operation, contract, errors.event_of(dialect))
            kinds = _kinds(route, contract)
            if has_keys and route.path not in PROBES:
                operation["security"] = [{name: []} for name in _KEYS]
                kinds |= {UnauthorizedError, RateLimitedError}
                kinds |= {ShareUsedError} if OverloadedError in kinds else set()
                kinds |= {ForbiddenError} if route.path in ADMIN else set()
            responses.update(errors.responses(kinds, dialect))
            for response in responses.values():
                response.setdefault("headers", {}).update(_ids(dialect))
    return document


def _describe(operation: dict[str, Any], contract: RouteSchemas, failure: JsonSchema) -> None:
    """Put the engine's schemas into the operation; `failure` is a stream's last event."""
    if contract.request is not None:
        asked = {"schema": contract.request}
        if contract.request_media_type == _JSON:  # an example of a form would need a file
            asked["example"] = contract.example
        content = {contract.request_media_type: asked}
        operation["requestBody"] = {"required": True, "content": content}
    answers: dict[str, Any] = {}
    if contract.response is not None:
        answers[_JSON] = {"schema": contract.response}
    for text in contract.texts:
        answers[text.partition(";")[0]] = {"schema": {"type": "string"}}
    if contract.event is not None:
        answers["text/event-stream"] = {"itemSchema": _event(contract, failure)}
    operation["responses"][str(HTTPStatus.OK.value)]["content"] = answers


def _event(contract: RouteSchemas, failure: JsonSchema) -> JsonSchema:
    """One server-sent event, as FastAPI and OpenAPI 3.2 describe them."""
    data: JsonSchema = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": [contract.event, failure]},
    }
    if contract.last_data is not None:
        data = {"anyOf": [{"const": contract.last_data}, data]}
    properties = {"event": {"type": "string"}, "data": data}
    return {"type": "object", "properties": properties, "required": ["data"]}


def _kinds(route: APIRoute, contract: RouteSchemas | None) -> set[type[EngineError]]:
    """The errors that the route may answer with."""
    kinds: set[type[EngineError]] = {EngineError}  # a bug may be anywhere
    if any(dependency.call is ready_engine for dependency in route.dependant.dependencies):
        kinds.update(_STATES)
    if route.dependant.query_params:
        kinds.add(InvalidRequestError)
    if contract is not None:
        kinds.update(contract.errors)
        if contract.request is not None:
            kinds.update((UnsupportedMediaTypeError, RequestTooLargeError, RequestTimeoutError))
    return kinds


def _ids(dialect: Dialect) -> dict[str, JsonSchema]:
    names = ("x-request-id", "request-id") if dialect is ANTHROPIC else ("x-request-id",)
    return dict.fromkeys(names, _REQUEST_ID)


class _Errors:
    """What errors look like, in each dialect."""

    def __init__(self) -> None:
        dialects = (OPENAI, RESPONSES, ANTHROPIC)
        types = dict.fromkeys(type_ for d in dialects for type_ in (d.envelope, d.event))
        found, whole = TypeAdapter.json_schemas(
            [(type_, "serialization", TypeAdapter(type_)) for type_ in types],
            ref_template=REFERENCE,
        )
        self.definitions: Mapping[str, JsonSchema] = whole["$defs"]
        self._schemas = {type_: schema for (type_, _), schema in found.items()}

    def event_of(self, dialect: Dialect) -> JsonSchema:
        """The data of the event that a failed stream ends with."""
        return self._schemas[dialect.event]

    def responses(self, kinds: Iterable[type[EngineError]], dialect: Dialect) -> dict[str, Any]:
        """Status → response, with the codes that come under it."""
        by_status: dict[str, dict[str, tuple[Rule, str]]] = {}
        for kind in RULES:  # in the table's order
            if kind in kinds:
                rule, sentence = RULES[kind], _sentence(kind)
                status = str(int(dialect.status(failure_by(rule, sentence))))
                by_status.setdefault(status, {})[rule.code] = (rule, sentence)
        return {status: self._response(codes, dialect) for status, codes in by_status.items()}

    def _response(self, codes: Mapping[str, tuple[Rule, str]], dialect: Dialect) -> JsonSchema:
        code = {"properties": {"code": {"enum": list(codes)}}}
        schema = {"allOf": [self._schemas[dialect.envelope], {"properties": {"error": code}}]}
        examples = {
            code: {"value": orjson.loads(dialect.write(failure_by(rule, sentence), "an-id"))}
            for code, (rule, sentence) in codes.items()
        }
        response: JsonSchema = {
            "description": " ".join(f"`{code}`: {said}" for code, (_, said) in codes.items()),
            "content": {"application/json": {"schema": schema, "examples": examples}},
        }
        if any(rule.retry_after_s is not None for rule, _ in codes.values()):
            response["headers"] = dict(RETRY_AFTER)
        return response


def _sentence(kind: type[EngineError]) -> str:
    """What an error says of itself."""
    return (kind.__doc__ or "").partition("\n")[0]
