"""The table that turns errors into HTTP."""

import json

import pytest

from app.errors import RULES, render_error, response_to, rule_for
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


def test_the_body_is_openais() -> None:
    body = json.loads(render_error(ContextLengthError("too long", param="prompt")))
    assert body == {
        "error": {
            "message": "too long",
            "type": "invalid_request_error",
            "param": "prompt",
            "code": "context_length_exceeded",
        }
    }


def test_a_server_on_its_way_down_closes_the_connection() -> None:
    assert response_to(errors.EngineDrainingError("bye")).headers["connection"] == "close"
