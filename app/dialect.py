"""How an error is written: OpenAI's clients and Anthropic's read different shapes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

import orjson
from typing_extensions import TypedDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error before it is written; `code` is what agents decide on."""

    message: str
    status: int
    type: str
    code: str
    param: str | None = None


class OpenAIError(TypedDict):
    """An error in OpenAI's shape."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIEnvelope(TypedDict):
    """A refusal or a failure, as OpenAI's clients read it; decide on `code`."""

    error: OpenAIError


class OpenAIStreamError(OpenAIError):
    """The same in a stream."""

    object: Literal["error"]


class OpenAIErrorEvent(TypedDict):
    """The last event of a stream that failed."""

    error: OpenAIStreamError


class ResponsesErrorEvent(TypedDict):
    """The last event of a stream of /v1/responses that failed."""

    type: Literal["error"]
    sequence_number: int
    code: str
    message: str
    param: str | None


class MessagesError(TypedDict):
    """An error in Anthropic's shape."""

    type: str
    message: str
    code: str


class MessagesEnvelope(TypedDict):
    """A refusal or a failure, as Anthropic's clients read it; decide on `code`."""

    type: Literal["error"]
    error: MessagesError
    request_id: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """One family of clients.

    `write` gets the failure and the request's id; `write_event` also how many events came before.
    `envelope` and `event` are the types of what they write.
    """

    write: Callable[[Failure, str], bytes]
    write_event: Callable[[Failure, str, int], bytes]
    envelope: type
    event: type
    statuses: Mapping[str, int] = field(default_factory=dict)

    def status(self, failure: Failure) -> int:
        """The status that these clients know for it."""
        return self.statuses.get(failure.code, failure.status)


def _openai(failure: Failure, request_id: str) -> bytes:
    del request_id  # in a header only
    shown: OpenAIEnvelope = {"error": _fields(failure)}
    return orjson.dumps(shown)


def _fields(failure: Failure) -> OpenAIError:
    return {
        "message": failure.message,
        "type": failure.type,
        "param": failure.param,
        "code": failure.code,
    }


# https://docs.anthropic.com/en/api/errors
_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.INTERNAL_SERVER_ERROR: "api_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "overloaded_error",
    HTTPStatus.GATEWAY_TIMEOUT: "timeout_error",
}
_OVERLOADED = 529


def _anthropic(failure: Failure, request_id: str) -> bytes:
    kind = _TYPES.get(HTTPStatus(failure.status), "invalid_request_error")
    # No field of its own there: what agents decide on is a word more.
    shown: MessagesEnvelope = {
        "type": "error",
        "error": {"type": kind, "message": failure.message, "code": failure.code},
        "request_id": request_id,
    }
    return orjson.dumps(shown)


def _openai_event(failure: Failure, request_id: str, position: int) -> bytes:
    del request_id, position
    # NVIDIA's client for LangChain takes an error without `object` for the end of a whole answer.
    shown: OpenAIErrorEvent = {"error": {"object": "error", **_fields(failure)}}
    return b"data: %b\n\n" % orjson.dumps(shown)


def _responses_event(failure: Failure, request_id: str, position: int) -> bytes:
    del request_id
    data: ResponsesErrorEvent = {
        "type": "error",
        "sequence_number": position,
        "code": failure.code,
        "message": failure.message,
        "param": failure.param,
    }
    return b"event: error\ndata: %b\n\n" % orjson.dumps(data)


def _anthropic_event(failure: Failure, request_id: str, position: int) -> bytes:
    del position
    return b"event: error\ndata: %b\n\n" % _anthropic(failure, request_id)


OPENAI = Dialect(_openai, _openai_event, OpenAIEnvelope, OpenAIErrorEvent)
RESPONSES = Dialect(_openai, _responses_event, OpenAIEnvelope, ResponsesErrorEvent)
ANTHROPIC = Dialect(
    _anthropic,
    _anthropic_event,
    MessagesEnvelope,
    MessagesEnvelope,
    {"overloaded": _OVERLOADED},
)

_ROUTES = {"/v1/messages": ANTHROPIC, "/v1/responses": RESPONSES}


def dialect_of(path: str) -> Dialect:
    """The dialect of a route, whether it exists or not."""
    top = "/".join(path.split("/", 3)[:3])
    return _ROUTES.get(top, OPENAI)
