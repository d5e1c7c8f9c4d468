"""OpenAI's Python SDK, unmodified, against the real server."""

from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.weather import CHAT_TOOL

MODEL = "unigate-demo"
# Any: plain dicts, as users write them, where the SDK declares unions of its own types.
QUESTION: Any = {"role": "user", "content": "What is unigate?"}


def test_a_whole_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=[QUESTION])
    text = answer.choices[0].message.content
    assert text is not None
    assert "unigate" in text
    assert text.endswith(".")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_streamed_answer(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=[QUESTION], temperature=0)
    stream = client.chat.completions.create(
        model=MODEL, messages=[QUESTION], temperature=0, stream=True
    )
    deltas = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert len(deltas) > 5
    assert "".join(deltas) == whole.choices[0].message.content


def test_the_models_list(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


def test_a_completion(client: OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt="The server", max_tokens=5)
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 5


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_tool_call(client: OpenAI, streamed: bool) -> None:
    messages: Any = [{"role": "user", "content": "What is the weather in Reykjavik?"}]
    options: Any = {"model": MODEL, "messages": messages, "tools": [CHAT_TOOL], "temperature": 0}
    if streamed:
        name, arguments = "", ""
        for chunk in client.chat.completions.create(**options, stream=True):
            for call in chunk.choices[0].delta.tool_calls or []:
                name += call.function.name or ""
                arguments += call.function.arguments or ""
            finish_reason = chunk.choices[0].finish_reason
    else:
        choice = client.chat.completions.create(**options).choices[0]
        (call,) = choice.message.tool_calls
        name, arguments = call.function.name, call.function.arguments
        finish_reason = choice.finish_reason
    assert name == "get_weather"
    assert arguments.replace(" ", "") == '{"city":"Reykjavik"}'
    assert finish_reason == "tool_calls"


def test_errors_arrive_as_the_sdks_own(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-99", messages=[QUESTION])
    assert caught.value.code == "model_not_found"
    assert caught.value.request_id
    long: Any = {"role": "user", "content": "hello " * 20_000}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=[long], stream=True)
    assert refused.value.code == "context_length_exceeded"
