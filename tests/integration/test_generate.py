"""Chat and completions, streamed and whole, on the real engine."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel
from vllm.entrypoints.anthropic.protocol import AnthropicStreamEvent
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionStreamResponse
from vllm.entrypoints.openai.completion.protocol import CompletionStreamResponse

from tests.support.load import in_flight
from tests.support.server import Server
from tests.support.sse import DONE, events, stream, text_of
from tests.support.wait import wait_until

MESSAGES = [{"role": "user", "content": "What is unigate?"}]


def test_a_streamed_answer_says_what_the_whole_one_says(server: Server) -> None:
    body = {"messages": MESSAGES, "temperature": 0, "max_tokens": 40}
    whole = server.post("/v1/chat/completions", body).json()
    with stream(server.url + "/v1/chat/completions", body) as response:
        chunks = list(events(response))
    assert chunks[-1] == DONE
    assert text_of(chunks) == whole["choices"][0]["message"]["content"]
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]


def test_a_stream_has_one_id_and_starts_with_the_role(server: Server) -> None:
    with stream(
        server.url + "/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 8}
    ) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        chunks = list(events(response))[:-1]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"


def test_usage_comes_last_when_it_is_asked_for(server: Server) -> None:
    body = {
        "messages": MESSAGES,
        "max_tokens": 5,
        "ignore_eos": True,
        "stream_options": {"include_usage": True},
    }
    with stream(server.url + "/v1/chat/completions", body) as response:
        *_, usage, done = events(response)
    assert done == DONE
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 5


MANY_STOPS = [f"never-{number}" for number in range(31)]


@pytest.mark.parametrize(
    "stop", ["unigate", ["unigate"], [*MANY_STOPS, "unigate"]], ids=["text", "list", "many"]
)
def test_an_answer_stops_at_a_stop_string(server: Server, stop: str | list[str]) -> None:
    body = {"messages": MESSAGES, "temperature": 0, "stop": stop}
    (choice,) = server.post("/v1/chat/completions", body).json()["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["stop_reason"] == "unigate"
    assert "unigate" not in choice["message"]["content"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_n_answers_come_for_n(server: Server, streamed: bool) -> None:
    body = {"prompt": "The server", "n": 3, "max_tokens": 4, "stream": streamed}
    response = server.post("/v1/completions", body)
    if streamed:
        chunks = [chunk for chunk in events(response) if chunk != DONE]
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
    else:
        choices = response.json()["choices"]
    assert {choice["index"] for choice in choices} == {0, 1, 2}


def test_several_prompts_are_answered_in_one_request(server: Server) -> None:
    body = {"prompt": ["One", "Two"], "max_tokens": 3, "temperature": 0}
    choices = server.post("/v1/completions", body).json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]


def test_logprobs_come_when_asked_for(server: Server) -> None:
    body = {"messages": MESSAGES, "max_tokens": 3, "logprobs": True, "top_logprobs": 2}
    choice = server.post("/v1/chat/completions", body).json()["choices"][0]
    assert all(len(item["top_logprobs"]) == 2 for item in choice["logprobs"]["content"])


def test_a_stop_string_ends_the_answer(server: Server) -> None:
    body = {"messages": MESSAGES, "temperature": 0, "max_tokens": 40}
    text = server.post("/v1/chat/completions", body).json()["choices"][0]["message"]["content"]
    stop = text.split()[2]
    choice = server.post("/v1/chat/completions", {**body, "stop": [stop]}).json()["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert stop not in choice["message"]["content"]


def test_the_same_seed_gives_the_same_answer(server: Server) -> None:
    body = {"messages": MESSAGES, "temperature": 1.5, "seed": 7, "max_tokens": 20}
    first, second = (
        server.post("/v1/chat/completions", body).json()["choices"][0]["message"]["content"]
        for _ in range(2)
    )
    assert first == second


def test_fields_nobody_knows_are_accepted(server: Server) -> None:
    body = {"messages": MESSAGES, "max_tokens": 1, "x_field_of_tomorrow": {"a": 1}}
    assert server.post("/v1/chat/completions", body).status_code == 200


def test_the_models_list_names_the_served_model(server: Server) -> None:
    listed = server.get("/v1/models").json()
    assert listed["object"] == "list"
    (entry,) = listed["data"]
    assert entry["id"] == entry["root"] == "unigate-demo"
    assert entry["max_model_len"] >= 8192
    assert server.get("/v1/models/unigate-demo").json() == entry


def test_the_clients_request_id_is_echoed_and_not_used_for_the_engine(server: Server) -> None:
    response = server.post(
        "/v1/chat/completions",
        {"messages": MESSAGES, "max_tokens": 1, "request_id": "mine-too"},
        headers={"x-request-id": "mine"},
    )
    assert response.headers["x-request-id"] == "mine"
    assert "mine" not in response.json()["id"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 129], ids=["empty", "space", "long"])
def test_a_request_id_that_cannot_be_logged_is_replaced(server: Server, given: str) -> None:
    response = server.get("/v1/models", headers={"x-request-id": given})
    assert response.headers["x-request-id"] not in {"", given}


def test_vllms_metrics_and_ours_are_in_one_place(server: Server) -> None:
    text = server.get("/v1/metrics").text
    assert "\nunigate_state 5.0\n" in text
    assert "vllm:num_requests_running" in text


CHOICE = ["aardvark", "zebra"]


@pytest.mark.parametrize(
    "fields",
    [
        {"structured_outputs": {"choice": CHOICE}},
        {"guided_choice": CHOICE},
        {"nvext": {"guided_choice": CHOICE}},
    ],
    ids=["vllm", "older-vllm", "nim-1"],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_guided_answer_is_one_of_the_choices_however_it_is_asked_for(
    server: Server, path: str, fields: dict[str, object]
) -> None:
    body = {"messages": MESSAGES, "prompt": "A", "max_tokens": 20, **fields}
    (choice,) = server.post(path, body).json()["choices"]
    assert (choice.get("text") or choice["message"]["content"]) in CHOICE


FRAMES: dict[str, tuple[str, dict[str, Any], type[BaseModel]]] = {
    "chat": ("/v1/chat/completions", {"messages": MESSAGES}, ChatCompletionStreamResponse),
    "completion": ("/v1/completions", {"prompt": "The server"}, CompletionStreamResponse),
    "messages": (
        "/v1/messages",
        {"model": "unigate-demo", "messages": MESSAGES},
        AnthropicStreamEvent,
    ),
}


@pytest.mark.parametrize("route", FRAMES)
def test_every_frame_is_as_vllms_own_models_write_it(server: Server, route: str) -> None:
    path, body, model = FRAMES[route]
    with stream(server.url + path, {**body, "temperature": 0, "max_tokens": 60}) as response:
        assert response.status_code == 200, response.read()
        frames = [line[6:] for line in response.iter_lines() if line.startswith("data: ")]
    ours = [frame for frame in frames if frame not in (DONE, '{"type": "ping"}')]
    assert len(ours) > 10
    for frame in ours:
        # Anthropic's envelope has a version of its own: id and usage are put right after vLLM.
        if '"message_start"' not in frame:
            assert model.model_validate_json(frame).model_dump_json(exclude_unset=True) == frame


def test_a_long_prompt_whose_answer_is_whole_keeps_nobody_waiting(server: Server) -> None:
    long = {
        "messages": [{"role": "user", "content": "the " * 4000}],
        "max_tokens": 1000,
        "ignore_eos": True,
    }
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(server.post, "/v1/chat/completions", long)
        wait_until(lambda: in_flight(server) == 1, within_s=10, what="it is there")
        for _ in range(3):
            short = {"messages": MESSAGES, "max_tokens": 1}
            assert server.post("/v1/chat/completions", short).status_code == 200
        assert not answer.done()
        assert answer.result().json()["usage"]["completion_tokens"] == 1000
