"""/v1/responses with OpenAI's Python SDK, unmodified, on the real engine."""

import json
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.support.errors import assert_error
from tests.support.server import Server
from tests.support.wait import wait_until
from tests.support.weather import RESPONSES_TOOL

MODEL = "unigate-demo"
PATH = "/v1/responses"
ASK: dict[str, Any] = {"model": MODEL, "input": "What is unigate?", "temperature": 0}
LONG: dict[str, Any] = {
    "model": MODEL,
    "input": "Tell me a long story.",
    "extra_body": {"ignore_eos": True},
}


def test_a_response_is_kept_and_can_be_forgotten(client: OpenAI) -> None:
    made = client.responses.create(**ASK)
    assert made.status == "completed"
    assert "unigate" in made.output_text
    assert client.responses.retrieve(made.id) == made
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_what_shall_not_be_stored_is_not(client: OpenAI) -> None:
    made = client.responses.create(**ASK, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_stream_has_every_event_in_order_and_ends_with_the_whole(client: OpenAI) -> None:
    whole = client.responses.create(**ASK)
    with client.responses.stream(**ASK) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events if event.type != "response.output_text.delta"]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(events)))
    assert final.output_text == whole.output_text
    item: Any = final.output[0]
    ids = {event.item_id for event in events if hasattr(event, "item_id")}
    assert ids == {item.id}
    assert client.responses.retrieve(final.id).output_text == whole.output_text


def test_a_response_goes_on_from_the_one_before(client: OpenAI) -> None:
    first = client.responses.create(**ASK)
    second = client.responses.create(model=MODEL, input="And?", previous_response_id=first.id)
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.total_tokens
    assert second.previous_response_id == first.id


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_tool_is_called(client: OpenAI, streamed: bool) -> None:
    ask: Any = {**ASK, "input": "What is the weather in Paris?", "tools": [RESPONSES_TOOL]}
    if streamed:
        with client.responses.stream(**ask) as stream:
            parts = [
                event.delta
                for event in stream
                if event.type == "response.function_call_arguments.delta"
            ]
            made = stream.get_final_response()
        assert json.loads("".join(parts)) == {"city": "Paris"}
    else:
        made = client.responses.create(**ask)
    (call,) = made.output
    assert call.type == "function_call"
    assert call.name == "get_weather"
    assert json.loads(call.arguments) == {"city": "Paris"}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_answer_that_is_cut_off_is_incomplete(client: OpenAI, streamed: bool) -> None:
    ask: Any = {**ASK, "max_output_tokens": 5}
    if streamed:
        *_, last = client.responses.create(**ask, stream=True)
        assert last.type == "response.incomplete"
        made = last.response
    else:
        made = client.responses.create(**ask)
    assert made.status == "incomplete"
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"


def test_a_response_in_the_background_goes_on_by_itself(server: Server, client: OpenAI) -> None:
    made = client.responses.create(**LONG, background=True, max_output_tokens=200)
    assert made.status == "queued"
    assert server.get("/v1/health/ready").json()["requests"] == 1
    wait_until(
        lambda: client.responses.retrieve(made.id).status == "incomplete",
        within_s=30,
        what="it has ended",
    )
    ended = client.responses.retrieve(made.id)
    assert ended.usage is not None
    assert ended.usage.output_tokens == 200


def test_a_response_in_the_background_is_cancelled_in_the_engine(
    server: Server, client: OpenAI
) -> None:
    made = client.responses.create(**LONG, background=True)
    wait_until(
        lambda: client.responses.retrieve(made.id).status == "in_progress",
        within_s=10,
        what="it has begun",
    )
    assert client.responses.cancel(made.id).status == "cancelled"
    wait_until(
        lambda: server.get("/v1/health/ready").json()["requests"] == 0,
        within_s=5,
        what="nothing is in flight",
    )
    assert client.responses.retrieve(made.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="is cancelled"):
        client.responses.cancel(made.id)


def test_the_events_of_a_response_in_the_background_can_be_read_again(client: OpenAI) -> None:
    events = list(
        client.responses.create(**LONG, background=True, stream=True, max_output_tokens=20)
    )
    assert events[0].type == "response.created"
    again: Any = client.responses.retrieve(events[0].response.id, stream=True, starting_after=3)
    assert [event.sequence_number for event in again] == list(range(4, len(events)))


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": 5}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"background": True, "store": False}, "background"),
        ({"logit_bias": {"9999999": 1}}, "logit_bias"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        ({"prompt": {"id": "mine"}}, "prompt"),
    ],
    ids=str,
)
def test_a_field_out_of_bounds_is_refused_before_the_first_byte(
    server: Server, fields: dict[str, Any], param: str, streamed: bool
) -> None:
    response = server.post(PATH, {**ASK, **fields, "stream": streamed})
    assert assert_error(response, 400, "invalid_request")["param"] == param


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_input_too_long_says_so(server: Server, streamed: bool) -> None:
    response = server.post(PATH, {**ASK, "input": "hello " * 20_000, "stream": streamed})
    assert assert_error(response, 400, "context_length_exceeded")["param"] == "input"


def test_a_response_that_nobody_knows_is_not_found(server: Server) -> None:
    unknown = f"{PATH}/resp_unknown"
    for response in (
        server.get(unknown),
        server.post(f"{unknown}/cancel"),
        httpx.delete(server.url + unknown),
        server.post(PATH, {**ASK, "previous_response_id": "resp_unknown"}),
    ):
        assert_error(response, 404, "response_not_found")


def test_a_client_cannot_choose_the_id(client: OpenAI) -> None:
    made = client.responses.create(**ASK, extra_body={"request_id": "resp_mine"})
    assert made.id != "resp_mine"
