"""A frame that is prepared from two of vLLM's is vLLM's own."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vllm.entrypoints.anthropic.protocol import AnthropicDelta, AnthropicStreamEvent
from vllm.entrypoints.generate.base.protocol import DeltaMessage
from vllm.entrypoints.openai.chat_completion.protocol import (
    ChatCompletionResponseStreamChoice,
    ChatCompletionStreamResponse,
)
from vllm.entrypoints.openai.completion.protocol import (
    CompletionResponseStreamChoice,
    CompletionStreamResponse,
)

from engine.vllm.shortcut import Example


def chat_frame(text: str) -> str:
    choice = ChatCompletionResponseStreamChoice(index=0, delta=DeltaMessage(content=text))
    chunk = ChatCompletionStreamResponse(id="chatcmpl-1", created=1, choices=[choice], model="m")
    return f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"


def completion_frame(text: str) -> str:
    choice = CompletionResponseStreamChoice(index=0, text=text)
    chunk = CompletionStreamResponse(id="cmpl-1", created=1, choices=[choice], model="m")
    return f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"


def message_frame(text: str) -> str:
    delta = AnthropicDelta(type="text_delta", text=text)
    event = AnthropicStreamEvent(index=0, type="content_block_delta", delta=delta)
    return f"event: content_block_delta\ndata: {event.model_dump_json(exclude_unset=True)}\n\n"


# Words that the frames have themselves, and what JSON has to escape.
WORDS = ["content", "text", "m", '"', "\\", "\x00", "\x1f\x7f", "\u2028", "漢", "🦊", "</script>"]


@pytest.mark.parametrize("frame_of", [chat_frame, completion_frame, message_frame])
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from(WORDS),
        min_size=3, max_size=3, unique=True,
    )
)  # fmt: skip
def test_a_prepared_frame_is_vllms_own_for_every_text(
    frame_of: Callable[[str], str], texts: list[str]
) -> None:
    first, second, third = (
        Example(frame_of(text).encode(), text, (number,)) for number, text in enumerate(texts)
    )
    frame = second.common(first)
    assert frame is not None
    assert frame.of(third.text) == third.frame
