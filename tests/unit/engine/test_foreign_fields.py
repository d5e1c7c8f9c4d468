"""What clients of NIM 1.x and older versions of vLLM send."""

from typing import Any

import pytest

from engine.errors import InvalidRequestError
from engine.foreign_fields import translate_fields


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ({"guided_json": {"type": "object"}}, {"json": {"type": "object"}}),
        ({"guided_regex": "a+"}, {"regex": "a+"}),
        ({"guided_choice": ["a", "b"]}, {"choice": ["a", "b"]}),
        ({"guided_grammar": "root ::= a"}, {"grammar": "root ::= a"}),
        (
            {"guided_json": "{}", "guided_whitespace_pattern": " ?"},
            {"json": "{}", "whitespace_pattern": " ?"},
        ),
    ],
)
@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nvext"])
def test_guided_decoding_becomes_structured_outputs(
    sent: dict[str, Any], meant: dict[str, Any], nested: bool
) -> None:
    request = {"model": "m", **({"nvext": dict(sent)} if nested else dict(sent))}
    translate_fields(request)
    assert request == {"model": "m", "structured_outputs": meant}


def test_what_is_at_the_top_wins_over_nvext() -> None:
    request = {"top_k": 1, "nvext": {"top_k": 2, "min_p": 0.5, "max_thinking_tokens": 7}}
    translate_fields(request)
    assert request == {"top_k": 1, "min_p": 0.5, "thinking_token_budget": 7}


@pytest.mark.parametrize(
    ("param", "request_body"),
    [
        ("nvext", {"nvext": "text"}),
        ("nvext", {"nvext": [1]}),
        ("nvext.unheard_of", {"nvext": {"unheard_of": 1}}),
        ("structured_outputs", {"guided_json": {}, "structured_outputs": {"regex": "a"}}),
        ("functions", {"functions": [{"name": "f"}]}),
        ("function_call", {"function_call": {"name": "f"}}),
        ("audio", {"audio": {"voice": "alloy"}}),
        ("modalities", {"modalities": ["text", "audio"]}),
        ("web_search_options", {"web_search_options": {}}),
        ("best_of", {"best_of": 5}),
    ],
    ids=repr,
)
def test_what_has_no_meaning_here_is_refused_by_name(
    param: str, request_body: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        translate_fields(request_body)
    assert caught.value.param == param


def test_what_changes_nothing_is_left_out_or_alone() -> None:
    request: dict[str, Any] = {
        "nvext": None, "guided_json": None, "guided_decoding_backend": "outlines",
        "modalities": ["text"], "best_of": 1, "functions": [], "store": True, "user": "u",
    }  # fmt: skip
    translate_fields(request)
    assert request == {
        "modalities": ["text"], "best_of": 1, "functions": [], "store": True, "user": "u",
    }  # fmt: skip
