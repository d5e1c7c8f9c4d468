"""LiteLLM as a library, by OpenAI's route and by Anthropic's."""

import json
import os

import litellm
import pytest

ASK = {"messages": [{"role": "user", "content": "What is unigate?"}], "max_tokens": 200}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
ROUTES = {"openai/unigate-demo": "/v1", "anthropic/unigate-demo": ""}


@pytest.fixture(params=ROUTES)
def route(request):
    where = os.environ["URL"] + ROUTES[request.param]
    return {"model": request.param, "api_base": where, "api_key": "none", "num_retries": 0}


def test_a_whole_answer(route):
    answer = litellm.completion(**route, **ASK)
    assert "unigate" in answer.choices[0].message.content
    assert answer.usage.completion_tokens > 5


def test_a_streamed_answer(route):
    chunks = list(litellm.completion(**route, **ASK, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "unigate" in text
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_streamed_tool_call(route):
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    ask = {"messages": messages, "tools": [WEATHER], "max_tokens": 200, "temperature": 0}
    answer = litellm.stream_chunk_builder(list(litellm.completion(**route, **ask, stream=True)))
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}


def test_a_value_that_is_refused(route):
    with pytest.raises(litellm.BadRequestError, match="top_p"):
        litellm.completion(**route, **ASK, top_p=7)


def test_a_model_that_is_not_served(route):
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(**{**route, "model": route["model"] + "-99"}, **ASK)


def test_a_prompt_too_long_is_what_litellm_calls_it(route):
    long = {**ASK, "messages": [{"role": "user", "content": "x " * 50_000}]}
    with pytest.raises(litellm.BadRequestError) as caught:
        litellm.completion(**route, **long)
    if route["model"].startswith("openai/"):
        assert isinstance(caught.value, litellm.ContextWindowExceededError)
