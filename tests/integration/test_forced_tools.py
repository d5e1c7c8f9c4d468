"""A tool that has to be called gets arguments that its schema allows, in each dialect."""

import json
from typing import Any

import pytest

from tests.support.server import Server

# The model would copy the city from the question, so another one shows that it was held to this.
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Timbuktu"]}},
    "required": ["city"],
    "additionalProperties": False,
}
TURNS = [{"role": "user", "content": "What is the weather in Paris?"}]
NAME = "get_weather"


def by_chat(server: Server, choice: Any, **tool: Any) -> Any:
    function = {"name": NAME, "parameters": SCHEMA, **tool}
    body = {
        "messages": TURNS,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": choice,
    }
    message = ask(server, "/v1/chat/completions", body)["choices"][0]["message"]
    return json.loads(message["tool_calls"][0]["function"]["arguments"])


def by_response(server: Server, choice: Any, **tool: Any) -> Any:
    function = {"type": "function", "name": NAME, "parameters": SCHEMA, **tool}
    body = {"input": TURNS, "tools": [function], "tool_choice": choice}
    (call,) = ask(server, "/v1/responses", body)["output"]
    return json.loads(call["arguments"])


def by_message(server: Server, choice: Any, **tool: Any) -> Any:
    function = {"name": NAME, "input_schema": SCHEMA, **tool}
    body = {"messages": TURNS, "tools": [function], "tool_choice": choice, "max_tokens": 100}
    (call,) = ask(server, "/v1/messages", body)["content"]
    return call["input"]


def ask(server: Server, path: str, body: dict[str, Any]) -> Any:
    answer = server.post(path, {"model": "unigate-demo", "temperature": 0, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


CHOICES: dict[str, tuple[Any, Any]] = {
    "chat: required": (by_chat, "required"),
    "chat: named": (by_chat, {"type": "function", "function": {"name": NAME}}),
    "responses: required": (by_response, "required"),
    "responses: named": (by_response, {"type": "function", "name": NAME}),
    "messages: any": (by_message, {"type": "any"}),
    "messages: named": (by_message, {"type": "tool", "name": NAME}),
}


@pytest.mark.parametrize(("by", "choice"), CHOICES.values(), ids=CHOICES)
def test_a_forced_call_follows_the_schema(server: Server, by: Any, choice: Any) -> None:
    assert by(server, choice) == {"city": "Timbuktu"}


@pytest.mark.parametrize("by", [by_chat, by_response], ids=["chat", "responses"])
def test_a_forced_call_is_free_if_its_tool_says_so(server: Server, by: Any) -> None:
    assert by(server, "required", strict=False) == {"city": "Paris"}


@pytest.mark.parametrize("by", [by_chat, by_response], ids=["chat", "responses"])
def test_a_call_that_is_not_forced_is_free(server: Server, by: Any) -> None:
    assert by(server, "auto") == {"city": "Paris"}


BROKEN = {
    "pattern": ({"type": "string", "pattern": "("}, "parenthesis"),
    "type": ({"type": "strin"}, "strin"),
    "reference": ({"$ref": "#/nowhere"}, "nowhere"),
}


@pytest.mark.parametrize(("city", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_forced_schema_that_makes_no_grammar_is_refused_with_the_tools_name(
    server: Server, city: dict[str, str], reason: str
) -> None:
    parameters = {"type": "object", "properties": {"city": city}}
    body = {
        "model": "unigate-demo",
        "messages": TURNS,
        "tools": [{"type": "function", "function": {"name": NAME, "parameters": parameters}}],
        "tool_choice": "required",
    }
    answer = server.post("/v1/chat/completions", body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == "tools"
    assert NAME in error["message"]
    assert reason in error["message"]
