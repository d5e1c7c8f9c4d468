"""Chat completions and completions, on vLLM's serving classes: models that generate text."""

from typing import Any, TypeVar

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
from vllm.entrypoints.openai.completion.protocol import CompletionRequest
from vllm.entrypoints.openai.completion.serving import OpenAIServingCompletion

from engine.answer import Answer
from engine.errors import InvalidRequestError
from engine.foreign_fields import translate_fields
from engine.vllm.assembly import Assembly
from engine.vllm.exchange import validate
from engine.vllm.honest import Honest
from engine.vllm.steady import steady

Generating = TypeVar("Generating", ChatCompletionRequest, CompletionRequest)


class _Chat(Honest, OpenAIServingChat):
    pass


class _Completion(Honest, OpenAIServingCompletion):
    pass


class Completions:
    """Serves both routes; only a model that generates text has one."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        args = assembly.args
        usage: dict[str, Any] = {
            "return_tokens_as_token_ids": args.return_tokens_as_token_ids,
            "enable_prompt_tokens_details": args.enable_prompt_tokens_details,
            "enable_force_include_usage": args.enable_force_include_usage,
            "enable_per_request_metrics": args.enable_per_request_metrics,
        }
        self._chat = _Chat(
            assembly.client,
            assembly.models,
            response_role=args.response_role,
            online_renderer=assembly.renderer,
            **assembly.options_of(OpenAIServingChat),
            **usage,
        )
        self._chat.parser_cls = steady(self._chat.parser_cls)
        self._completion = _Completion(
            assembly.client,
            assembly.models,
            online_renderer=assembly.renderer,
            **assembly.options_of(OpenAIServingCompletion),
            **usage,
        )

    async def chat_completion(self, body: bytes) -> Answer:
        """Answer a request to /v1/chat/completions; raises `EngineError`."""
        request = self._parse(ChatCompletionRequest, body)
        return await self._assembly.answer(self._chat.create_chat_completion, request, "messages")

    async def completion(self, body: bytes) -> Answer:
        """Answer a request to /v1/completions; raises `EngineError`."""
        request = self._parse(CompletionRequest, body)
        return await self._assembly.answer(self._completion.create_completion, request, "prompt")

    def _parse(self, model: type[Generating], body: bytes) -> Generating:
        data = self._assembly.read(body)
        translate_fields(data)
        request = validate(model, data)
        # vLLM refuses these too, but without naming the field.
        if request.n is not None and request.n < 1:
            raise InvalidRequestError(f"n must be at least 1, got {request.n}.", "n")
        stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
        if "" in stops:
            raise InvalidRequestError("stop must not contain an empty string.", "stop")
        return request
