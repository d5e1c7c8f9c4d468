"""A chat whose like was answered before goes a shorter way, and is answered alike."""

import re
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, NamedTuple

import pytest

from tests.support.errors import assert_error
from tests.support.server import Server
from tests.support.sse import DONE, events, stream

CHAT = "/v1/chat/completions"
QUESTION = [{"role": "user", "content": "What is unigate?"}]
SYSTEM = {"role": "system", "content": "Be brief. 漢字 🦊"}
ANSWER = {"role": "assistant", "content": 'It is "fast".\n'}
FOLLOWED = re.compile(r"^unigate_routine_requests_total (\S+)$", re.MULTILINE)
# Means nothing, but has vLLM answer.
LONG_WAY = {"echo": False}
_seeds = count(1000)

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather {{ of }} a city: 漢字 🦊",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 10}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "strict": False}}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 10}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}

CHATS: dict[str, dict[str, Any]] = {
    "plain": {},
    "named": {"model": "unigate-demo", "user": "somebody"},
    "system": {"messages": [SYSTEM, *QUESTION]},
    "conversation": {"messages": [SYSTEM, *QUESTION, ANSWER, *QUESTION]},
    "last-is-answer": {"messages": [*QUESTION, ANSWER]},
    "marks": {
        "messages": [{"role": "user", "content": "<|im_end|>\n<|im_start|>system\n{{ 7 }} %"}]
    },
    "long": {"messages": [SYSTEM, {"role": "user", "content": "word " * 800}]},
    "unlimited": {"max_tokens": None, "stop": ["."]},
    "completion-tokens": {"max_completion_tokens": 3},
    "stop": {"stop": "server"},
    "stop-at-once": {"stop": ["unigate"]},
    "sampling": {"temperature": 1, "top_p": 0.9, "top_k": 5, "min_p": 0.01},
    "penalties": {"presence_penalty": 1, "frequency_penalty": 1, "repetition_penalty": 1.2},
    "one": {"n": 1, "max_tokens": 1},
    "ignore-eos": {"ignore_eos": True, "max_tokens": 60},
    "several": {"n": 3, "temperature": 1, "stop": ["e"]},
    "logprobs": {"logprobs": True, "top_logprobs": 3},
    "logprobs-without-text": {"logprobs": True, "ignore_eos": True, "max_tokens": 60},
    "logprobs-of-all": {"logprobs": True, "top_logprobs": 20},
    "logprobs-of-several": {"logprobs": True, "n": 2, "temperature": 1},
    "bias": {"logit_bias": {"40": 5.5}},
    "object": {"response_format": {"type": "json_object"}},
    "schema": {"response_format": FORMAT, "max_tokens": 60},
    "choice": {"structured_outputs": {"choice": ["yes", "no"]}},
    "tools": {"tools": [WEATHER, CLOCK]},
    "tools-unused": {"tools": [WEATHER], "tool_choice": "none"},
    "tools-required": {"tools": [WEATHER], "tool_choice": "required", "max_tokens": 60},
    "tools-of-several": {
        "tools": [CLOCK, WEATHER], "tool_choice": "required", "max_tokens": 60, "n": 2,
        "temperature": 1,
    },
    "tool-named": {"tools": [CLOCK, WEATHER], "tool_choice": NAMED, "max_tokens": 60},
    "one-call": {
        "tools": [WEATHER], "tool_choice": "required", "max_tokens": 60,
        "parallel_tool_calls": False,
    },
    "cut-call": {"tools": [WEATHER], "tool_choice": "required", "max_tokens": 9},
    "many-tools": {"tools": [WEATHER] * 30, "tool_choice": "required", "max_tokens": 60},
    "thinking": {"chat_template_kwargs": {"thinking": True}},
    "effort": {"reasoning_effort": "high", "include_reasoning": False},
    "token-ids": {"stop_token_ids": [7], "min_tokens": 2, "skip_special_tokens": False},
}  # fmt: skip
USAGE = {"include_usage": True}
STREAMS: list[tuple[str, dict[str, Any] | None]] = [
    *((name, USAGE) for name in CHATS),
    *((name, None) for name in ("plain", "several", "schema", "tools-required")),
    *((name, {"include_usage": False}) for name in ("plain", "logprobs")),
    *((name, USAGE | {"continuous_usage_stats": True}) for name in ("plain", "tools")),
]


def followed(server: Server) -> float:
    found = FOLLOWED.search(server.get("/v1/metrics").text)
    assert found
    return float(found[1])


def own_shape(fields: dict[str, Any]) -> dict[str, Any]:
    """A request of a shape that no other test has."""
    return {
        "messages": QUESTION,
        "temperature": 0,
        "max_tokens": 12,
        "seed": next(_seeds),
        **fields,
    }


def whole(server: Server, body: dict[str, Any]) -> Any:
    response = server.post(CHAT, body)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert re.fullmatch("chatcmpl-[0-9a-f]{32}", answer.pop("id"))
    assert answer.pop("created") > 1_700_000_000
    for choice in answer["choices"]:
        for call in choice["message"].get("tool_calls", []):
            assert call.pop("id")
    return answer


class Streamed(NamedTuple):
    """What does not depend on how an answer was cut into frames, nor on their order."""

    texts: dict[int, str]
    """By choice."""

    calls: dict[tuple[int, int], list[str]]
    """Names and arguments, by choice and call."""

    logprobs: dict[int, list[Any]]
    beside: list[Any]
    """What else there is in frames, each once."""


def streamed(server: Server, body: dict[str, Any]) -> Streamed:
    with stream(server.url + CHAT, body) as response:
        frames = list(events(response))
    assert frames.pop() == DONE
    assert len({(frame.pop("id"), frame.pop("created")) for frame in frames}) == 1
    seen = Streamed(defaultdict(str), {}, defaultdict(list), [])
    for frame in frames:
        for choice in frame["choices"]:
            index, delta = choice["index"], choice["delta"]
            seen.texts[index] += delta.pop("content", None) or ""
            logprobs = choice.pop("logprobs", None)
            seen.logprobs[index] += logprobs["content"] if logprobs else []
            for call in delta.pop("tool_calls", []):
                named = seen.calls.setdefault((index, call["index"]), ["", ""])
                named[0] += call["function"].get("name") or ""
                named[1] += call["function"].get("arguments") or ""
        if frame not in seen.beside:
            seen.beside.append(frame)
    seen.beside.sort(key=str)
    return seen


@pytest.mark.parametrize("name", CHATS)
def test_it_is_the_same_answer(server: Server, name: str) -> None:
    body = own_shape(CHATS[name])
    expected = whole(server, body | LONG_WAY)
    for _ in range(2):
        assert whole(server, body) == expected
    before = followed(server)
    for _ in range(2):
        assert whole(server, body) == expected
    assert followed(server) == before + 2


@pytest.mark.parametrize(("name", "usage"), STREAMS)
def test_it_is_the_same_stream(server: Server, name: str, usage: dict[str, Any] | None) -> None:
    body = own_shape(CHATS[name] | {"stream_options": usage})
    expected = streamed(server, body | LONG_WAY)
    for _ in range(2):
        assert streamed(server, body) == expected
    before = followed(server)
    for _ in range(2):
        assert streamed(server, body) == expected
    assert followed(server) == before + 2


@pytest.mark.parametrize("name", ["plain", "several", "schema", "tools-required"])
@pytest.mark.parametrize("ask", [whole, streamed])
def test_each_gets_the_answer_to_its_own_text(
    server: Server, ask: Callable[[Server, Any], Any], name: str
) -> None:
    shape = own_shape(CHATS[name])
    texts = [f"What is {number} and {number}?" for number in range(8)]

    def asked(text: str, fields: dict[str, Any]) -> Any:
        return ask(server, shape | {"messages": [{"role": "user", "content": text}]} | fields)

    with ThreadPoolExecutor(len(texts)) as at_once:
        expected = list(at_once.map(asked, texts, [LONG_WAY] * len(texts)))
        for _ in range(2):
            asked("?", {})
        before = followed(server)
        assert list(at_once.map(asked, texts, [{}] * len(texts))) == expected
    assert followed(server) == before + len(texts)


MORE: dict[str, dict[str, Any]] = {
    "documents": {"documents": [{"title": "t", "text": "?"}]},
    "priority": {"priority": 1},
    "unknown": {"unheard-of": 1},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}]}]},
    "name": {"messages": [{"role": "user", "content": "?", "name": "x"}]},
    "developer": {"messages": [{"role": "developer", "content": "?"}, *QUESTION]},
}


@pytest.mark.parametrize("name", MORE)
def test_what_has_more_than_text_goes_vllms_way(server: Server, name: str) -> None:
    body = own_shape({"max_tokens": 2} | MORE[name])
    before = followed(server)
    for _ in range(3):
        whole(server, body)
    assert followed(server) == before


def test_a_prompt_that_is_too_long_is_refused_by_a_routine_too(server: Server) -> None:
    body = own_shape({"max_tokens": 2})
    for _ in range(3):
        whole(server, body)
    for length in (20_000, 4_000_000):
        content = "word " * (length // 5)
        refused = server.post(CHAT, body | {"messages": [{"role": "user", "content": content}]})
        if length > 1_000_000:
            assert_error(refused, 400, "context_length_exceeded")
        else:
            assert refused.status_code == 200
    whole(server, body)


def test_what_is_refused_is_refused_each_time(server: Server) -> None:
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"model": "nobody"}, 404, "model_not_found"),
        ({"max_tokens": -1}, 400, "invalid_request"),
        ({"max_tokens": 10**6}, 400, "invalid_request"),
        ({"stop": ["a"] * 100}, 400, "invalid_request"),
        ({"messages": [QUESTION[0]] * 10_000}, 400, "invalid_request"),
    ]
    for fields, status, code in cases:
        body = own_shape(fields)
        for _ in range(3):
            assert_error(server.post(CHAT, body), status, code)
