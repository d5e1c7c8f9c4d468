"""Turns what vLLM raises or returns into `engine.errors`; never looks at a message to decide."""

import logging
from http import HTTPStatus

from jinja2 import TemplateError
from pydantic import ValidationError
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.entrypoints.serve.exception_handling.handlers.validation import clean_loc_for_param
from vllm.entrypoints.serve.exception_handling.utils import sanitize_message
from vllm.exceptions import (
    GenerationError,
    GracefulHTTPError,
    VLLMClientError,
    VLLMUnprocessableEntityError,
    VLLMValidationError,
)
from vllm.v1.engine.exceptions import EngineDeadError as VllmEngineDeadError

from engine.errors import (
    ContextLengthError,
    EngineDeadError,
    EngineError,
    GenerationFailedError,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
)

log = logging.getLogger(__name__)

DEAD = "The engine has ended; this server is restarting."
FAILED = "The engine failed on this request."

# The parameters vLLM names when prompt and answer exceed the context (renderers/params.py).
CONTEXT_PARAMETERS = frozenset({"input_text", "input_tokens"})
_LONGEST_MESSAGE = 1000


class EndedEarlyError(GenerationError):
    """Carries an `EngineError` through vLLM's serving classes, which would flatten any other."""

    def __init__(self, error: EngineError) -> None:
        super().__init__(str(error))
        self.error = error


class UnreadablePromptError(Exception):
    """The prompt has a part that vLLM's renderer fails on."""


def translate(error: Exception, prompt_field: str) -> EngineError:
    """The error to tell the client; logs what nobody expected.

    `prompt_field` is what the dialect calls the field that a prompt too long came in.
    """
    match error:
        case EngineError():
            return error
        case EndedEarlyError():
            return error.error
        case VllmEngineDeadError():
            return EngineDeadError(DEAD)
        case GracefulHTTPError():
            return OverloadedError(error.message)
        case _:
            refusal = _refusal(error, prompt_field)
    if refusal is None:
        log.error("engine.request_failed", exc_info=error)
        return GenerationFailedError(FAILED)
    return refusal


def _refusal(error: Exception, prompt_field: str) -> InvalidRequestError | None:
    """What is wrong with the request, if it is the request."""
    match error:
        case VLLMValidationError() | VLLMUnprocessableEntityError():
            message = _clean(str(error.args[0]) if error.args else str(error))
            if error.parameter in CONTEXT_PARAMETERS:
                return ContextLengthError(message, param=prompt_field)
            return InvalidRequestError(message, param=error.parameter)
        case ValidationError():
            return _from_validation(error)
        case UnreadablePromptError():
            return InvalidRequestError(
                f"{prompt_field} has a part of no known shape.", prompt_field
            )
        case VLLMClientError() | NotImplementedError():
            return InvalidRequestError(_clean(str(error)))
        # vLLM still raises these builtins where a request is at fault.
        case ValueError() | TypeError() | OverflowError():
            return InvalidRequestError(_clean(str(error)))
        # And the model's chat template raises what it does not accept.
        case TemplateError():
            return InvalidRequestError(_clean(str(error)))
        case _:
            return None


def from_response(
    response: ErrorResponse, model: str | None, served: tuple[str, ...]
) -> EngineError:
    """The error behind an `ErrorResponse`, which serving methods return instead of raising."""
    info = response.error
    if info.code == HTTPStatus.NOT_FOUND and info.param == "model":
        return ModelNotFoundError(model or "", served)
    if info.code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return InvalidRequestError(_clean(info.message), param=info.param)
    log.error("engine.request_failed", extra={"answer": info.message})
    return GenerationFailedError(FAILED)


def _from_validation(error: ValidationError) -> InvalidRequestError:
    # Never the input itself: it may be megabytes, or a secret in the wrong field.
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    first = errors[0]
    # Of a union's branches Pydantic names the types; clients know only fields and indexes.
    path = [part for part in first["loc"] if isinstance(part, int) or _is_field(part)]
    param = clean_loc_for_param(tuple(path)) or None
    message = f"{param}: {first['msg']}" if param else first["msg"]
    if len(errors) > 1:
        message += f" (and {len(errors) - 1} more)"
    return InvalidRequestError(_clean(message), param=param)


def _is_field(name: str) -> bool:
    return name.islower() and name.isidentifier()


def _clean(message: str) -> str:
    message = sanitize_message(message)
    return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"
