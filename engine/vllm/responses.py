"""POST /v1/responses and what belongs to it: OpenAI's newer dialect, on vLLM's class for it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, NoReturn

import orjson
from cachetools import TTLCache
from openai.types.responses import (
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseStatus,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
)
from pydantic import Field
from typing_extensions import TypedDict
from vllm.entrypoints.openai.responses.context import SimpleContext
from vllm.entrypoints.openai.responses.protocol import (
    ResponsesRequest,
    ResponsesResponse,
    StreamingResponsesResponse,
)
from vllm.entrypoints.openai.responses.serving import OpenAIServingResponses
from vllm.entrypoints.serve.engine.protocol import ErrorResponse

from engine.answer import Answer, Stream, Whole
from engine.config import EngineConfig
from engine.errors import (
    ContextLengthError,
    EngineError,
    InvalidRequestError,
    OverloadedError,
    ResponseNotFoundError,
    TaskNotSupportedError,
)
from engine.vllm.adapters import held
from engine.vllm.assembly import Assembly
from engine.vllm.contract import WORKS, Contract
from engine.vllm.exchange import validate
from engine.vllm.generation import Generation, created
from engine.vllm.honest import Honest
from engine.vllm.refusals import translate
from engine.vllm.response_events import ResponseIncompleteEvent, frames, parted
from engine.vllm.response_store import BoundedStore, EventLog
from engine.vllm.steady import passes_text, steady

Track = Callable[[], AbstractContextManager[None]]

# Each has its events in memory.
_MOST_IN_BACKGROUND = 64
_RUNNING = ("queued", "in_progress")


class ResponseRequest(ResponsesRequest):
    """vLLM's, with a limit that it has too, but by the name that other routes have for it."""

    max_output_tokens: int | None = Field(default=None, ge=1)


class DeletedResponse(TypedDict):
    """What is left of a response."""

    id: str
    object: Literal["response.deleted"]
    deleted: Literal[True]


_Event = (
    StreamingResponsesResponse
    | ResponseIncompleteEvent
    # vLLM sends these too.
    | ResponseTextDeltaEvent
    | ResponseTextDoneEvent
    | ResponseFunctionCallArgumentsDeltaEvent
    | ResponseFunctionCallArgumentsDoneEvent
)
_KEPT = (InvalidRequestError, ResponseNotFoundError, TaskNotSupportedError)
CONTRACTS = {
    "POST /v1/responses": Contract(
        request=ResponseRequest,
        response=ResponsesResponse,
        event=_Event,
        errors=(*WORKS, ResponseNotFoundError),
        example={"input": "What is unigate?", "max_output_tokens": 64},
    ),
    "GET /v1/responses/{response_id}": Contract(
        response=ResponsesResponse, event=_Event, errors=_KEPT
    ),
    "DELETE /v1/responses/{response_id}": Contract(response=DeletedResponse, errors=_KEPT),
    "POST /v1/responses/{response_id}/cancel": Contract(response=ResponsesResponse, errors=_KEPT),
}


class _Serving(Honest, OpenAIServingResponses):
    """vLLM's class with stores that forget, and a background that a drain waits for."""

    track: Track
    logs: "TTLCache[str, EventLog]"

    def _generate_with_builtin_tools(  # type: ignore[override]  # a call, where vLLM's starts later
        self,
        request_id: str,
        engine_input: Any,
        sampling_params: Any,
        context: Any,
        tok_params: Any = None,
        **options: Any,
    ) -> AsyncGenerator[Any, None]:
        """Prepare the generation at once, so that it is admitted before the first byte.

        There are no tools of the server's own (`--tool-server` is refused), so one turn is all.
        """
        del tok_params
        generation: Any = self.engine_client.generate(
            engine_input, sampling_params, f"{request_id}_0", **options
        )

        async def read() -> AsyncGenerator[Any, None]:
            async for last in generation:
                context.request_metrics = last.metrics
                for output in parted(generation, last):
                    context.append_output(output)
                    yield context

        return read()

    def responses_stream_generator(
        self,
        request: ResponsesRequest,
        sampling_params: Any,
        result_generator: Any,
        context: Any,
        *rest: Any,
        **options: Any,
    ) -> AsyncGenerator[Any, None]:
        """As vLLM's; its generation learns what the parser lets through."""
        parser = context.response_parser
        if isinstance(context, SimpleContext):  # others read tokens
            for generation in created.get([]):
                generation.gates = [lambda: passes_text(parser, request)]
        return super().responses_stream_generator(
            request, sampling_params, result_generator, context, *rest, **options
        )

    def _validate_generator_input(self, engine_input: Any) -> None:
        refusal = super()._validate_generator_input(engine_input)
        if refusal is not None:
            raise ContextLengthError(refusal.error.message, "input")

    def _make_not_found_error(self, response_id: str) -> NoReturn:
        raise ResponseNotFoundError(response_id)

    async def _run_background_request(
        self, request: ResponsesRequest, *arguments: Any, **options: Any
    ) -> None:
        with self.track():
            self._mark(request.request_id, "in_progress")
            try:
                found = await self.responses_full_generator(request, *arguments, **options)
            except Exception as error:  # noqa: BLE001  # told to whoever asks for the response
                self._fail(request.request_id, translate(error, "input"))
            else:
                if isinstance(found, ErrorResponse):
                    self._fail(request.request_id, InvalidRequestError(found.error.message))

    async def _run_background_request_stream(
        self, request: ResponsesRequest, *arguments: Any, **options: Any
    ) -> None:
        log = self.log(request.request_id)
        with self.track():
            self._mark(request.request_id, "in_progress")
            try:
                events = self.responses_stream_generator(request, *arguments, **options)
                async for frame in frames(events):
                    await log.append(frame)
            except Exception as error:  # noqa: BLE001  # told to whoever reads the events
                failure = translate(error, "input")
                self._fail(request.request_id, failure)
                await log.end(failure)
            finally:
                await log.end()

    def responses_background_stream_generator(  # type: ignore[override]  # frames, not events
        self, response_id: str, starting_after: int | None = None
    ) -> AsyncGenerator[str]:
        """The events behind the given one, those that are still to come among them."""
        return self.log(response_id).read(0 if starting_after is None else starting_after + 1)

    def log(self, response_id: str) -> EventLog:
        """The events of a response in the background; empty if it has none yet."""
        return self.logs.setdefault(response_id, EventLog())

    def _fail(self, response_id: str, error: EngineError) -> None:
        self._mark(response_id, "failed")
        kept = self.response_store.get(response_id)
        if kept is not None and kept.status == "failed":
            # https://platform.openai.com/docs/api-reference/responses/object, which vLLM's lacks.
            is_theirs = isinstance(error, InvalidRequestError)
            code = "invalid_prompt" if is_theirs else "server_error"
            kept.error = {"code": code, "message": str(error)}  # type: ignore[attr-defined]  # extra

    def _mark(self, response_id: str, status: ResponseStatus) -> None:
        """What has ended stays as it ended."""
        kept = self.response_store.get(response_id)
        if kept is not None and kept.status in _RUNNING:
            kept.status = status


class Responses:
    """Serves the routes below /v1/responses; only a model that generates text has one."""

    def __init__(self, assembly: Assembly, config: EngineConfig, track: Track) -> None:
        """`track` counts a response in the background as work in flight."""
        self._assembly = assembly
        self._serving = _Serving(
            assembly.client,
            assembly.models,
            assembly.renderer,
            enable_prompt_tokens_details=assembly.args.enable_prompt_tokens_details,
            **assembly.options_of(OpenAIServingResponses),
        )
        self._serving.parser = steady(self._serving.parser)
        self._serving.track = track
        self._serving.enable_store = True
        # Half for what was said, half for what was answered.
        bounds: dict[str, Any] = {
            "largest_bytes": config.responses_bytes // 2,
            "longest_s": config.responses_kept_s,
        }
        self._serving.msg_store = BoundedStore(**bounds)  # type: ignore[assignment]  # a mapping, too
        self._serving.response_store = BoundedStore(**bounds)  # type: ignore[assignment]
        self._serving.logs = TTLCache(2 * _MOST_IN_BACKGROUND, config.responses_kept_s)

    async def create(self, body: bytes) -> Answer:
        """Answer a request to /v1/responses; raises `EngineError`."""
        data = self._assembly.read("POST /v1/responses", body)
        data.pop("request_id", None)  # the id is ours: a client's could be somebody else's
        request = validate(ResponseRequest, data)
        if request.background and len(self._serving.background_tasks) >= _MOST_IN_BACKGROUND:
            raise OverloadedError(
                f"{_MOST_IN_BACKGROUND} responses are being made in the background already."
            )
        return await self._assembly.answer(self._created, request, "input")

    async def _created(self, request: ResponsesRequest) -> Any:
        mine: list[Generation] = created.get()
        found = await self._serving.create_responses(request)
        if request.background:
            mine.clear()  # it goes on without whoever asked
            self._keep_adapters(request.request_id)
        if isinstance(found, ResponsesResponse):
            return _body(found)
        if isinstance(found, ErrorResponse) or request.background:  # whose events are frames
            return found
        (generation,) = mine
        return frames(found, generation)

    def _keep_adapters(self, response_id: str) -> None:
        """What a response in the background uses is used until it has ended."""
        task = self._serving.background_tasks.get(response_id)
        if task is not None:
            used = held.get().pop_all()
            task.add_done_callback(lambda _: used.close())

    async def retrieve(self, response_id: str, *, streamed: bool, after: int | None) -> Answer:
        """A response that was kept, whole or its events; raises `ResponseNotFoundError`."""
        kept = self._kept(response_id)
        if not streamed:
            return Whole(_body(kept))
        if response_id not in self._serving.logs:
            raise InvalidRequestError(
                "Only a response that was created in the background and streamed has events.",
                "stream",
            )
        frames = self._serving.responses_background_stream_generator(response_id, after)
        return Stream.of(frames, frames.aclose)

    async def cancel(self, response_id: str) -> Answer:
        """End a response in the background; raises `EngineError`."""
        kept = self._kept(response_id)
        if kept.status not in _RUNNING:
            raise InvalidRequestError(
                "Only a response that is being made in the background can be cancelled, and this "
                f"one is {kept.status}.",
                "response_id",
            )
        kept.status = "cancelled"
        task = self._serving.background_tasks.get(response_id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        return Whole(_body(kept))

    async def delete(self, response_id: str) -> Answer:
        """Forget a response; raises `ResponseNotFoundError`."""
        if self._kept(response_id).status in _RUNNING:
            await self.cancel(response_id)
        for store in (
            self._serving.response_store,
            self._serving.msg_store,
            self._serving.logs,
        ):
            store.pop(response_id, None)
        gone: DeletedResponse = {
            "id": response_id,
            "object": "response.deleted",
            "deleted": True,
        }
        return Whole(orjson.dumps(gone))

    def _kept(self, response_id: str) -> ResponsesResponse:
        kept = self._serving.response_store.get(response_id)
        if kept is None:
            raise ResponseNotFoundError(response_id)
        return kept


def _body(response: ResponsesResponse) -> bytes:
    return response.model_dump_json(by_alias=True).encode()
