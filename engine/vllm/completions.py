"""Chat completions and completions, on vLLM's serving classes: models that generate text."""

from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, PrivateAttr
from vllm import envs
from vllm.entrypoints.openai.chat_completion.protocol import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    ChatCompletionStreamResponse,
)
from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
from vllm.entrypoints.openai.completion.protocol import (
    CompletionRequest,
    CompletionResponse,
    CompletionStreamResponse,
)
from vllm.entrypoints.openai.completion.serving import OpenAIServingCompletion

from engine.answer import Answer
from engine.errors import InvalidRequestError
from engine.foreign_fields import NAMES, translate_fields
from engine.vllm.assembly import Assembly
from engine.vllm.contract import WORKS, Contract
from engine.vllm.exchange import parse_object, validate
from engine.vllm.generation import let_text_pass
from engine.vllm.honest import Honest
from engine.vllm.routine.routine import Routine
from engine.vllm.routine.routines import Routines
from engine.vllm.routine.shape import shape_of
from engine.vllm.steady import SteadyChat


def _check_stop(given: Any) -> Any:
    """Say it in one sentence, where Pydantic has one for each type there may be."""
    if given == "" or (isinstance(given, list) and "" in given):
        raise InvalidRequestError("stop must not contain an empty string.", "stop")
    return given


_Text = Annotated[str, Field(min_length=1)]
_Stop = Annotated[
    _Text | Annotated[list[_Text], Field(max_length=envs.VLLM_MAX_STOP_STRINGS)] | None,
    BeforeValidator(_check_stop),
]
_Tokens = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
_Several = Field(min_length=1, max_length=envs.VLLM_MAX_COMPLETION_PROMPTS)


def _one_for_all(model: type[BaseModel]) -> Any:
    """The defaults of vLLM, which nobody changes; Pydantic would copy them for each request."""
    defaults = model.__private_attributes__["_DEFAULT_SAMPLING_PARAMS"].default
    return PrivateAttr(default_factory=lambda: defaults)


class ChatRequest(ChatCompletionRequest):
    """vLLM's, with bounds that vLLM has too, but refuses later and without naming the field."""

    _DEFAULT_SAMPLING_PARAMS: dict[str, Any] = _one_for_all(ChatCompletionRequest)

    n: int | None = Field(default=1, ge=1)
    stop: _Stop = Field(default_factory=list)


class TextRequest(CompletionRequest):
    """The same for completions."""

    _DEFAULT_SAMPLING_PARAMS: dict[str, Any] = _one_for_all(CompletionRequest)

    prompt: (
        _Tokens
        | Annotated[list[_Tokens], _Several]
        | _Text
        | Annotated[list[_Text], _Several]
        | None
    ) = None
    n: int = Field(default=1, ge=1)
    stop: _Stop = Field(default_factory=list)


for _model in (ChatCompletionRequest, ChatRequest, CompletionRequest, TextRequest):
    for _name, _field in _model.model_fields.items():
        if _field.deprecated:
            # Clients read of it in the document; vLLM would be warned at each request.
            delattr(_model, _name)


ASK_CHAT: dict[str, Any] = {
    "messages": [{"role": "user", "content": "What is unigate?"}],
    "max_tokens": 64,
}
ASK_TEXT: dict[str, Any] = {"prompt": "unigate is", "max_tokens": 16}
Generating = TypeVar("Generating", ChatRequest, TextRequest)
CONTRACTS = {
    "POST /v1/chat/completions": Contract(
        request=ChatRequest,
        response=ChatCompletionResponse,
        event=ChatCompletionStreamResponse,
        last_data="[DONE]",
        errors=WORKS,
        foreign=NAMES,
        example=ASK_CHAT,
    ),
    "POST /v1/completions": Contract(
        request=TextRequest,
        response=CompletionResponse,
        event=CompletionStreamResponse,
        last_data="[DONE]",
        errors=WORKS,
        foreign=NAMES,
        example=ASK_TEXT,
    ),
}


class _Completion(Honest, OpenAIServingCompletion):
    def completion_stream_generator(self, *arguments: Any, **options: Any) -> AsyncGenerator[str]:
        let_text_pass()
        return super().completion_stream_generator(*arguments, **options)


class Completions:
    """Serves both routes; only a model that generates text has one."""

    def __init__(self, assembly: Assembly, on_routine: Callable[[], None]) -> None:
        """`on_routine` is called for each request that is answered the short way."""
        self._assembly = assembly
        self._on_routine = on_routine
        args = assembly.args
        usage: dict[str, Any] = {
            "return_tokens_as_token_ids": args.return_tokens_as_token_ids,
            "enable_prompt_tokens_details": args.enable_prompt_tokens_details,
            "enable_force_include_usage": args.enable_force_include_usage,
            "enable_per_request_metrics": args.enable_per_request_metrics,
        }
        self._chat = SteadyChat(
            assembly.client,
            assembly.models,
            response_role=args.response_role,
            online_renderer=assembly.renderer,
            **assembly.options_of(OpenAIServingChat),
            **usage,
        )
        self._completion = _Completion(
            assembly.client,
            assembly.models,
            online_renderer=assembly.renderer,
            **assembly.options_of(OpenAIServingCompletion),
            **usage,
        )
        self._routines = Routines(partial(Routine.learned, self._chat, assembly.client))

    async def chat_completion(self, body: bytes) -> Answer:
        """Answer a request to /v1/chat/completions; raises `EngineError`."""
        data = parse_object(body)
        shape = shape_of(data)
        routine = self._routines.of(shape) if shape else None
        if routine is not None:
            self._assembly.judge_plain(data)
            prompt = await routine.prompt_of(data["messages"])
            if prompt is not None:
                self._on_routine()
                return await self._assembly.answer(routine.answer, prompt, "messages")
        request = self._validated("POST /v1/chat/completions", ChatRequest, data)
        answer = self._assembly.answer(self._chat.create_chat_completion, request, "messages")
        return await (self._routines.watch(shape, request, answer) if shape else answer)

    async def completion(self, body: bytes) -> Answer:
        """Answer a request to /v1/completions; raises `EngineError`."""
        request = self._validated("POST /v1/completions", TextRequest, parse_object(body))
        return await self._assembly.answer(self._completion.create_completion, request, "prompt")

    def _validated(self, route: str, model: type[Generating], data: dict[str, Any]) -> Generating:
        self._assembly.judge(route, data)
        translate_fields(data)
        return validate(model, data)
