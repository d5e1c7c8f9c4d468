"""A response has the same fields and events as from `vllm serve`.

Left out of the comparison is what differs between two requests to one server, ids and times, and
the name of the last event of an answer that was cut off: vLLM calls it completed.
"""

import json
import re
from typing import Any

import httpx
import pytest

from tests.support.server import Server
from tests.support.sse import stream
from tests.support.vllm_server import VllmServer
from tests.support.weather import RESPONSES_TOOL

PATH = "/v1/responses"
RAIN = "What is the weather in Reykjavik?"
THINKING = {"chat_template_kwargs": {"enable_thinking": True}}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "cut": {"max_output_tokens": 5},
    "long": {"max_output_tokens": 200, "ignore_eos": True},
    "instructions": {"instructions": "Be brief."},
    "conversation": {
        "input": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "What is unigate?"},
        ]
    },
    "stop": {"stop": ["unigate"]},
    "stop-unseen": {"stop": ["##"]},
    "sampling": {"temperature": 1, "seed": 7, "top_p": 0.9},
    "logprobs": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    "messages": {"enable_response_messages": True},
    "thinking": THINKING,
    "thinking-hidden": {**THINKING, "include_reasoning": False},
    "tools": {"input": RAIN, "tools": [RESPONSES_TOOL]},
    "tools-none": {"input": RAIN, "tools": [RESPONSES_TOOL], "tool_choice": "none"},
    # A call that is forced is strict here, whatever the tool says of it.
    "tools-required": {
        "input": RAIN,
        "tools": [RESPONSES_TOOL | {"strict": True}],
        "tool_choice": "required",
    },
}
VOLATILE = {"created_at", "completed_at", "sequence_number"}
ID = re.compile("(resp|msg|rs|fc|call|chatcmpl)[_-].*")


def normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: normal(item) for name, item in value.items() if name not in VOLATILE}
    if isinstance(value, list):
        return [normal(item) for item in value]
    return "an id" if isinstance(value, str) and ID.fullmatch(value) else value


def whole(url: str, body: dict[str, Any]) -> Any:
    response = httpx.post(url + PATH, json=body, timeout=120)
    assert response.status_code == 200, response.text
    return normal(response.json())


def streamed(url: str, body: dict[str, Any]) -> list[Any]:
    """The events, with runs of deltas put together: how much comes at once is a matter of time."""
    with stream(url + PATH, body, timeout_s=120) as response:
        assert response.status_code == 200, response.read()
        found = [json.loads(line[6:]) for line in response.iter_lines() if line[:6] == "data: "]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    folded: list[Any] = []
    for event in map(normal, found):
        if event.get("response", {}).get("status") == "incomplete":
            event["type"] = "response.incomplete"
        last = folded[-1] if folded else {}
        if "delta" in event and event["type"] == last.get("type"):
            last["delta"] += event["delta"]
            last["logprobs"] = last.get("logprobs", []) + event.get("logprobs", [])
        else:
            folded.append(event)
    return folded


@pytest.mark.parametrize("name", CASES)
def test_a_response_is_answered_alike(server: Server, vllm: VllmServer, name: str) -> None:
    body = {
        "model": "unigate-demo", "input": "What is unigate?", "temperature": 0,
        "max_output_tokens": 40, "store": False,
    }  # fmt: skip
    body |= CASES[name]
    assert whole(server.url, body) == whole(vllm.url, body)
    assert streamed(server.url, body) == streamed(vllm.url, body)
