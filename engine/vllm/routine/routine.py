"""What chats have in common that differ in their text only: all but the prompt is made already."""

import os
import time
from collections.abc import AsyncGenerator
from copy import copy
from typing import Any

from vllm.entrypoints.generate.base.protocol import RequestResponseMetadata
from vllm.entrypoints.openai.chat_completion.protocol import (
    ChatCompletionLogProbs,
    ChatCompletionRequest,
    ChatCompletionResponse,
)
from vllm.entrypoints.serve.utils.api_utils import get_max_tokens
from vllm.outputs import CompletionOutput
from vllm.v1.engine import EngineCoreRequest

from engine.answer import Whole
from engine.vllm.client import EngineClient
from engine.vllm.generation import Generation
from engine.vllm.handed_over import HandedOver
from engine.vllm.routine.answers import Document, Frames, Outputs, each, has_counts_only
from engine.vllm.routine.logprobs_text import LogprobsText
from engine.vllm.routine.prompt import Messages, Prompt, Prompts
from engine.vllm.steady import SteadyChat, is_transparent


class Routine:
    """Answers such chats."""

    def __init__(
        self,
        chat: SteadyChat,
        client: EngineClient,
        request: ChatCompletionRequest,
        first: EngineCoreRequest,
        prompts: Prompts,
    ) -> None:
        """`request` is one of them as vLLM has it once rendered, `first` as the engine has it.

        Nothing of its text is kept.
        """
        self._chat = chat
        self._client = client
        self._request = request.model_copy(update={"messages": [], "user": None})
        self._core = _without_prompt(first)
        self._prompts = prompts
        parser = chat.parser_for(self._request)
        self._needs_parser = not is_transparent(parser, self._request)
        self._document: Document | None = None
        self._frames: Frames | None = None

    @classmethod
    async def learned(
        cls,
        chat: SteadyChat,
        client: EngineClient,
        asked: ChatCompletionRequest,
        request: ChatCompletionRequest,
        handed_over: HandedOver,
    ) -> "Routine | None":
        """From a request that has gone vLLM's way: as it came, as vLLM had it once it was rendered,
        and what the engine got for it.

        None if the engine would have got anything else.
        """
        variables = {**(chat.default_chat_template_kwargs or {}), "tools": chat.tools_of(asked)}
        prompts = Prompts.of(
            client.renderer,
            client.model_config,
            asked.build_chat_params(
                chat.chat_template, chat.chat_template_content_format
            ).with_defaults(variables),
            asked.build_tok_params(client.model_config),
        )
        if prompts is None or len(handed_over) != 1:
            return None
        ((first, text),) = handed_over
        is_base = not request.model or chat.models.is_base_model(request.model)
        if first.lora_request is not None or not is_base:
            return None  # adapters come and go
        messages: Any = request.messages
        routine = cls(chat, client, request, first, prompts)
        prompt = await routine.prompt_of(messages)
        if prompt is None or prompt.text != text or not routine._would_be(first, prompt):
            return None
        await routine._learn_answers()
        return routine

    async def prompt_of(self, messages: Messages) -> Prompt | None:
        """The prompt of one of them; None if vLLM has something to say of it."""
        return await self._prompts.of_messages(messages)

    async def answer(self, prompt: Prompt) -> Whole | AsyncGenerator[str]:
        """The answer to one of them, or its frames."""
        name = f"chatcmpl-{os.urandom(16).hex()}"
        generation = self._client.repeat(self._core_of(prompt), name, prompt.text)
        created_s = int(time.time())
        if not self._request.stream:
            return await self._whole(generation, name, created_s)
        if self._frames is None:
            return self._vllms_frames(generation, name)
        if self._frames.logprobs is None:
            generation.frame = self._frames.plain(name, created_s)
        return self._frames.written(generation, name, created_s)

    def _core_of(self, prompt: Prompt) -> EngineCoreRequest:
        core = copy(self._core)
        core.prompt_token_ids, core.arrival_time = prompt.token_ids, prompt.arrived_s
        params = core.sampling_params
        assert params is not None  # of a model that generates
        asked, chat = self._request, self._chat
        most = get_max_tokens(
            self._client.model_config.max_model_len,
            asked.max_tokens
            if asked.max_completion_tokens is None
            else asked.max_completion_tokens,
            len(prompt.token_ids),
            chat.default_sampling_params,
            chat.override_max_tokens,
        )
        if params.max_tokens != most:
            core.sampling_params = copy(params)
            core.sampling_params.max_tokens = most
        if self._needs_parser:
            core.reasoning_ended = asked.resolve_reasoning_ended(
                chat.parser_for(asked), prompt.token_ids
            )
        return core

    def _would_be(self, first: EngineCoreRequest, prompt: Prompt) -> bool:
        mine = self._core_of(prompt)
        for field in ("request_id", "external_req_id", "arrival_time", "cache_salt"):
            setattr(mine, field, getattr(first, field))
        return mine == first

    async def _whole(self, generation: Generation, name: str, created_s: int) -> Whole:
        output: Any = None
        async for it in generation:
            output = it
        if self._document is not None and output.outputs[0].text and has_counts_only(output):
            return Whole(self._document.filled(name, created_s, output))
        answer = await self._vllms_whole(each(output), name)
        return Whole(answer.model_dump_json().encode())

    async def _learn_answers(self) -> None:
        chat = self._chat
        asked = self._request
        tells_more = (
            chat.enable_per_request_metrics
            or chat.enable_prompt_tokens_details
            or asked.n not in (None, 1)
        )
        observed = self._client.vllm_config.observability_config
        if self._needs_parser or tells_more or observed.per_request_spec_decode_metrics != "none":
            return
        if asked.stream:
            logprobs = LogprobsText(asked.top_logprobs, self._logprobs_of)
            self._frames = await Frames.of(self._vllms_frames, logprobs if asked.logprobs else None)
        elif not asked.logprobs:
            self._document = await Document.of(self._vllms_whole)

    def _logprobs_of(self, completion: CompletionOutput) -> ChatCompletionLogProbs:
        asked = self._request
        return self._chat._create_chat_logprobs(
            token_ids=completion.token_ids,
            top_logprobs=completion.logprobs or (),
            tokenizer=self._chat.renderer.tokenizer,
            num_output_top_logprobs=asked.top_logprobs,
            logprob_token_ids=asked.logprob_token_ids,
            return_as_token_id=asked.return_tokens_as_token_ids,
        )

    async def _vllms_whole(self, outputs: Outputs, name: str) -> ChatCompletionResponse:
        chat = self._chat
        answer = await chat.chat_completion_full_generator(
            **self._options(outputs, name), parser=chat.parser_for(self._request)
        )
        assert isinstance(answer, ChatCompletionResponse)  # errors are raised
        return answer

    def _vllms_frames(self, outputs: Outputs, name: str) -> AsyncGenerator[str]:
        chat = self._chat
        variables = chat._effective_chat_template_kwargs(self._request)
        return chat.chat_completion_stream_generator(
            **self._options(outputs, name), chat_template_kwargs=variables
        )

    def _options(self, outputs: Outputs, name: str) -> dict[str, Any]:
        """What both of vLLM's methods that make answers want."""
        return {
            "request": self._request,
            "result_generator": outputs,
            "request_id": name,
            "model_name": self._chat.models.model_name(None),
            "conversation": [],  # for `echo`
            "tokenizer": self._chat.renderer.tokenizer,
            "request_metadata": RequestResponseMetadata(request_id=name),
            "mm_token_counts": {},
        }


def _without_prompt(request: EngineCoreRequest) -> EngineCoreRequest:
    core = copy(request)
    core.prompt_token_ids = None
    core.cache_salt = None
    return core
