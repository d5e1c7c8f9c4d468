"""What one request may ask for."""

from dataclasses import replace
from typing import Any

import pytest

from engine.errors import InvalidRequestError
from tests.support.limits import DEFAULTS

SMALL = replace(
    DEFAULTS,
    messages=2, inputs=4, n=3, stop=2, tools=2, schema_bytes=64, schema_depth=3, max_tokens=10,
)  # fmt: skip
LONG = {"description": "x" * 64}
DEEP: dict[str, Any] = {"a": {"b": {"c": {}}}}


def tool(schema: object) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": schema}}


@pytest.mark.parametrize(
    ("field", "request_body"),
    [
        ("messages", {"messages": [{}] * 3}),
        ("input", {"input": [{}] * 5}),
        ("prompt", {"prompt": ["a"] * 5}),
        ("passages", {"passages": [{"text": "a"}] * 5}),
        ("documents", {"query": "a", "documents": ["a"] * 5}),
        ("text_1", {"text_1": ["a"] * 5, "text_2": ["a"] * 4}),
        ("prompt", {"prompt": [[1], [2]], "n": 3}),
        ("stop", {"stop": ["a", "b", "c"]}),
        ("stop_sequences", {"stop_sequences": ["a", "b", "c"]}),
        ("tools", {"tools": [{}] * 3}),
        ("n", {"n": 4}),
        ("n", {"n": 10**100}),
        ("max_tokens", {"max_tokens": 11}),
        ("max_completion_tokens", {"max_completion_tokens": 11}),
        ("max_output_tokens", {"max_output_tokens": 11}),
        ("response_format", {"response_format": {"json_schema": {"schema": LONG}}}),
        ("response_format", {"response_format": {"json_schema": {"schema": DEEP}}}),
        ("text.format", {"text": {"format": {"schema": LONG}}}),
        ("structured_outputs.json", {"structured_outputs": {"json": DEEP}}),
        ("structured_outputs.json", {"structured_outputs": {"json": "[" * 4 + "]" * 4}}),
        ("structured_outputs.json", {"structured_outputs": {"json": "[" * 50}}),
        ("structured_outputs.regex", {"structured_outputs": {"regex": "a" * 65}}),
        ("structured_outputs.choice", {"structured_outputs": {"choice": ["a" * 40, "b" * 40]}}),
        ("tools[0]", {"tools": [tool(LONG)]}),
        ("tools[1]", {"tools": [tool({}), tool(DEEP)]}),
        ("tools[0]", {"tools": [{"type": "function", "name": "f", "parameters": DEEP}]}),
        ("tools[0]", {"tools": [{"name": "f", "input_schema": DEEP}]}),
    ],
    ids=repr,
)
def test_too_much_is_refused_by_name(field: str, request_body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        SMALL.check(request_body)
    assert caught.value.param == field
    assert field in str(caught.value)


@pytest.mark.parametrize(
    "request_body",
    [
        {},
        {"messages": [{}] * 2, "tools": [tool({"a": {}})] * 2, "stop": ["a", "b"], "n": 3},
        {"prompt": [1] * 100, "n": 3},
        {"input": [1] * 100},
        {"prompt": [[1] * 100] * 2, "n": 2},
        {"stop": "a", "max_tokens": 10},
        {"response_format": {"json_schema": {"schema": {"a": {"b": {}}}}}},
    ],
    ids=repr,
)
def test_as_much_as_is_allowed_passes(request_body: dict[str, Any]) -> None:
    SMALL.check(request_body)


@pytest.mark.parametrize("value", [None, 1, 1.5, "x", True, [], [None], {"a": None}], ids=repr)
@pytest.mark.parametrize(
    "field",
    ["messages", "prompt", "tools", "n", "max_tokens", "response_format", "structured_outputs"],
)
def test_a_wrong_type_is_left_to_the_validation(field: str, value: object) -> None:
    SMALL.check({field: value})


def test_nesting_is_looked_at_no_deeper_than_it_may_be() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidRequestError, match="structured_outputs"):
        replace(SMALL, schema_bytes=10**9).check({"structured_outputs": {"grammar": deep}})


def test_limits_are_said_in_json_schema_as_they_are_checked() -> None:
    texts = {"type": "array", "items": {"type": "string"}}
    fields: dict[str, Any] = {
        "messages": {"type": "array", "items": {}},
        "prompt": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, texts]},
        "stop": {"anyOf": [{"type": "string"}, {**texts, "maxItems": 1}]},
        "n": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        "max_tokens": {"type": "integer"},
    }
    SMALL.bound(fields)
    assert fields == {
        "messages": {"type": "array", "items": {}, "maxItems": 2},
        "prompt": {
            "anyOf": [{"type": "array", "items": {"type": "integer"}}, {**texts, "maxItems": 4}]
        },
        "stop": {"anyOf": [{"type": "string"}, {**texts, "maxItems": 1}]},
        "n": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 3}, {"type": "null"}]},
        "max_tokens": {"type": "integer", "maximum": 10},
    }
