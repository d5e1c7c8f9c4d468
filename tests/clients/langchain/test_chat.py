"""LangChain's ChatOpenAI, unmodified, in both of OpenAI's dialects."""

import os
from typing import Literal

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city"""
    return f"18 degrees in {city}, sunny"


class Sky(BaseModel):
    sky: Literal["clear", "cloudy"]
    warm: bool


@pytest.fixture(params=[False, True], ids=["chat completions", "responses"])
def chat(request):
    return ChatOpenAI(
        model="unigate-demo",
        base_url=os.environ["URL"] + "/v1",
        api_key="none",
        temperature=0,
        max_retries=0,
        use_responses_api=request.param,
    )


def test_an_answer(chat):
    answer = chat.invoke("What is unigate?")
    assert "unigate" in answer.text
    assert answer.usage_metadata["output_tokens"] > 5


def test_a_stream_adds_up(chat):
    whole = chat.invoke("What is unigate?")
    chunks = list(chat.stream("What is unigate?"))
    assert len(chunks) > 5
    assert "".join(chunk.text for chunk in chunks) == whole.text


def test_a_batch(chat):
    answers = chat.batch(["What is unigate?"] * 4)
    assert len({answer.text for answer in answers}) == 1


def test_a_tool_is_called_and_its_result_is_answered(chat):
    asked = HumanMessage("What is the weather in Paris?")
    with_tools = chat.bind_tools([get_weather])
    call = with_tools.invoke([asked])
    assert isinstance(call, AIMessage)
    (wanted,) = call.tool_calls
    assert (wanted["name"], wanted["args"]) == ("get_weather", {"city": "Paris"})
    result = get_weather.invoke(wanted)
    assert isinstance(result, ToolMessage)
    assert "18" in with_tools.invoke([asked, call, result]).text


def test_a_streamed_tool_call_adds_up(chat):
    whole = None
    for chunk in chat.bind_tools([get_weather]).stream("What is the weather in Paris?"):
        whole = chunk if whole is None else whole + chunk
    (wanted,) = whole.tool_calls
    assert (wanted["name"], wanted["args"]) == ("get_weather", {"city": "Paris"})


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_an_answer_follows_a_schema(chat, method):
    sky = chat.with_structured_output(Sky, method=method)
    assert isinstance(sky.invoke("How is the sky?"), Sky)
    assert isinstance(list(sky.stream("How is the sky?"))[-1], Sky)
