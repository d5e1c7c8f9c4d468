"""NVIDIA's classes for LangChain, unmodified, told this server's address as if it were NIM's."""

import enum
import os
from typing import Literal

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_nvidia_ai_endpoints import ChatNVIDIA
from pydantic import BaseModel

BASE_URL = os.environ["URL"] + "/v1"


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city"""
    return f"18 degrees in {city}, sunny"


class Sky(BaseModel):
    sky: Literal["clear", "cloudy"]
    warm: bool


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


@pytest.fixture
def chat():
    return ChatNVIDIA(
        model="unigate-demo", base_url=BASE_URL, temperature=0, max_completion_tokens=100
    )


def test_an_answer(chat):
    answer = chat.invoke("What is unigate?")
    assert "unigate" in answer.text
    assert answer.usage_metadata["output_tokens"] > 5
    assert answer.response_metadata["finish_reason"] == "stop"


def test_a_stream_adds_up_and_counts(chat):
    whole = chat.invoke("What is unigate?")
    chunks = list(chat.stream("What is unigate?"))
    assert len(chunks) > 5
    assert "".join(chunk.text for chunk in chunks) == whole.text
    counted = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert counted[-1]["total_tokens"] == whole.usage_metadata["total_tokens"]


@pytest.mark.filterwarnings("ignore:.*not known to support tools")
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_tool_is_called_and_its_result_is_answered(chat, streamed):
    asked = HumanMessage("What is the weather in Paris?")
    with_tools = chat.bind_tools([get_weather])
    if streamed:
        call = None
        for chunk in with_tools.stream([asked]):
            call = chunk if call is None else call + chunk
    else:
        call = with_tools.invoke([asked])
    (wanted,) = call.tool_calls
    assert (wanted["name"], wanted["args"]) == ("get_weather", {"city": "Paris"})
    assert "18" in with_tools.invoke([asked, call, get_weather.invoke(wanted)]).text


@pytest.mark.parametrize("form", [0, 1, 2], ids=["response_format", "guided", "nvext"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("schema", "follows"),
    [
        (Sky, lambda found: isinstance(found, Sky)),
        (Sky.model_json_schema(), Sky.model_validate),
        (Mood, lambda found: isinstance(found, Mood)),
    ],
    ids=["pydantic", "dict", "enum"],
)
@pytest.mark.filterwarnings("ignore:.*not known to support structured output")
@pytest.mark.filterwarnings("ignore:Enum structured output is not guaranteed")
def test_structured_output_in_each_form_it_is_asked_for(chat, form, streamed, schema, follows):
    # The client goes from one form to the next until one works, and would hide that one does not.
    chain = chat.with_structured_output(schema).chains[form]
    asked = "What is unigate?"
    found = list(chain.stream(asked))[-1] if streamed else chain.invoke(asked)
    assert follows(found)


def test_the_served_model_is_listed_and_is_the_default():
    with pytest.warns(UserWarning, match="Default model is set as: unigate-demo"):
        chat = ChatNVIDIA(base_url=BASE_URL)
    assert chat.model == "unigate-demo"
    (model,) = chat.available_models
    assert (model.id, model.base_model) == ("unigate-demo", "unigate-demo")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model": "meta/llama-99"}, "model_not_found"),
        ({"temperature": 9}, "temperature"),
    ],
    ids=["model", "temperature"],
)
def test_a_refusal_says_why(chat, fields, says):
    with pytest.raises(Exception, match=says):
        chat.invoke("What is unigate?", **fields)
