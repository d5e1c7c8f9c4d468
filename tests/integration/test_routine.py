"""A chat whose like was answered before goes a shorter way, and is answered alike."""

import asyncio
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from vllm.entrypoints.openai.chat_completion.protocol import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    ChatCompletionResponseChoice,
    ChatMessage,
)
from vllm.entrypoints.serve.engine.protocol import UsageInfo
from vllm.outputs import CompletionOutput, RequestOutput

from engine.answer import Answer, Stream, Whole
from engine.vllm.routine.answers import Document, Frames, each
from engine.vllm.routine.blanks import Blanks
from engine.vllm.routine.routines import Routines
from engine.vllm.routine.shape import shape_of
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


def test_each_gets_the_answer_to_its_own_text(server: Server) -> None:
    shape = own_shape({})
    texts = [f"What is {number} and {number}?" for number in range(12)]

    def asked(text: str, fields: dict[str, Any]) -> Any:
        return whole(server, shape | {"messages": [{"role": "user", "content": text}]} | fields)

    expected = [asked(text, LONG_WAY) for text in texts]
    for _ in range(2):
        asked("?", {})
    before = followed(server)
    with ThreadPoolExecutor(len(texts)) as at_once:
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


def test_a_shape_is_all_but_the_text() -> None:
    one = {"messages": QUESTION, "max_tokens": 1}
    other = {"messages": [SYSTEM, *QUESTION], "max_tokens": 1, "user": "x"}
    assert shape_of(one) == shape_of(other) is not None
    for value in (True, 1.0, 2, None, "1"):
        assert shape_of({**one, "max_tokens": value}) != shape_of(one)


@pytest.mark.parametrize(
    "messages",
    [
        None, "text", [], [None], [{}], [{"role": "user"}], [{"content": "?"}],
        [{"role": "user", "content": None}], [{"role": "user", "content": ""}],
        [{"role": "tool", "content": "?"}], [{"role": ["user"], "content": "?"}],
        [{"role": "user", "content": ["?"]}], {"role": "user", "content": "?"},
        [{"role": "system", "content": "x-anthropic-billing-header: 1\nBe brief."}],
        [{"role": "user", "content": "?", "tool_calls": []}],
    ],
)  # fmt: skip
def test_messages_of_other_kinds_have_no_shape(messages: object) -> None:
    assert shape_of({"messages": messages}) is None


def test_a_request_without_end_has_no_shape() -> None:
    assert shape_of({"messages": QUESTION, "stop": ["x" * 20_000]}) is None
    assert shape_of({"messages": QUESTION, "user": 7}) is None


ANSWERED = Whole(b"{}")


async def answer() -> Answer:
    return ANSWERED


def asking(user: str) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate({"messages": QUESTION, "user": user})


def test_clients_cannot_fill_the_memory_with_shapes() -> None:
    learned = []

    async def learn(asked: Any, request: Any, handed_over: Any) -> None:
        assert asked == request
        assert not handed_over
        learned.append(request.user)

    async def scenario() -> None:
        routines = Routines(learn)
        for number in range(3000):
            shape = b"%d" % number
            request = asking(str(number))
            for _ in range(3):
                assert await routines.watch(shape, request, answer()) is ANSWERED
        assert learned == [str(number) for number in range(3000)]
        assert len(routines._known) == len(routines._seen) == 256

    asyncio.run(scenario())


def test_what_cannot_be_learned_is_answered_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    async def learn(asked: Any, request: Any, handed_over: Any) -> None:
        raise RuntimeError("vLLM has changed")

    async def scenario() -> None:
        routines = Routines(learn)
        for _ in range(4):
            assert await routines.watch(b"shape", asking("x"), answer()) is ANSWERED
            assert routines.of(b"shape") is None

    asyncio.run(scenario())
    assert [record.message for record in caplog.records] == ["engine.routine_not_learned"]


def test_a_client_that_leaves_while_is_learned_takes_the_stream_along() -> None:
    closed = []
    learning = asyncio.Event()

    async def learn(asked: Any, request: Any, handed_over: Any) -> None:
        learning.set()
        await asyncio.sleep(60)

    async def write(wire: Any) -> None:
        raise AssertionError("nobody is there to read it")

    async def close() -> None:
        closed.append(True)

    async def streamed() -> Answer:
        return Stream(write, close)

    async def scenario() -> None:
        routines = Routines(learn)
        await routines.watch(b"shape", asking("x"), streamed())
        second = asyncio.ensure_future(routines.watch(b"shape", asking("x"), streamed()))
        await learning.wait()
        second.cancel()
        await asyncio.wait({second})
        assert second.cancelled()
        assert closed == [True]

    asyncio.run(scenario())


ANY_TEXT = some.text(some.characters(exclude_categories=["Cs"]), min_size=1)


@given(ANY_TEXT, ANY_TEXT)
def test_a_document_is_what_stands_around_its_values(before: str, after: str) -> None:
    document = f'{{"{before}":"the text","{after}":17}}'
    blanks = Blanks.of(document, {"text": '"the text"', "number": ":17"})
    if blanks is None:
        assert "the text" in before + after or ":17" in before + after
        return
    assert blanks.filled({b"text": b'"the text"', b"number": b":17"}) == document.encode()


@pytest.mark.parametrize("document", ["", "a", "aXbX", "X%(text)bX"])
def test_a_value_that_is_not_there_once_makes_no_document(document: str) -> None:
    assert Blanks.of(document, {"text": "X"}) is None


def output(text: str, tokens: int, finish_reason: str | None) -> RequestOutput:
    completion = CompletionOutput(0, text, [1] * tokens, None, None, finish_reason=finish_reason)
    return RequestOutput("id", None, [1] * 5, None, [completion], finish_reason is not None)


async def frames_that_vary(outputs: Any, name: str) -> Any:
    """As frames would be that tell how much there has been."""
    so_far = 0
    async for it in outputs:
        so_far += 1
        completion = it.outputs[0]
        if so_far == 1:
            yield f'data: {{"id":"{name}","created":1700000000}}\n\n'
        finish = ',"finish_reason":"stop","stop_reason":null' if it.finished else ""
        text = f'"{completion.text}"'
        yield f'data: {{"id":"{name}","created":1700000000,"text":{text},"n":{so_far}{finish}}}\n\n'
    yield "data: [DONE]\n\n"


async def frames_without(outputs: Any, name: str) -> Any:
    async for it in outputs:
        yield f'data: {{"id":"{name}","created":1700000000,"text":"{it.outputs[0].text}"}}\n\n'
    yield "data: [DONE]\n\n"


@pytest.mark.parametrize("streamed_by", [frames_that_vary, frames_without])
def test_frames_of_another_make_are_not_learned(streamed_by: Any) -> None:
    assert asyncio.run(Frames.of(streamed_by)) is None


@settings(deadline=None)
@given(ANY_TEXT, some.integers(1, 10**6), some.sampled_from(["stop", "length"]))
def test_a_document_of_vllms_is_filled_in_as_vllm_does(
    text: str, tokens: int, finish_reason: str
) -> None:
    async def made(outputs: Any, name: str) -> Any:
        async for it in outputs:
            last = it
        completion = last.outputs[0]
        there, here = len(last.prompt_token_ids), len(completion.token_ids)
        return ChatCompletionResponse(
            id=name,
            created=1_700_000_000,
            model="100 %(id)b",
            choices=[
                ChatCompletionResponseChoice(
                    index=0,
                    message=ChatMessage(role="assistant", content=completion.text),
                    finish_reason=completion.finish_reason,
                )
            ],
            usage=UsageInfo(prompt_tokens=there, completion_tokens=here, total_tokens=there + here),
        )

    async def scenario() -> None:
        document = await Document.of(made)
        assert document is not None
        last = output(text, tokens % 50, finish_reason)
        theirs = (await made(each(last), "chatcmpl-1")).model_dump_json().encode()
        assert document.filled("chatcmpl-1", 1_700_000_000, last) == theirs

    asyncio.run(scenario())
