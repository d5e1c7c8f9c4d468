"""A grammar that was found to be sound is not looked at again; one that was not, is."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from vllm.config import StructuredOutputsConfig
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import SamplingParams, StructuredOutputsParams
from vllm.v1.structured_output import backend_xgrammar

from engine.vllm.sound_grammars import SoundGrammars, remember_grammars
from tests.support.calls import times_called

MAKERS = {"from_json_schema", "from_structural_tag", "from_ebnf"}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
WRONG = {"type": "object", "properties": {"name": {"type": "strung"}}}


def tag(schema: Any) -> str:
    content = {"type": "json_schema", "json_schema": schema}
    between = {"type": "tag", "begin": "<a>", "content": content, "end": "</a>"}
    return json.dumps({"type": "structural_tag", "format": between})


def times_made(work: Callable[[], object]) -> int:
    """How many grammars xgrammar makes while it runs."""
    return times_called(MAKERS, work)


def validate(**asked: Any) -> None:
    """As vLLM does it for each request."""
    model: Any = SimpleNamespace(is_diffusion=False)
    tokenizer: Any = object()
    SamplingParams(
        structured_outputs=StructuredOutputsParams(**asked)
    )._validate_structured_outputs(model, StructuredOutputsConfig(backend="xgrammar"), tokenizer)


@pytest.fixture(autouse=True)
def remembering() -> None:
    remember_grammars()
    remember_grammars()  # another engine of the same process


@pytest.mark.parametrize(
    "asked",
    [
        {"json": SCHEMA},
        {"json": json.dumps(SCHEMA)},
        {"structural_tag": tag(SCHEMA)},
        {"grammar": 'root ::= "yes" | "no"'},
    ],
)
def test_each_is_looked_at_once(asked: dict[str, Any]) -> None:
    assert times_made(lambda: validate(**asked)) == 1
    assert times_made(lambda: validate(**asked)) == 0


def test_one_that_differs_in_a_letter_is_another() -> None:
    for name in ("first", "second"):
        schema = {"type": "object", "properties": {name: {"type": "integer"}}}
        assert times_made(lambda schema=schema: validate(json=schema)) == 1  # type: ignore[misc]  # it is bound


@pytest.mark.parametrize("asked", [{"json": WRONG}, {"structural_tag": tag(WRONG)}])
def test_what_is_refused_is_refused_each_time_in_the_same_words(asked: dict[str, Any]) -> None:
    said = set()
    for _ in range(3):
        with pytest.raises(VLLMValidationError) as refused:
            validate(**asked)
        said.add(str(refused.value))
    assert len(said) == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"choice": ["yes", "no"]},  # which vLLM replaces by a grammar
        {"regex": "[a-z]+"},
        {"json_object": True},
        {"json": {"type": "string", "default": 1 << 70}},  # which few make JSON of
    ],
)
def test_the_others_are_vllms_alone(asked: dict[str, Any]) -> None:
    assert times_made(lambda: validate(**asked)) == times_made(lambda: validate(**asked))


def test_a_choice_becomes_a_grammar_each_time() -> None:
    for _ in range(2):
        params = SamplingParams(structured_outputs=StructuredOutputsParams(choice=["a", "b"]))
        backend_xgrammar.validate_xgrammar_grammar(params)
        assert params.structured_outputs is not None
        assert params.structured_outputs.grammar
        assert params.structured_outputs.choice is None


def test_a_tag_that_is_no_text_is_vllms_to_refuse() -> None:
    with pytest.raises((TypeError, ValueError)):
        validate(structural_tag={"type": "structural_tag"})


def test_those_that_came_first_are_forgotten() -> None:
    grammars = SoundGrammars()
    looked: list[int] = []
    for number in [*range(5000), 4999, 0]:
        grammars.look_at("", str(number), lambda number=number: looked.append(number))  # type: ignore[misc]  # it is bound
    assert looked == [*range(5000), 0]
