"""Which chats have a routine, and when one is learned."""

import asyncio
from typing import Any

import pytest
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

from engine.answer import Answer, Stream, Whole
from engine.vllm.routine.routines import Routines
from engine.vllm.routine.shape import shape_of

SYSTEM = {"role": "system", "content": "Be brief."}
QUESTION = [{"role": "user", "content": "What is unigate?"}]


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


def test_a_request_that_is_nested_too_deep_has_no_shape() -> None:
    deep: Any = {}
    for _ in range(1000):
        deep = {"properties": deep}
    assert shape_of({"messages": QUESTION, "response_format": deep}) is None


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
