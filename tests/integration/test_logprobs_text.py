"""Logprobs are written as vLLM's models of them are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from vllm.entrypoints.openai.chat_completion.protocol import (
    ChatCompletionLogProb,
    ChatCompletionLogProbs,
    ChatCompletionLogProbsContent,
)
from vllm.logprobs import FlatLogprobs, Logprob
from vllm.outputs import CompletionOutput

from engine.vllm.routine.logprobs_text import LogprobsText

TOKENS = some.text(some.characters(exclude_categories=["Cs"]))
LOGPROBS = some.floats(max_value=0, width=32) | some.just(float("nan"))
POSITIONS = some.dictionaries(
    some.integers(0, 10), some.builds(Logprob, LOGPROBS, some.just(1), TOKENS), min_size=1
)


def completion(token_ids: list[int], positions: Any) -> CompletionOutput:
    return CompletionOutput(0, "", token_ids, None, positions)


def unusual(completion: CompletionOutput) -> ChatCompletionLogProbs:
    raise AssertionError(completion)


def entry(said: Logprob) -> dict[str, Any]:
    token = said.decoded_token
    assert token is not None
    return {
        "token": token,
        "logprob": max(said.logprob, -9999.0),
        "bytes": list(token.encode("utf-8", errors="replace")),
    }


@given(some.lists(POSITIONS, max_size=3), some.sampled_from([None, -1, 0, 1, 5]))
def test_they_are_written_as_vllms_models_are(
    positions: list[dict[int, Logprob]], top_logprobs: int | None
) -> None:
    most = {None: 0, -1: 100}.get(top_logprobs, top_logprobs)
    content = [
        ChatCompletionLogProbsContent(
            **entry(next(iter(position.values()))),
            top_logprobs=[
                ChatCompletionLogProb(**entry(said)) for said in [*position.values()][:most]
            ],
        )
        for position in positions
    ]
    expected = ChatCompletionLogProbs(content=content).model_dump_json(exclude_unset=True)
    sampled = [next(iter(position)) for position in positions]
    flat = FlatLogprobs()
    flat.extend(positions)
    for kind in (positions, flat):
        written = LogprobsText(top_logprobs, unusual).of(completion(sampled, kind))
        assert written.decode() == expected


@pytest.mark.parametrize("position", [None, {}, {2: Logprob(-1.0)}, {1: Logprob(-1.0, 1, None)}])
def test_what_is_unusual_is_vllms_to_write(position: Any) -> None:
    usual = {1: Logprob(-1.0, 1, "a")}
    vllms = ChatCompletionLogProbs.model_validate({"content": [{"token": "b", "bytes": [98]}]})
    text = LogprobsText(1, lambda _: vllms)
    for positions in ([position, usual], [usual, position]):
        assert text.of(completion([1, 1], positions)).decode() == vllms.model_dump_json(
            exclude_unset=True
        )


def test_a_token_without_a_position_is_an_error() -> None:
    for positions in (None, [], [{1: Logprob(-1.0, 1, "a")}]):
        with pytest.raises(ValueError, match="zip"):
            LogprobsText(1, unusual).of(completion([1, 1], positions))
