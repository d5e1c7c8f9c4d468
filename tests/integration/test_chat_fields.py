"""Fields of a chat that clients rely on, on the real engine."""

from pathlib import Path

import pytest

from tests.support.errors import assert_error
from tests.support.load import engine_load
from tests.support.reader import Reader
from tests.support.server import Server
from tests.support.sse import DONE, events, stream
from tests.support.wait import wait_until
from tests.support.weather import CHAT_TOOL

CHAT = "/v1/chat/completions"
TWO_CITIES = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]
QUESTION = [{"role": "user", "content": "What is unigate?"}]


@pytest.mark.parametrize(("parallel", "calls"), [(None, 2), (True, 2), (False, 1)])
def test_parallel_tool_calls_says_whether_there_may_be_several(
    server: Server, parallel: bool | None, calls: int
) -> None:
    body = {"messages": TWO_CITIES, "tools": [CHAT_TOOL], "temperature": 0, "max_tokens": 120}
    if parallel is not None:
        body["parallel_tool_calls"] = parallel
    (choice,) = server.post(CHAT, body).json()["choices"]
    assert len(choice["message"]["tool_calls"]) == calls
    with stream(server.url + CHAT, body) as response:
        chunks = [chunk for chunk in events(response) if chunk != DONE]
    deltas = [
        delta
        for chunk in chunks
        for choice in chunk["choices"]
        for delta in choice["delta"].get("tool_calls") or []
    ]
    assert {delta["index"] for delta in deltas} == set(range(calls))


def test_thoughts_are_counted_among_the_tokens_of_the_answer(server: Server) -> None:
    thinking = {"enable_thinking": True, "thinking": True}
    body = {"messages": QUESTION, "temperature": 0, "max_tokens": 200}
    thought = server.post(CHAT, {**body, "chat_template_kwargs": thinking}).json()
    assert thought["choices"][0]["message"]["reasoning"]
    usage = thought["usage"]
    counted = usage["completion_tokens_details"]["reasoning_tokens"]
    assert 0 < counted < usage["completion_tokens"]
    with stream(
        server.url + CHAT,
        {**body, "chat_template_kwargs": thinking, "stream_options": {"include_usage": True}},
    ) as response:
        *_, last, _ = events(response)
    assert last["usage"]["completion_tokens_details"]["reasoning_tokens"] == counted


def test_an_effort_that_there_is_is_taken_and_another_refused_by_name(server: Server) -> None:
    body = {"messages": QUESTION, "max_tokens": 4}
    assert server.post(CHAT, {**body, "reasoning_effort": "high"}).status_code == 200
    refused = server.post(CHAT, {**body, "reasoning_effort": "silly"})
    assert assert_error(refused, 400, "invalid_request")["param"] == "reasoning_effort"


@pytest.mark.thorough
def test_who_has_priority_is_answered_first(server: Server, tmp_path: Path) -> None:
    # The engine takes four at a time, lower numbers first.
    longest = Reader(server, tmp_path / "longest", max_tokens=1500, n=3)
    shorter = Reader(server, tmp_path / "shorter", max_tokens=500)
    wait_until(lambda: engine_load(server)["running"] == 4, within_s=20, what="the engine is full")
    later = Reader(server, tmp_path / "later", max_tokens=150, priority=10)
    wait_until(lambda: engine_load(server)["waiting"] == 1, within_s=20, what="one waits")
    sooner = Reader(server, tmp_path / "sooner", max_tokens=150, priority=-10)
    assert sooner.events()[-1] == DONE
    assert not later.has_ended()
    for reader in (later, shorter, longest):
        assert reader.events()[-1] == DONE


def test_a_seeded_prompt_that_is_read_in_parts_is_answered_as_one_that_is_not(
    server: Server,
) -> None:
    """vLLM's engine ends on a CPU where torch cannot set a generator back."""
    text = "the " * 3000  # of the tokens of a step there are 2048
    body = {
        "messages": [{"role": "user", "content": text}],
        "seed": 7,
        "temperature": 1,
        "max_tokens": 16,
    }
    in_parts = server.post(CHAT, {**body, "cache_salt": "first"})
    assert in_parts.status_code == 200
    cached = server.post(CHAT, {**body, "cache_salt": "first"})  # now all but the end is known
    assert in_parts.json()["choices"] == cached.json()["choices"]
