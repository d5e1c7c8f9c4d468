"""Which fields of a request nobody knows, and what is told of them."""

import logging
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel, Field

from engine.vllm.contract import Contract
from engine.vllm.unknown_fields import UnknownFields


class Text(BaseModel):
    text: str
    old: str = Field("", alias="former")


class Chat(BaseModel):
    messages: list[str]
    many: list[str] = Field([], validation_alias=AliasChoices("several", "several[]"))


def made(counted: list[tuple[str, int]]) -> UnknownFields:
    contracts = {
        "POST /both": Contract(errors=(), request=Text | Chat),
        "POST /text": Contract(errors=(), request=Text, foreign=frozenset({"nvext"})),
        "GET /nothing": Contract(errors=()),
    }
    return UnknownFields(contracts, lambda route, count: counted.append((route, count)))


def test_each_route_with_a_body_is_there_from_the_start() -> None:
    counted: list[tuple[str, int]] = []
    made(counted)
    assert counted == [("/both", 0), ("/text", 0)]


@pytest.mark.parametrize(
    ("route", "request_body", "count"),
    [
        ("POST /both", {"text": "x", "messages": [], "old": 1, "former": 1, "many": []}, 0),
        ("POST /both", {"several": [], "several[]": []}, 0),
        ("POST /text", {"text": "x", "nvext": {}}, 0),
        ("POST /both", {"nvext": {}}, 1),
        ("POST /text", {"messages": [], "text ": "", "": 0, "text": "x"}, 3),
    ],
    ids=str,
)
def test_only_what_a_route_does_not_know_is_counted(
    route: str, request_body: dict[str, Any], count: int
) -> None:
    counted: list[tuple[str, int]] = []
    made(counted).note(route, request_body)
    expected = [(route.removeprefix("POST "), count)] if count else []
    assert counted[2:] == expected


def test_the_log_has_the_beginning_of_some_names(caplog: pytest.LogCaptureFixture) -> None:
    fields = {f"{number:03}" + "x" * 10_000: 1 for number in range(500)}
    with caplog.at_level(logging.DEBUG, "engine.vllm.unknown_fields"):
        made([]).note("POST /text", fields)
    (record,) = caplog.records
    shown = vars(record)["fields"]
    assert [name[:4] for name in shown] == [f"{number:03}x" for number in range(10)]
    assert sum(map(len, shown)) <= 400
