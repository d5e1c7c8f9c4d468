"""POST /v1/messages and /v1/messages/count_tokens: Anthropic's dialect, on vLLM's class for it."""

from collections.abc import AsyncGenerator
from typing import Any

import orjson
from vllm.entrypoints.anthropic.protocol import (
    AnthropicCountTokensRequest,
    AnthropicCountTokensResponse,
    AnthropicMessagesRequest,
    AnthropicMessagesResponse,
    AnthropicStreamEvent,
)
from vllm.entrypoints.anthropic.serving import AnthropicServingMessages
from vllm.entrypoints.openai.chat_completion.protocol import (
    ChatCompletionRequest,
    ChatCompletionResponse,
)

from engine.answer import Answer
from engine.errors import GenerationFailedError, InvalidRequestError
from engine.vllm.assembly import Assembly
from engine.vllm.contract import WORKS, Contract
from engine.vllm.exchange import validate
from engine.vllm.refusals import FAILED, EndedEarlyError
from engine.vllm.steady import SteadyChat

_PING = 'event: ping\ndata: {"type": "ping"}\n\n'
# Choices of a tool that cannot be without any.
_NEED_TOOLS = ("any", "tool")
_FAILURE = "event: error\n"

_ASK = {"messages": [{"role": "user", "content": "What is unigate?"}]}
CONTRACTS = {
    "POST /v1/messages": Contract(
        request=AnthropicMessagesRequest,
        response=AnthropicMessagesResponse,
        event=AnthropicStreamEvent,
        errors=WORKS,
        example={"max_tokens": 64, **_ASK},
        leaves_out=True,
    ),
    "POST /v1/messages/count_tokens": Contract(
        request=AnthropicCountTokensRequest,
        response=AnthropicCountTokensResponse,
        errors=WORKS,
        example=_ASK,
        leaves_out=True,
    ),
}


class _Serving(SteadyChat, AnthropicServingMessages):
    @classmethod
    def to_chat_completion_request(
        cls, anthropic_request: Any, **options: Any
    ) -> ChatCompletionRequest:
        """The same request as a chat's; one that asks for thinking also asks the template for it.

        vLLM passes the budget on, which means nothing to a template that does not think unasked.
        """
        request = super().to_chat_completion_request(anthropic_request, **options)
        thinking = anthropic_request.thinking
        if thinking is not None and thinking.type == "enabled":
            # The words that models' templates have for it.
            asked = {"enable_thinking": True, "thinking": True}
            request.chat_template_kwargs = asked | (request.chat_template_kwargs or {})
        return request

    async def create_chat_completion(
        self, request: ChatCompletionRequest, *arguments: Any, **options: Any
    ) -> Any:
        """As vLLM's; a budget for thinking that this engine cannot hold to is left out.

        It is a target, not a limit (Anthropic's words), and some clients send one with everything.
        """
        config = self.engine_client.vllm_config.reasoning_config
        if config is None or not config.enabled:
            request.thinking_token_budget = None
        return await super().create_chat_completion(request, *arguments, **options)

    def messages_full_converter(self, generator: ChatCompletionResponse) -> Any:
        """The message as its bytes; a call that was cut off has no arguments, and is no error."""
        for call in generator.choices[0].message.tool_calls:
            if not _is_object(call.function.arguments):
                call.function.arguments = "{}"
        return orjson.dumps(_body(super().messages_full_converter(generator)))

    async def message_stream_converter(
        self, generator: AsyncGenerator[str, None]
    ) -> AsyncGenerator[str, None]:
        """The events, with a ping after the first; raises where vLLM would write an error."""
        failure: Exception | None = None

        async def read() -> AsyncGenerator[str, None]:
            nonlocal failure
            try:
                async for frame in generator:
                    yield frame
            except Exception as error:  # noqa: BLE001  # raised again below
                failure = error

        is_first = True
        async for event in super().message_stream_converter(read()):
            if event.startswith(_FAILURE):
                raise EndedEarlyError(GenerationFailedError(FAILED))
            if is_first:
                is_first = False
                yield event.replace('"id":"chatcmpl-', '"id":"msg_', 1)
                yield _PING
            else:
                yield event
        if failure is not None:
            raise failure


class Messages:
    """Serves both routes; only a model that generates text has one."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        args = assembly.args
        self._serving = _Serving(
            assembly.client,
            assembly.models,
            args.response_role,
            online_renderer=assembly.renderer,
            enable_prompt_tokens_details=args.enable_prompt_tokens_details,
            disabled_thinking_effort=args.anthropic_disabled_thinking_effort,
            **assembly.options_of(AnthropicServingMessages),
        )

    async def create(self, body: bytes) -> Answer:
        """Answer a request to /v1/messages; raises `EngineError`."""
        data = self._assembly.read("POST /v1/messages", body)
        request = validate(AnthropicMessagesRequest, data)
        if not request.tools and request.tool_choice and request.tool_choice.type in _NEED_TOOLS:
            # vLLM would answer in words, and say that it is a call.
            raise InvalidRequestError(f"tool_choice {request.tool_choice.type!r} needs tools.")
        return await self._assembly.answer(self._serving.create_messages, request, "messages")

    async def count_tokens(self, body: bytes) -> Answer:
        """Answer a request to /v1/messages/count_tokens; raises `EngineError`."""
        data = self._assembly.read("POST /v1/messages/count_tokens", body)
        request = validate(AnthropicCountTokensRequest, data)

        async def count(request: AnthropicCountTokensRequest) -> Any:
            found = await self._serving.count_tokens(request)
            if isinstance(found, AnthropicCountTokensResponse):
                return orjson.dumps({"input_tokens": found.input_tokens})
            return found

        return await self._assembly.answer(count, request, "messages")


def _body(message: AnthropicMessagesResponse) -> dict[str, Any]:
    """The message with the fields that Anthropic's has, null or not."""
    body = message.model_dump(exclude_none=True)
    return body | {
        "id": message.id.replace("chatcmpl-", "msg_", 1),
        "stop_reason": message.stop_reason,
        "stop_sequence": message.stop_sequence,
    }


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
