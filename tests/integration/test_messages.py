"""Anthropic's dialect, on the real engine."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.errors import assert_error
from tests.support.server import Server
from tests.support.weather import MESSAGES_TOOL

PATH = "/v1/messages"
BODY: dict[str, Any] = {
    "model": "unigate-demo",
    "max_tokens": 64,
    "temperature": 0,
    "messages": [{"role": "user", "content": "What is unigate?"}],
}
CALL = {
    **BODY,
    "tools": [MESSAGES_TOOL],
    "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
}


def events(server: Server, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a streamed message; each one's name is its type."""

    def read(response: httpx.Response) -> Iterator[dict[str, Any]]:
        for block in response.read().decode().split("\n\n")[:-1]:
            name, data = block.split("\n")
            event = json.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            yield event

    with httpx.stream("POST", server.url + PATH, json={**body, "stream": True}) as response:
        assert response.status_code == 200
        assert response.headers["request-id"]
        return list(read(response))


# Kind of a delta → its field.
DELTAS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}


def blocks(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The content that the events add up to, block by block, each begun and ended once."""
    content = [event for event in found if event["type"].startswith("content_block_")]
    built: list[dict[str, Any]] = []
    while content:
        start = content.pop(0)
        assert (start["type"], start["index"]) == ("content_block_start", len(built))
        block = start["content_block"]
        while (event := content.pop(0))["type"] == "content_block_delta":
            field = DELTAS[event["delta"]["type"]]
            block[field] = block.get(field, "") + event["delta"][field]
        assert (event["type"], event["index"]) == ("content_block_stop", len(built))
        if "partial_json" in block:
            block["input"] = json.loads(block.pop("partial_json"))
        built.append(block)
    return built


def test_a_whole_message_has_anthropics_shape(server: Server) -> None:
    response = server.post(PATH, BODY)
    message = response.json()
    assert response.headers["request-id"] == response.headers["x-request-id"]
    assert message["id"].startswith("msg_")
    (block,) = message["content"]
    assert set(block) == {"type", "text"}
    assert "unigate" in block["text"]
    expected = {
        "type": "message",
        "role": "assistant",
        "model": "unigate-demo",
        "stop_reason": "end_turn",
        "stop_sequence": None,
    }
    assert expected.items() <= message.items()
    assert set(message["usage"]) >= {"input_tokens", "output_tokens"}


def test_a_streamed_message_says_what_the_whole_one_says(server: Server) -> None:
    whole = server.post(PATH, BODY).json()
    found = events(server, BODY)
    start, ping, *_, delta, stop = found
    assert start["type"] == "message_start"
    assert start["message"]["id"].startswith("msg_")
    assert start["message"]["content"] == []
    assert start["message"]["usage"]["input_tokens"] == whole["usage"]["input_tokens"]
    assert ping == {"type": "ping"}
    assert delta["type"] == "message_delta"
    assert delta["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert delta["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    assert stop == {"type": "message_stop"}
    assert blocks(found) == whole["content"]


def test_a_tool_is_called_whole_and_streamed(server: Server) -> None:
    whole = server.post(PATH, CALL).json()
    (block,) = whole["content"]
    assert block["type"] == "tool_use"
    assert block["name"] == "get_weather"
    assert block["input"] == {"city": "Paris"}
    assert whole["stop_reason"] == "tool_use"
    found = events(server, CALL)
    (streamed,) = blocks(found)
    assert streamed["input"] == block["input"]
    assert streamed["name"] == block["name"]
    assert found[-2]["delta"]["stop_reason"] == "tool_use"


def test_a_result_of_a_tool_is_answered_in_words(server: Server) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 degrees, sunny"}
    turns = [
        *CALL["messages"],
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    (block,) = server.post(PATH, {**CALL, "messages": turns}).json()["content"]
    assert block["type"] == "text"
    assert "18" in block["text"]


@pytest.mark.parametrize("max_tokens", range(4, 24, 4))
def test_a_call_that_is_cut_off_is_no_error(server: Server, max_tokens: int) -> None:
    message = server.post(PATH, {**CALL, "max_tokens": max_tokens}).json()
    assert message["stop_reason"] in {"max_tokens", "tool_use"}


def test_thinking_comes_as_a_block_of_its_own_when_it_is_asked_for(server: Server) -> None:
    body = {
        **BODY,
        "max_tokens": 2000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    thinking, text = server.post(PATH, body).json()["content"]
    assert thinking["type"] == "thinking"
    assert thinking["thinking"]
    assert thinking["signature"]
    assert text["type"] == "text"
    streamed, said = blocks(events(server, body))
    assert streamed["thinking"] == thinking["thinking"]
    assert said["text"] == text["text"]


def test_a_stop_sequence_is_named(server: Server) -> None:
    text = server.post(PATH, BODY).json()["content"][0]["text"]
    stop = text.split()[3]
    message = server.post(PATH, {**BODY, "stop_sequences": [stop]}).json()
    assert message["stop_reason"] == "stop_sequence"
    assert message["stop_sequence"] == stop


def test_tokens_are_counted_as_the_message_will_count_them(server: Server) -> None:
    asked = {name: BODY[name] for name in ("model", "messages")}
    counted = server.post(f"{PATH}/count_tokens", asked).json()
    assert counted == {"input_tokens": server.post(PATH, BODY).json()["usage"]["input_tokens"]}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 0},
        {"max_tokens": 10**6},
        {"max_tokens": None},
        {"messages": []},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "text"}, 5]}]},
        {"temperature": -1},
        {"tools": [{"name": "x"}]},
        {"tool_choice": {"type": "tool"}},
        {"tool_choice": {"type": "tool", "name": "nobody"}},
        {"tool_choice": {"type": "tool", "name": "nobody"}, "tools": [MESSAGES_TOOL]},
        {"tool_choice": {"type": "any"}},
        {"thinking": {"type": "enabled", "budget_tokens": 5}},
    ],
    ids=str,
)
def test_a_field_out_of_bounds_is_refused_before_the_first_byte(
    server: Server, fields: dict[str, Any], streamed: bool
) -> None:
    response = server.post(PATH, {**BODY, **fields, "stream": streamed})
    assert assert_error(response, 400, "invalid_request")["type"] == "invalid_request_error"
