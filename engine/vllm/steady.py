"""Gives an answer the same meaning whether it is streamed or whole, and however it is cut.

vLLM's parsers look at the prompt only when they stream, take the marker that opens a thought off
only when it comes in a delta of its own, end a stream with arguments of another call, and lose
calls that are forced where a parser gets no more than each delta.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from vllm.entrypoints.generate.base.protocol import DeltaMessage
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest
from vllm.parser import DelegatingParser, Parser
from vllm.reasoning.deepseek_v3_reasoning_parser import DeepSeekV3ReasoningParser
from vllm.reasoning.identity_reasoning_parser import IdentityReasoningParser

from engine.vllm.generation import created, let_text_pass
from engine.vllm.honest import Honest


def steady(parser: type[Parser] | None) -> type[Parser] | None:
    """The parser of a serving class, put right where it is one of two that are put together."""
    if parser is None or not issubclass(parser, DelegatingParser):
        return parser
    return type(parser.__name__, (_Steady, parser), {})


class SteadyChat(Honest, OpenAIServingChat):
    """A class of vLLM's that chats, with such a parser; generations learn what it lets through."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.parser_cls = steady(self.parser_cls)

    def _make_parser(self, request: ChatCompletionRequest, *rest: Any) -> Parser:
        parser = super()._make_parser(request, *rest)
        for generation in created.get([]):
            if generation.gates is not None:  # it is streamed: a parser for each choice, in order
                generation.gates.append(lambda: passes_text(parser, request))
        return parser

    def parser_for(self, request: ChatCompletionRequest) -> Parser | None:
        """What reads the answer to a request; None where answers need no reading."""
        tokenizer = self.renderer.tokenizer
        if self.parser_cls is None or tokenizer is None:
            return None
        return self._make_parser(request, tokenizer, self._effective_chat_template_kwargs(request))

    def tools_of(self, request: ChatCompletionRequest) -> list[dict[str, Any]] | None:
        """What the chat template is told of a request's tools, as vLLM's renderer has it."""
        hides = self.online_renderer.exclude_tools_when_tool_choice_none
        if request.tools is None or (hides and request.tool_choice == "none"):
            return None
        return [tool.model_dump() for tool in request.tools]

    def chat_completion_stream_generator(
        self, *arguments: Any, **options: Any
    ) -> AsyncGenerator[str]:
        """As vLLM's; without a parser all text is the answer's, with one it says what is."""
        let_text_pass()
        return super().chat_completion_stream_generator(*arguments, **options)


def passes_text(parser: Parser | None, request: ChatCompletionRequest | ResponsesRequest) -> bool:
    """Whether what is streamed from now on is the text as it comes, whatever that is."""
    return parser is None or (isinstance(parser, _Steady) and parser.passes_text(request))


def is_transparent(parser: Parser | None, request: ChatCompletionRequest) -> bool:
    """Whether all text is the answer's as it is, whole or streamed, whatever the prompt is."""
    return parser is None or (isinstance(parser, _Steady) and parser.is_transparent(request))


class _Steady(DelegatingParser):
    """Mixed in before vLLM's class."""

    _thought_is_over = False
    _forced = ""

    def passes_text(self, request: ChatCompletionRequest | ResponsesRequest) -> bool:
        """As the function of this name."""
        return not self._in_reasoning_phase(self._stream_state) and self._passes_behind_thoughts(
            request
        )

    def _passes_behind_thoughts(self, request: ChatCompletionRequest | ResponsesRequest) -> bool:
        is_vllms_usual = type(self).parse_delta is DelegatingParser.parse_delta
        is_out_of_tools = request.tool_choice == "none" and not self._engine_based
        return is_vllms_usual and (self._tool_parser is None or is_out_of_tools)

    def is_transparent(self, request: ChatCompletionRequest) -> bool:
        """As the function of this name."""
        thinking = self._reasoning_parser
        if isinstance(thinking, DeepSeekV3ReasoningParser):
            thinking = thinking._parser
        never_thinks = thinking is None or type(thinking) is IdentityReasoningParser
        is_vllms_usual = type(self).parse is DelegatingParser.parse
        return never_thinks and is_vllms_usual and self._passes_behind_thoughts(request)

    def set_prompt_token_ids(self, prompt_token_ids: Sequence[int]) -> None:
        """Whether the prompt ends behind a thought: vLLM asks this for whole answers only here."""
        super().set_prompt_token_ids(prompt_token_ids)
        self._thought_is_over = self.is_reasoning_end(list(prompt_token_ids))

    def extract_reasoning(self, model_output: str, request: Any) -> tuple[str | None, str | None]:
        """As vLLM's; a text that begins behind the thought has none in it."""
        if self._thought_is_over:
            return None, model_output
        return super().extract_reasoning(model_output, request)

    def extract_reasoning_streaming(self, *arguments: Any, **options: Any) -> DeltaMessage | None:
        """As vLLM's, without the marker that opens the thought."""
        delta = super().extract_reasoning_streaming(*arguments, **options)
        opening = self._reasoning_parser and self._reasoning_parser.reasoning_start_str
        if delta and delta.reasoning and opening and opening in delta.reasoning:
            delta.reasoning = delta.reasoning.replace(opening, "", 1) or None
        return delta

    def _extract_tool_calls_streaming(self, **options: Any) -> tuple[DeltaMessage | None, bool]:  # type: ignore[override]  # vLLM calls it so
        """As vLLM's, with all of the text so far where it looks for whole calls in it."""
        request, tool_parser = options["request"], self._tool_parser
        if (
            self._engine_based
            and request.tool_choice == "required"
            and tool_parser is not None
            and tool_parser.supports_required_and_named
        ):
            options["previous_text"] = self._forced
            self._forced += options["current_text"]
            options["current_text"] = self._forced
        return super()._extract_tool_calls_streaming(**options)

    def _append_unstreamed_tool_args(self, delta_message: DeltaMessage | None) -> None:
        """As vLLM's, which has the last call's arguments to append, to that call only."""
        if delta_message is None or not delta_message.tool_calls or self._tool_parser is None:
            return
        if delta_message.tool_calls[-1].index == len(self._tool_parser.prev_tool_call_arr) - 1:
            super()._append_unstreamed_tool_args(delta_message)
