"""Answers as models write them, and what vLLM's parsers make of them, whole or in pieces."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.decoders import DecodeStream
from transformers import PreTrainedTokenizerFast
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.parser import Parser, ParserManager

from engine.vllm.steady import steady
from engine.vllm.tool_calls import put_right

Call = tuple[str, dict[str, Any]]

_PROPERTIES = {
    "city": {"type": "string"},
    "n": {"type": "integer"},
    "where": {"type": "object"},
    "tags": {"type": "array", "items": {"type": "string"}},
}
TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": _PROPERTIES}},
    }
    for name in ("weather", "clock")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How a family writes calls, and the tokens that its vocabulary has for that."""

    parser: str
    tokens: tuple[str, ...]
    write: Callable[[Sequence[Call]], str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a client has in the end; `calls` with their arguments as text."""

    reasoning: str
    content: str
    calls: tuple[tuple[str, str], ...]

    def values(self) -> tuple[str, str, list[tuple[str, Any]]]:
        """To compare by: space around words that stand beside calls has no meaning."""
        content = self.content.strip() if self.calls else self.content
        return (
            self.reasoning.strip(),
            content,
            [(name, json.loads(text)) for name, text in self.calls],
        )


@cache
def tokenizer(tokens: tuple[str, ...]) -> Any:  # vLLM's protocol is not what it accepts
    """One with a token for each byte, so that a text can be cut anywhere, and for these words."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = Tokenizer(models.BPE(vocab={byte: i for i, byte in enumerate(alphabet)}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    plain.add_special_tokens(
        [AddedToken(word, special=True, normalized=False) for word in ("<end>", *tokens)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<end>")  # type: ignore[no-untyped-call]  # noqa: S106


class Reader:
    """The parsers that a server with these flags has."""

    def __init__(
        self,
        tool_calls: str | None,
        reasoning: str | None,
        tokens: tuple[str, ...],
        *,
        choice: Any = "auto",
        **template: bool,
    ) -> None:
        """`choice` is the request's `tool_choice`."""
        self.choice = choice
        self.tokenizer = tokenizer(tokens)
        self._template = template
        put_right(tool_calls)
        parser = steady(
            ParserManager.get_parser(tool_calls, reasoning, True, tokenizer=self.tokenizer)
        )
        assert parser is not None
        self._parser = parser
        self._request = ChatCompletionRequest.model_validate(
            {"messages": [{"role": "user", "content": "?"}], "tools": TOOLS, "tool_choice": choice}
        )

    @property
    def forces_json(self) -> bool:
        """Whether a call that the request forces is plain JSON, not in the model's own format."""
        tool_parser = self._make().tool_parser
        return tool_parser is not None and tool_parser.supports_required_and_named

    def _make(self) -> Parser:
        tools: Any = self._request.tools
        return self._parser(
            self.tokenizer, tools, chat_template_kwargs=self._template, model_config=None
        )

    def tokens(self, text: str) -> list[tuple[str, int]]:
        """The text's tokens, each with the text that a stream has more by it."""
        stream = DecodeStream(skip_special_tokens=False)
        ids = self._ids(text)
        return [(stream.step(self.tokenizer._tokenizer, token) or "", token) for token in ids]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def whole(self, text: str, prompt: str = "") -> Reading:
        """The answer as it is when it is not streamed."""
        parser = self._make()
        parser.set_prompt_token_ids(self.tokenizer.encode(prompt))
        reasoning, content, calls = parser.parse(
            text, self._request, enable_auto_tools=True, model_output_token_ids=self._ids(text)
        )
        read = tuple((call.name, call.arguments) for call in calls or [])
        return Reading(reasoning or "", content or "", read)

    def streamed(
        self, tokens: Sequence[tuple[str, int]], sizes: Sequence[int], prompt: str = ""
    ) -> Reading:
        """The answer put together from its deltas; fails if they contradict each other."""
        parser = self._make()
        prompt_ids = self.tokenizer.encode(prompt)
        reasoning, content = "", ""
        ids: dict[int, str] = {}
        names: dict[int, str] = {}
        arguments: dict[int, str] = {}
        pieces = _cut(tokens, sizes)
        for piece in pieces:
            delta = parser.parse_delta(
                "".join(text for text, _ in piece),
                [token for _, token in piece],
                self._request,
                prompt_ids,
                finished=piece is pieces[-1],
            )
            reasoning += delta.reasoning or "" if delta else ""
            content += delta.content or "" if delta else ""
            for call in delta.tool_calls if delta else ():
                if call.id:
                    assert call.index == len(ids), "calls begin one after another, each with an id"
                    ids[call.index] = call.id
                if call.function and call.function.name:
                    assert call.index not in names, "a call has one name"
                    names[call.index] = call.function.name
                assert call.index in names, "arguments come behind the name"
                text = call.function.arguments if call.function else None
                arguments[call.index] = arguments.get(call.index, "") + (text or "")
        assert ids.keys() == names.keys()
        assert len(set(ids.values())) == len(ids)
        read = tuple((names[index], arguments[index]) for index in sorted(names))
        return Reading(reasoning, content, read)


def _cut(
    tokens: Sequence[tuple[str, int]], sizes: Sequence[int]
) -> list[Sequence[tuple[str, int]]]:
    """Pieces of these sizes, over and over."""
    pieces, start, turn = [], 0, 0
    while start < len(tokens):
        size = sizes[turn % len(sizes)]
        pieces.append(tokens[start : start + size])
        start, turn = start + size, turn + 1
    return pieces or [[]]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _raw(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _objects(key: str, separator: str, before: str = "", after: str = "") -> Any:
    """`before{"name": …, key: {…}}after`, as many as there are calls."""
    return lambda calls: separator.join(
        before + _json({"name": name, key: values}) + after for name, values in calls
    )


def _list(before: str, after: str) -> Any:
    inner = _objects("arguments", ", ")
    return lambda calls: f"{before}[{inner(calls)}]{after}"


def _tagged(call: str, parameter: str, separator: str = "\n") -> Any:
    """Calls with one tag for each parameter; a text stands there as it is."""
    return lambda calls: separator.join(
        call.format(
            name, "".join(parameter.format(key, _raw(value)) for key, value in values.items())
        )
        for name, values in calls
    )


def _python(calls: Sequence[Call]) -> list[str]:
    return [
        f"{name}({', '.join(f'{key}={value!r}' for key, value in values.items())})"
        for name, values in calls
    ]


_TAGS = ("<tool_call>", "</tool_call>")
_HERMES = _objects("arguments", "\n", "<tool_call>\n", "\n</tool_call>")
_QWEN = _tagged(
    "<tool_call>\n<function={}>\n{}</function>\n</tool_call>", "<parameter={}>\n{}\n</parameter>\n"
)
_GLM = ("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>")
_KIMI = (
    "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>",
    "<|tool_call_end|>", "<|tool_call_argument_begin|>",
)  # fmt: skip
_DEEPSEEK = (
    "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>", "<｜tool▁sep｜>",
)  # fmt: skip


def _sections(marks: tuple[str, ...], call: str) -> Any:
    """Calls between marks for all of them, and for each."""
    start, end, begin, over, inside = marks
    return lambda calls: (
        start
        + "".join(
            begin + call.format(name=name, mark=inside, json=_json(values), number=i) + over
            for i, (name, values) in enumerate(calls)
        )
        + end
    )


FORMATS = {
    "hermes": Format(parser="hermes", tokens=_TAGS, write=_HERMES),
    "hermes, no tokens": Format(parser="hermes", tokens=(), write=_HERMES),
    "qwen3_coder": Format(parser="qwen3_coder", tokens=_TAGS, write=_QWEN),
    "qwen3_coder, no tokens": Format(parser="qwen3_coder", tokens=(), write=_QWEN),
    "llama3_json": Format(
        parser="llama3_json", tokens=("<|python_tag|>",), write=_objects("parameters", "; ")
    ),
    "llama3_json, tagged": Format(
        parser="llama3_json",
        tokens=("<|python_tag|>",),
        write=lambda calls: "<|python_tag|>" + _objects("parameters", "; ")(calls),
    ),
    "mistral, before v11": Format(
        parser="mistral", tokens=("[TOOL_CALLS]",), write=_list("[TOOL_CALLS]", "")
    ),
    "mistral": Format(
        parser="mistral",
        tokens=("[TOOL_CALLS]", "[ARGS]"),
        write=lambda calls: "".join(f"[TOOL_CALLS]{n}[ARGS]{_json(v)}" for n, v in calls),
    ),
    "deepseek_v3": Format(
        parser="deepseek_v3",
        tokens=_DEEPSEEK,
        write=_sections(_DEEPSEEK, "function{mark}{name}\n```json\n{json}\n```"),
    ),
    "deepseek_v31": Format(
        parser="deepseek_v31", tokens=_DEEPSEEK, write=_sections(_DEEPSEEK, "{name}{mark}{json}")
    ),
    "kimi_k2": Format(
        parser="kimi_k2",
        tokens=_KIMI,
        write=_sections(_KIMI, "functions.{name}:{number}{mark}{json}"),
    ),
    "glm45": Format(
        parser="glm45",
        tokens=(*_TAGS, *_GLM),
        write=_tagged(
            "<tool_call>{}\n{}</tool_call>",
            "<arg_key>{}</arg_key>\n<arg_value>{}</arg_value>\n",
        ),
    ),
    "minimax_m2": Format(
        parser="minimax_m2",
        tokens=("<minimax:tool_call>", "</minimax:tool_call>"),
        write=lambda calls: (
            "<minimax:tool_call>\n"
            + _tagged('<invoke name="{}">\n{}</invoke>', '<parameter name="{}">{}</parameter>\n')(
                calls
            )
            + "\n</minimax:tool_call>"
        ),
    ),
    "granite": Format(
        parser="granite", tokens=("<|tool_call|>",), write=_list("<|tool_call|>", "")
    ),
    "granite4": Format(parser="granite4", tokens=_TAGS, write=_HERMES),
    "jamba": Format(
        parser="jamba",
        tokens=("<tool_calls>", "</tool_calls>"),
        write=_list("<tool_calls>", "</tool_calls>"),
    ),
    "hunyuan_a13b": Format(
        parser="hunyuan_a13b", tokens=(), write=_list("<tool_calls>", "</tool_calls>")
    ),
    "ernie45": Format(parser="ernie45", tokens=_TAGS, write=_HERMES),
    "apertus": Format(
        parser="apertus",
        tokens=("<|tools_prefix|>", "<|tools_suffix|>"),
        write=lambda calls: (
            "<|tools_prefix|>" + _json([{n: v} for n, v in calls]) + "<|tools_suffix|>"
        ),
    ),
    "lfm2": Format(
        parser="lfm2",
        tokens=("<|tool_call_start|>", "<|tool_call_end|>"),
        write=lambda calls: (
            "<|tool_call_start|>[" + ", ".join(_python(calls)) + "]<|tool_call_end|>"
        ),
    ),
    "olmo3": Format(
        parser="olmo3",
        tokens=(),
        write=lambda calls: "<function_calls>" + "\n".join(_python(calls)) + "</function_calls>",
    ),
}
