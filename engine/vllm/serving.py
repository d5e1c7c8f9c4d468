"""vLLM's serving classes behind one object: bytes of a request in, an `Answer` out.

vLLM renders, samples, parses tools and reasoning, and counts; `exchange` has what is ours.
"""

import argparse
import time
from typing import Any, NoReturn, TypeVar

from vllm.entrypoints.generate.base.serving import GenerateBaseServing
from vllm.entrypoints.launchers.cli_args import resolve_default_chat_template_kwargs
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
from vllm.entrypoints.openai.completion.protocol import CompletionRequest
from vllm.entrypoints.openai.completion.serving import OpenAIServingCompletion
from vllm.entrypoints.openai.models.protocol import BaseModelPath
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.entrypoints.serve.utils.fingerprint import set_default_fingerprint_mode
from vllm.renderers.chat_utils import load_chat_template
from vllm.renderers.online_renderer import OnlineRenderer

from engine.answer import Answer
from engine.errors import (
    GenerationFailedError,
    InvalidRequestError,
    ModelNotFoundError,
    TaskNotSupportedError,
)
from engine.vllm.client import EngineClient
from engine.vllm.exchange import answer, parse_object, validate
from engine.vllm.inspection import Inspection
from engine.vllm.own_ids import OwnIds
from engine.vllm.refusals import EndedEarlyError

Generating = TypeVar("Generating", ChatCompletionRequest, CompletionRequest)

# OpenAI's own limit. vLLM's is 16384, each with a copy of the request before anything is refused.
_LARGEST_N = 128


class _Honest(OwnIds, GenerateBaseServing):
    """What both serving classes of vLLM must not decide for themselves."""

    def create_streaming_error_response(
        self, message: str | Exception, *_: Any, **__: Any
    ) -> NoReturn:
        """Raise, where vLLM would write a frame of its own dialect and then a false [DONE]."""
        if isinstance(message, Exception):
            raise message
        raise EndedEarlyError(GenerationFailedError(message))

    def _convert_generation_error_to_streaming_response(self, e: Exception) -> NoReturn:
        raise e

    def _raise_if_error(self, finish_reason: str | None, request_id: str) -> None:
        if finish_reason == "abort":
            # Nobody who still reads asked for it: the engine is ending. Not a finished answer.
            raise EndedEarlyError(GenerationFailedError("The engine ended this answer early."))
        super()._raise_if_error(finish_reason, request_id)


class _Chat(_Honest, OpenAIServingChat):
    pass


class _Completion(_Honest, OpenAIServingCompletion):
    pass


class Serving:
    """All that a loaded model can answer. Building it takes a while, so do it in a thread."""

    def __init__(
        self, client: EngineClient, args: argparse.Namespace, tasks: tuple[str, ...]
    ) -> None:
        self._tasks = tasks
        self._served: tuple[str, ...] = tuple(args.served_model_name)
        self._created = int(time.time())
        self._max_model_len = client.model_config.max_model_len
        set_default_fingerprint_mode(args.fingerprint_mode, args.fingerprint_value)
        template = load_chat_template(args.chat_template)
        template_kwargs = resolve_default_chat_template_kwargs(args)
        # The name stands in for the path, which is nobody's business outside.
        paths = [BaseModelPath(name=name, model_path=name) for name in self._served]
        models = OpenAIServingModels(engine_client=client, base_model_paths=paths)
        tools: dict[str, Any] = {
            "enable_auto_tools": args.enable_auto_tool_choice,
            "exclude_tools_when_tool_choice_none": args.exclude_tools_when_tool_choice_none,
            "tool_parser": args.tool_call_parser,
            "tool_strict_level": args.tool_strict_level,
            "reasoning_parser": args.structured_outputs_config.reasoning_parser,
        }
        chat: dict[str, Any] = {
            "request_logger": None,
            "chat_template": template,
            "chat_template_content_format": args.chat_template_content_format,
            "trust_request_chat_template": args.trust_request_chat_template,
            "default_chat_template_kwargs": template_kwargs,
        }
        usage: dict[str, Any] = {
            "return_tokens_as_token_ids": args.return_tokens_as_token_ids,
            "enable_prompt_tokens_details": args.enable_prompt_tokens_details,
            "enable_force_include_usage": args.enable_force_include_usage,
            "enable_per_request_metrics": args.enable_per_request_metrics,
        }
        renderer = OnlineRenderer(
            model_config=client.model_config,
            renderer=client.renderer,
            trust_request_mm_kwargs=args.trust_request_mm_kwargs,
            log_error_stack=args.log_error_stack,
            **chat,
            **tools,
        )
        renderer.warmup()
        self._chat = _Chat(
            client,
            models,
            response_role=args.response_role,
            online_renderer=renderer,
            **chat,
            **tools,
            **usage,
        )
        self._completion = _Completion(
            client, models, online_renderer=renderer, request_logger=None, **usage
        )

        self.inspection = Inspection(models, renderer, chat=chat, served=self._served)

    @property
    def generates_text(self) -> bool:
        """Whether the model is one that generates at all."""
        return "generate" in self._tasks

    async def chat_completion(self, body: bytes) -> Answer:
        """Answer a request to /v1/chat/completions; raises `EngineError`."""
        request = self._generating(ChatCompletionRequest, body)
        create = self._chat.create_chat_completion
        return await answer(create, request, prompt_field="messages", served=self._served)

    async def completion(self, body: bytes) -> Answer:
        """Answer a request to /v1/completions; raises `EngineError`."""
        request = self._generating(CompletionRequest, body)
        create = self._completion.create_completion
        return await answer(create, request, prompt_field="prompt", served=self._served)

    def models(self) -> list[dict[str, Any]]:
        """The served names as entries of GET /v1/models."""
        return [self._card(name) for name in self._served]

    def model(self, name: str) -> dict[str, Any]:
        """One entry of `models`; raises `ModelNotFoundError`."""
        if name not in self._served:
            raise ModelNotFoundError(name, self._served)
        return self._card(name)

    def _card(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": self._created,
            "owned_by": "unigate",
            # Operators and LangChain tell base models (root == id) from adapters by it.
            "root": name,
            "parent": None,
            "max_model_len": self._max_model_len,
        }

    def _generating(self, model: type[Generating], body: bytes) -> Generating:
        """The request of a route that generates text."""
        if not self.generates_text:
            raise TaskNotSupportedError(
                "This route", "a model that generates text", self._served[0]
            )
        request = validate(model, parse_object(body))
        # vLLM refuses these too, but without naming the field.
        if request.n is not None and not 1 <= request.n <= _LARGEST_N:
            raise InvalidRequestError(f"n must be from 1 to {_LARGEST_N}, got {request.n}.", "n")
        if "" in (request.stop or []) or request.stop == "":
            raise InvalidRequestError("stop must not contain an empty string.", "stop")
        return request
