"""The table that turns errors into HTTP."""

import json
from typing import Any

import pytest

from app.errors import RULES, event_of, response_to, rule_for
from engine import errors
from engine.errors import ContextLengthError, EngineError
from tests.support.errors import TYPES


def every_kind(base: type[EngineError]) -> list[type[EngineError]]:
    kinds = [base]
    for child in base.__subclasses__():
        kinds += every_kind(child)
    return kinds


@pytest.mark.parametrize("kind", every_kind(EngineError), ids=lambda kind: kind.__name__)
def test_every_error_has_a_row_of_its_own(kind: type[EngineError]) -> None:
    assert kind in RULES


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_every_row_is_in_openais_vocabulary(rule: object) -> None:
    assert rule.type in TYPES  # type: ignore[attr-defined]  # parametrize knows no types


def test_codes_tell_the_errors_apart() -> None:
    codes = [rule.code for rule in RULES.values()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_whoever_may_come_again_is_told_when(kind: type[EngineError]) -> None:
    rule = RULES[kind]
    if rule.status in {429, 503}:
        assert rule.retry_after_s is not None
        assert 0 < rule.retry_after_s <= 120


def test_a_subclass_without_a_row_takes_the_one_above() -> None:
    class NewError(errors.OverloadedError):
        pass

    assert rule_for(NewError("x")).code == "overloaded"


def scope(path: str) -> dict[str, Any]:
    return {"type": "http", "path": path, "state": {"request_id": "r1"}}


def test_the_body_is_openais() -> None:
    error = ContextLengthError("too long", param="prompt")
    assert json.loads(bytes(response_to(error, scope("/v1/completions")).body)) == {
        "error": {
            "message": "too long",
            "type": "invalid_request_error",
            "param": "prompt",
            "code": "context_length_exceeded",
        }
    }


def test_the_body_is_anthropics_on_its_routes() -> None:
    error = ContextLengthError("too long", param="messages")
    response = response_to(error, scope("/v1/messages"))
    assert response.status_code == 400
    assert json.loads(bytes(response.body)) == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "too long",
            "code": "context_length_exceeded",
        },
        "request_id": "r1",
    }


def test_overload_has_the_status_that_anthropics_clients_know() -> None:
    error = errors.OverloadedError("full")
    response = response_to(error, scope("/v1/messages/count_tokens"))
    assert response.status_code == 529
    assert json.loads(bytes(response.body))["error"]["type"] == "overloaded_error"
    assert response_to(error, scope("/v1/messagesx")).status_code == 503


def test_the_last_event_of_a_stream_is_written_as_its_clients_read_it() -> None:
    error = errors.EngineDeadError("gone")
    data = event_of(error, scope("/v1/completions"), 3).removeprefix(b"data: ")
    assert json.loads(data) == {
        "error": {
            "object": "error",
            "message": "gone",
            "type": "server_error",
            "param": None,
            "code": "engine_dead",
        }
    }
    assert event_of(error, scope("/v1/messages"), 3).startswith(
        b'event: error\ndata: {"type":"error"'
    )
    data = event_of(error, scope("/v1/responses/r/x"), 3).partition(b"data: ")[2]
    assert json.loads(data) == {
        "type": "error",
        "sequence_number": 3,
        "code": "engine_dead",
        "message": "gone",
        "param": None,
    }


def test_a_server_on_its_way_down_closes_the_connection() -> None:
    response = response_to(errors.EngineDrainingError("bye"), scope("/v1/completions"))
    assert response.headers["connection"] == "close"
