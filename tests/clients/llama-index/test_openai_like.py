"""LlamaIndex's OpenAILike, unmodified."""

import os

import openai
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike


@pytest.fixture
def llm():
    return OpenAILike(
        model="unigate-demo",
        api_base=os.environ["URL"] + "/v1",
        api_key="none",
        is_chat_model=True,
        is_function_calling_model=True,
        temperature=0,
        max_retries=0,
    )


ASK = [ChatMessage(role="user", content="What is unigate?")]


def test_a_chat(llm):
    assert "unigate" in llm.chat(ASK).message.content


def test_a_streamed_chat(llm):
    deltas = [chunk.delta or "" for chunk in llm.stream_chat(ASK)]
    assert len(deltas) > 5
    assert "".join(deltas) == llm.chat(ASK).message.content


def test_a_completion(llm):
    assert "unigate" in llm.complete("What is unigate?").text


def get_weather(city: str) -> str:
    """Get the current weather in a city"""
    return f"18 degrees in {city}, sunny"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_tool_is_called(llm, streamed):
    tools = [FunctionTool.from_defaults(get_weather)]
    asked = "What is the weather in Paris?"
    if streamed:
        answer = list(llm.stream_chat_with_tools(tools, user_msg=asked))[-1]
    else:
        answer = llm.chat_with_tools(tools, user_msg=asked)
    (call,) = llm.get_tool_calls_from_response(answer)
    assert (call.tool_name, call.tool_kwargs) == ("get_weather", {"city": "Paris"})


def test_a_refusal_is_openais_error(llm):
    with pytest.raises(openai.BadRequestError) as caught:
        llm.chat(ASK, temperature=-1)
    assert caught.value.param == "temperature"
