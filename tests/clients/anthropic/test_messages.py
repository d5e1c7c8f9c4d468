"""Anthropic's Python SDK, unmodified."""

import os

import anthropic
import pytest

MODEL = "unigate-demo"
ASK = {
    "model": MODEL,
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "What is unigate?"}],
}
WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


@pytest.fixture(scope="module")
def client():
    return anthropic.Anthropic(base_url=os.environ["URL"], api_key="none", max_retries=0)


def test_a_whole_message(client):
    message = client.messages.create(**ASK)
    assert message.id.startswith("msg_")
    assert message.role == "assistant"
    assert message.stop_reason == "end_turn"
    assert "unigate" in message.content[0].text
    assert message.usage.output_tokens > 5
    assert message._request_id


def test_a_streamed_message_adds_up(client):
    with client.messages.stream(**ASK) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert "unigate" in text
    assert message.content[0].text == text
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 5


def test_a_tool_is_called_and_its_result_is_answered(client):
    ask = {**ASK, "messages": [{"role": "user", "content": "What is the weather in Paris?"}]}
    with client.messages.stream(**ask, tools=[WEATHER]) as stream:
        message = stream.get_final_message()
    (call,) = message.content
    assert message.stop_reason == "tool_use"
    assert (call.name, call.input) == ("get_weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees, sunny"}
    turns = [
        *ask["messages"],
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result]},
    ]
    answer = client.messages.create(**{**ask, "messages": turns}, tools=[WEATHER])
    assert "18" in answer.content[0].text


def test_thinking_is_a_block_that_can_be_sent_back(client):
    ask = {**ASK, "max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    with client.messages.stream(**ask) as stream:
        message = stream.get_final_message()
    thinking, _ = message.content
    assert thinking.type == "thinking"
    assert thinking.signature
    turns = [
        *ask["messages"],
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": "Who are you?"},
    ]
    assert client.messages.create(**{**ask, "messages": turns}).content


def test_tokens_are_counted(client):
    counted = client.messages.count_tokens(model=MODEL, messages=ASK["messages"])
    assert counted.input_tokens == client.messages.create(**ASK).usage.input_tokens


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"model": "claude-99"}, anthropic.NotFoundError),
        ({"max_tokens": 0}, anthropic.BadRequestError),
        ({"messages": []}, anthropic.BadRequestError),
        ({"messages": [{"role": "user", "content": "x " * 50_000}]}, anthropic.BadRequestError),
    ],
    ids=["model", "max_tokens", "no messages", "too long"],
)
def test_a_refusal_is_the_sdks_error_with_an_id(client, fields, kind):
    with pytest.raises(kind) as caught:
        client.messages.create(**{**ASK, **fields})
    assert caught.value.request_id
    assert caught.value.body["type"] == "error"
