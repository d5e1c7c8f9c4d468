"""Puts right those of vLLM's tool parsers whose result depends on how a text is cut.

A delta is as large as what the engine has made since the last one was read: with speculation, or
with a client that reads slowly, it has many tokens. Some of vLLM's tool parsers were written for
deltas of one token, and lose or break calls when there are more; others never stream a call, or
leave out words that stand before one when the answer is not streamed. Their parsing of a whole
text is sound: for them words are streamed at once, and calls when they are whole. Hermes' streams
well, but takes a whole answer for words when its last call is cut short: that is read as a stream.
"""

import json
import logging
import re
from collections.abc import Sequence
from typing import Any

from vllm.entrypoints.generate.base.protocol import (
    DeltaFunctionCall,
    DeltaMessage,
    DeltaToolCall,
    ExtractedToolCallInformation,
    FunctionCall,
    ToolCall,
)
from vllm.tool_parsers import ToolParser, ToolParserManager
from vllm.tool_parsers.hermes_tool_parser import Hermes2ProToolParser
from vllm.tool_parsers.utils import partial_tag_overlap

log = logging.getLogger(__name__)

_BRACE = "{"
# Text that is no JSON behind its first brace holds no call in JSON either.
_MAY_BE_CALL = re.compile(r'\{\s*("|$)')
_PYTHON = "<|python_tag|>"
# What a call begins with, in the order of looking for it.
BEGINNINGS: dict[str, tuple[str, ...]] = {
    "apertus": ("<|tools_prefix|>",),
    "deepseek_v3": ("<｜tool▁calls▁begin｜>",),
    "deepseek_v31": ("<｜tool▁calls▁begin｜>",),
    "ernie45": ("<tool_call>",),
    "functiongemma": ("<start_function_call>",),
    "granite4": ("<tool_call>",),
    "hunyuan_a13b": ("<tool_calls>",),
    "internlm": ("<|action_start|>",),
    "jamba": ("<tool_calls>",),
    "llama3_json": (_PYTHON, _BRACE),
    "llama4_json": (_PYTHON, _BRACE),
    "olmo3": ("<function_calls>",),
    "phi4_mini_json": ("functools[",),
    "step3": ("<｜tool_calls_begin｜>",),
}

_STREAMS_WELL = ("hermes", "qwen3_json", "longcat")


def put_right(name: str | None) -> None:
    """Let vLLM know a parser under its own name that does not care how a text is cut.

    A parser that is not known to need it, a plugin's for example, is left as it is.
    """
    if name in BEGINNINGS:
        _mix_in(WholeCalls, name, beginnings=BEGINNINGS[name])
    elif name in _STREAMS_WELL:
        _mix_in(StreamedCalls, name)


def _mix_in(mixin: type[ToolParser], name: str, **fields: Any) -> None:
    parser = ToolParserManager.get_tool_parser(name)
    if not issubclass(parser, mixin):
        made = type(parser.__name__, (mixin, parser), fields)
        ToolParserManager.register_module(name, module=made)


def _read(calls: list[ToolCall], words: str | None) -> ExtractedToolCallInformation:
    """What vLLM is to use: it takes the text as it is unless it hears that there were calls."""
    return ExtractedToolCallInformation(tools_called=True, tool_calls=calls, content=words or None)


def _is_whole(call: FunctionCall) -> bool:
    """Whether its arguments are JSON; if so, they are written as vLLM writes them."""
    try:
        call.arguments = json.dumps(json.loads(call.arguments), ensure_ascii=False)
    except ValueError:
        return False
    return True


class StreamedCalls(Hermes2ProToolParser):
    """Reads a whole text as a stream of one delta, and a stream to its last word.

    Mixed in before vLLM's class, or one that is made of it.
    """

    _text = ""

    def extract_tool_calls_streaming(
        self, previous_text: str, current_text: str, *rest: Any
    ) -> DeltaMessage | None:
        """As vLLM's."""
        self.engine_based_streaming = True  # as in WholeCalls
        self._text = current_text
        return super().extract_tool_calls_streaming(previous_text, current_text, *rest)

    def finish_streaming(self) -> DeltaMessage | None:
        """The last words, if they were held back because a call might have begun with them."""
        if self.tool_call_start_token in self._text:
            return None
        words = self._text[self._sent_content_idx :]
        return DeltaMessage(content=words) if words else None

    def extract_tool_calls(self, model_output: str, request: Any) -> ExtractedToolCallInformation:
        """The words in front of the calls, and those calls that are whole."""
        if self.tool_call_start_token not in model_output:
            return super().extract_tool_calls(model_output, request)
        fresh = type(self)(self.model_tokenizer, list(self.tools))
        delta = fresh.extract_tool_calls_streaming(
            "", model_output, model_output, (), (), (), request
        )
        read: dict[int, FunctionCall] = {}
        for part in delta.tool_calls if delta else ():
            assert part.function is not None  # each has a name, or arguments
            call = read.setdefault(part.index, FunctionCall(name="", arguments=""))
            call.name += part.function.name or ""
            call.arguments += part.function.arguments or ""
        calls = [ToolCall(function=call) for call in read.values() if _is_whole(call)]
        return _read(calls, delta.content if delta else None)


class WholeCalls(ToolParser):
    """Mixed in before one of vLLM's tool parsers."""

    beginnings: tuple[str, ...]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unsent = ""
        self._has_no_call = False
        self._request: Any = None

    def extract_tool_calls(self, model_output: str, request: Any) -> ExtractedToolCallInformation:
        """The words in front of the calls, and the calls."""
        begins = self._find(model_output)
        if begins is None:
            return ExtractedToolCallInformation(
                tools_called=False, tool_calls=[], content=model_output
            )
        found = self._parse(model_output[begins:], request)
        return _read(found.tool_calls, model_output[:begins] + (found.content or ""))

    def extract_tool_calls_streaming(  # noqa: PLR0917  # vLLM's signature
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,
        previous_token_ids: Sequence[int],
        current_token_ids: Sequence[int],
        delta_token_ids: Sequence[int],
        request: Any,
    ) -> DeltaMessage | None:
        """What is certain to be words; the rest waits for `finish_streaming`."""
        # vLLM calls that only for parsers with this mark. On the class the mark would also change
        # what it hands over for requests that demand a call.
        self.engine_based_streaming = True
        self._request = request
        self._unsent += delta_text
        length = self._words_length()
        words, self._unsent = self._unsent[:length], self._unsent[length:]
        return DeltaMessage(content=words) if words else None

    def finish_streaming(self) -> DeltaMessage | None:
        """The calls, once the text is whole."""
        rest, self._unsent = self._unsent, ""
        if not rest:
            return None
        found = self.extract_tool_calls(rest, self._request)
        calls = [
            DeltaToolCall(
                index=index,
                id=call.id,
                type="function",
                function=DeltaFunctionCall(
                    name=call.function.name, arguments=call.function.arguments
                ),
            )
            for index, call in enumerate(found.tool_calls)
        ]
        if not calls and not found.content:
            return None
        return DeltaMessage(content=found.content, tool_calls=calls)

    def _words_length(self) -> int:
        """How many characters of what is not sent yet are words whatever follows."""
        begins = None if self._has_no_call else self._find(self._unsent)
        if begins is not None:
            rest = self._unsent[begins:]
            self._has_no_call = rest.startswith(_BRACE) and not _MAY_BE_CALL.match(rest)
        if self._has_no_call:
            return len(self._unsent)
        if begins is not None:
            return begins
        return len(self._unsent) - max(
            partial_tag_overlap(self._unsent, beginning) for beginning in self.beginnings
        )

    def _find(self, text: str) -> int | None:
        """Where the calls begin."""
        places = [place for word in self.beginnings if (place := text.find(word)) >= 0]
        return min(places, default=None)

    def _parse(self, text: str, request: Any) -> ExtractedToolCallInformation:
        found = super().extract_tool_calls(text, request)
        if found.tools_called:
            found.content = None
        elif text.startswith((_BRACE, _PYTHON)):
            found.content = text.removeprefix(_PYTHON)  # it may be an answer in JSON, or a program
        else:
            # Cut short or malformed: markup is not an answer.
            log.warning("parser.call_dropped", extra={"characters": len(text)})
            found.content = None
        return found
