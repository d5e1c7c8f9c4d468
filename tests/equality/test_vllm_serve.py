"""The same request gets the same answer as from `vllm serve`, field for field.

Left out of the comparison is what differs between two requests to one server: ids and times.
"""

from typing import Any

import httpx
import pytest

from tests.support.server import Server
from tests.support.sse import DONE, events, stream
from tests.support.vllm_server import VllmServer
from tests.support.weather import CHAT_TOOL

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
QUESTION = [{"role": "user", "content": "What is unigate?"}]
RAIN = [{"role": "user", "content": "What is the weather in Reykjavik?"}]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
# A chat is asked so often: from the third time on it may go a shorter way.
TIMES = 3
# What is another one for every request.
VOLATILE = {"id", "created", "request_id"}
_LAST = 1000
# What the other form refuses, here as there.
ONLY_STREAMED = {"usage", "usage-always"}
ONLY_WHOLE = {"prompt-logprobs"}
# vLLM shows the markup of a call that was cut short where an answer is whole; here it does not.
MARKUP_THERE = "tools-cut"

CHATS: dict[str, dict[str, Any]] = {
    "plain": {},
    "short": {"max_completion_tokens": 5},
    "n": {"n": 3, "max_tokens": 40, "temperature": 1, "seed": 1},
    "stop": {"stop": ["unigate"]},
    "stop-text": {"stop": "unigate"},
    "stop-included": {"stop": ["unigate"], "include_stop_str_in_output": True},
    "logprobs": {"logprobs": True, "top_logprobs": 3, "max_tokens": 6},
    "prompt-logprobs": {"prompt_logprobs": 1, "max_tokens": 2},
    "logit-bias": {"logit_bias": {"5": 100}, "max_tokens": 4},
    "penalties": {"presence_penalty": 1, "frequency_penalty": 1, "repetition_penalty": 1.2},
    "sampling": {"temperature": 1, "seed": 7, "top_p": 0.9, "top_k": 5, "min_p": 0.01},
    "echo": {"echo": True, "max_tokens": 4},
    "token-ids": {"return_token_ids": True, "max_tokens": 4},
    "usage": {"stream_options": {"include_usage": True}, "max_tokens": 6},
    "usage-always": {
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        "max_tokens": 6,
    },
    "thinking": {"chat_template_kwargs": {"enable_thinking": True}},
    "thinking-hidden": {
        "chat_template_kwargs": {"enable_thinking": True},
        "include_reasoning": False,
    },
    "developer": {"messages": [{"role": "developer", "content": "Be brief."}, *QUESTION]},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
    "tools-auto": {"messages": RAIN, "tools": [CHAT_TOOL]},
    "tools-none": {"messages": RAIN, "tools": [CHAT_TOOL], "tool_choice": "none"},
    "tools-required": {"messages": RAIN, "tools": [CHAT_TOOL], "tool_choice": "required"},
    "tools-named": {"messages": RAIN, "tools": [CHAT_TOOL], "tool_choice": NAMED},
    "tools-cut": {"messages": RAIN, "tools": [CHAT_TOOL], "max_tokens": 12},
    "json-object": {"response_format": {"type": "json_object"}, "max_tokens": 30},
    "json-schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "person", "schema": SCHEMA, "strict": True},
        }
    },
    "choice": {"structured_outputs": {"choice": ["aardvark", "zebra"]}},
    "unlimited": {"max_tokens": None, "stop": ["."]},
    "conversation": {"messages": [*RAIN, {"role": "assistant", "content": "Wet."}, *QUESTION]},
    "system": {"messages": [{"role": "system", "content": "Be brief."}, *QUESTION]},
    "unknown-field": {"metadata": {"a": "b"}, "store": True, "service_tier": "auto"},
}
TEXTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "several": {"prompt": ["One", "Two", "Three"]},
    "token-ids": {"prompt": [5, 6, 7]},
    "several-token-ids": {"prompt": [[5, 6], [7]]},
    "n": {"n": 2, "temperature": 1, "seed": 1},
    "stop": {"stop": "e"},
    "logprobs": {"logprobs": 2},
    "echo": {"echo": True},
    "echo-logprobs": {"echo": True, "logprobs": 1},
    "echo-only": {"echo": True, "max_tokens": 0},
    "prompt-logprobs": {"prompt_logprobs": 1},
    "usage": {"stream_options": {"include_usage": True}},
    "sampling": {"temperature": 1, "seed": 7},
    "regex": {"structured_outputs": {"regex": "[0-9]{3}"}},
    "long": {"max_tokens": 200, "ignore_eos": True},
}


def normal(value: Any) -> Any:
    """A body without what is volatile; ids of tool calls become their places."""
    if isinstance(value, dict):
        return {name: normal(item) for name, item in value.items() if name not in VOLATILE}
    if isinstance(value, list):
        return [normal(item) for item in value]
    return value


def whole(url: str, body: dict[str, Any]) -> Any:
    response = httpx.post(url, json=body, timeout=120)
    assert response.status_code == 200, response.text
    return normal(response.json())


def streamed(url: str, body: dict[str, Any]) -> list[Any]:
    """The chunks, with runs of text put together: how much comes at once is a matter of time."""
    with stream(url, body, timeout_s=120) as response:
        assert response.status_code == 200, response.read()
        chunks = [chunk if chunk == DONE else normal(chunk) for chunk in events(response)]
    # Which of several choices comes first is a matter of time, too.
    chunks.sort(key=lambda chunk: chunk["choices"][0]["index"] if _has_choice(chunk) else _LAST)
    folded: list[Any] = []
    for chunk in chunks:
        if not folded or not _join(folded[-1], chunk):
            folded.append(chunk)
    return folded


def _is_last(chunk: Any) -> bool:
    return bool(chunk["choices"][0].get("finish_reason"))


def _has_choice(chunk: Any) -> bool:
    return chunk != DONE and bool(chunk["choices"])


def _join(last: Any, chunk: Any) -> bool:
    """Append the chunk's text to the last one's if nothing else tells them apart."""
    mine, other = _text(last), _text(chunk)
    if mine is None or other is None:
        return False
    if _is_last(chunk) and mine[1] == other[1]:
        # The last may have the text of others with it; it keeps what is beside the text.
        mine[0][mine[1]] += other[0][other[1]]
        other[0][other[1]] = ""
        return False
    if mine[1:] != other[1:]:
        return False
    mine[0][mine[1]] += other[0][other[1]]
    return True


def _text(chunk: Any) -> tuple[dict[str, Any], str, Any] | None:
    """Where a chunk has its text, and all that is beside it; None if it is not only text."""
    if chunk == DONE or len(chunk["choices"]) != 1:
        return None
    (choice,) = chunk["choices"]
    if choice.get("logprobs") or choice.get("token_ids") or chunk.get("usage"):
        return None
    holder = choice.get("delta", choice)
    names = [name for name in ("content", "reasoning", "text") if holder.get(name)]
    if len(names) != 1 or holder.get("role") or holder.get("tool_calls"):
        return None
    beside = {**choice, "delta": {}, "text": ""}
    return holder, names[0], (beside, {**chunk, "choices": []})


@pytest.mark.parametrize("name", CHATS)
def test_a_chat_is_answered_alike(server: Server, vllm: VllmServer, name: str) -> None:
    body = {"model": "unigate-demo", "messages": QUESTION, "temperature": 0, "max_tokens": 40}
    body |= CHATS[name]
    if name == MARKUP_THERE:
        message = whole(server.url + CHAT, body)["choices"][0]["message"]
        assert "<tool_call>" not in (message["content"] or "")
    elif name not in ONLY_STREAMED:
        theirs = whole(vllm.url + CHAT, body)
        for _ in range(TIMES):
            assert whole(server.url + CHAT, body) == theirs
    if name not in ONLY_WHOLE:
        frames = streamed(vllm.url + CHAT, body)
        for _ in range(TIMES):
            assert streamed(server.url + CHAT, body) == frames


@pytest.mark.parametrize("name", TEXTS)
def test_a_completion_is_answered_alike(server: Server, vllm: VllmServer, name: str) -> None:
    body = {"model": "unigate-demo", "prompt": "The server", "temperature": 0, "max_tokens": 12}
    body |= TEXTS[name]
    if name not in ONLY_STREAMED:
        assert whole(server.url + COMPLETIONS, body) == whole(vllm.url + COMPLETIONS, body)
    if name not in ONLY_WHOLE:
        assert streamed(server.url + COMPLETIONS, body) == streamed(vllm.url + COMPLETIONS, body)
