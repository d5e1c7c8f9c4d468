"""One request on its way: bytes → vLLM's request model → vLLM's serving method → an `Answer`.

Ours are: parsing the body, refusing before the first byte, the error to tell, and that every
generation ends. The files beside this one that serve a route have only what is the route's own.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, aclosing
from functools import cache
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError, create_model
from vllm.entrypoints.serve.engine.protocol import ErrorResponse

from engine.answer import Answer, Stream, Whole
from engine.errors import EngineError, InvalidRequestError
from engine.vllm.adapters import held
from engine.vllm.generation import Generation, created
from engine.vllm.pump import Pump
from engine.vllm.refusals import from_response, translate

log = logging.getLogger(__name__)

Request = TypeVar("Request", bound=BaseModel)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; raises `InvalidRequestError`."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"The body is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidRequestError("The body must be a JSON object.")
    return data


def validate(model: type[Request], data: dict[str, Any]) -> Request:
    """The request as vLLM's model; raises `EngineError`."""
    try:
        return model.model_validate(data)
    except (AttributeError, KeyError) as error:
        raise _mistyped(model, data) from error
    except Exception as error:  # validators raise vLLM's errors and Pydantic's
        raise translate(error, "") from error


def _mistyped(model: type[BaseModel], data: dict[str, Any]) -> EngineError:
    """What is wrong with data that vLLM's validators fail on.

    They run before fields have the types that they are used as; Pydantic alone names the field.
    """
    try:
        _fields_of(model).model_validate(data)
    except ValidationError as error:
        return translate(error, "")
    log.error("engine.request_unreadable", extra={"model": model.__name__})
    return InvalidRequestError("The request's fields do not fit together.")


@cache
def _fields_of(model: type[BaseModel]) -> type[BaseModel]:
    """The model without its validators."""
    fields: dict[str, Any] = {name: (it.annotation, it) for name, it in model.model_fields.items()}
    return create_model(model.__name__, **fields)


async def answer(
    create: Callable[[Any], Awaitable[Any]],
    request: Any,
    *,
    prompt_field: str,
    served: Callable[[], tuple[str, ...]],
) -> Answer:
    """Ask `create`, one of vLLM's serving methods, for the answer; raises `EngineError`.

    `prompt_field` is what the dialect calls the field that a prompt too long came in.
    """
    mine: list[Generation] = []
    used = ExitStack()
    token, used_token = created.set(mine), held.set(used)
    streams = False
    try:
        result = await _created_by(create, request, mine, prompt_field, served)
        if isinstance(result, Stream):
            streams = True
            return _holding(result, used)
    except Exception as error:  # the border to vLLM: whatever it raises becomes an EngineError
        raise translate(error, prompt_field) from error
    finally:
        created.reset(token)
        held.reset(used_token)
        if not streams:
            await _close(mine)
            used.close()
    return result


async def _created_by(
    create: Callable[[Any], Awaitable[Any]],
    request: Any,
    generations: list[Generation],
    prompt_field: str,
    served: Callable[[], tuple[str, ...]],
) -> Answer:
    result = await create(request)
    if isinstance(result, Whole):
        return result
    if isinstance(result, ErrorResponse):
        raise from_response(result, request.model, served())
    if isinstance(result, bytes):
        return Whole(result)
    if isinstance(result, BaseModel):
        return Whole(_json(result))
    if isinstance(result, list):
        return Whole(b"[" + b",".join(_json(item) for item in result) + b"]")
    for generation in generations:
        await generation.admit()
    return _stream(_relay(result, prompt_field), generations)


def _stream(frames: AsyncGenerator[str], generations: list[Generation]) -> Stream:
    if len(generations) == 1:
        pump = Pump(frames, generations[0])
        stream = Stream(pump.run, pump.aclose)
    else:
        stream = Stream.of(frames, frames.aclose)

    async def close() -> None:
        await stream.close()
        await _close(generations)

    return Stream(stream.run, close)


def _holding(stream: Stream, used: ExitStack) -> Stream:
    async def close() -> None:
        await stream.close()
        used.close()

    return Stream(stream.run, close)


def _json(model: BaseModel) -> bytes:
    return model.model_dump_json().encode()


async def _relay(frames: AsyncGenerator[str], prompt_field: str) -> AsyncGenerator[str]:
    try:
        async with aclosing(frames):
            async for frame in frames:
                yield frame
    except Exception as error:  # the border to vLLM, as above
        raise translate(error, prompt_field) from error


async def _close(generations: list[Generation]) -> None:
    for generation in generations:
        await generation.aclose()
