"""The documents of a routine are vLLM's, with other values in them."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from vllm.entrypoints.openai.chat_completion.protocol import (
    ChatCompletionResponse,
    ChatCompletionResponseChoice,
    ChatMessage,
)
from vllm.entrypoints.serve.engine.protocol import UsageInfo
from vllm.outputs import CompletionOutput, RequestOutput

from engine.vllm.routine.answers import Document, Frames, each
from engine.vllm.routine.blanks import Blanks

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
