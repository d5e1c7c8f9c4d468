"""Text of tokens that are looked up is what vLLM decodes, whatever they are."""

import random
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast
from vllm.v1.engine.detokenizer import IncrementalDetokenizer

from engine.vllm.token_texts import Vocabularies
from tests.support.calls import times_called
from tests.support.stepped_engine import (
    Engine,
    Wire,
    begin,
    run,
    some_tokens,
    texts_after_each,
    turn,
)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("skip_special_tokens", [True, False])
def test_each_step_has_the_text_that_vllm_gives_it(
    demo: Path, seed: int, skip_special_tokens: bool
) -> None:
    async def scenario() -> None:
        texts: list[list[str]] = []
        times_read = []
        for goes_short in (False, True):
            engine = Engine(demo, skip_special_tokens=skip_special_tokens)
            if not goes_short:
                engine.generation.gates = None
            chance = random.Random(seed)  # noqa: S311  # the same each time
            texts.append(await texts_after_each(engine, some_tokens(engine, chance, 300)))
            times_read.append(engine.times_read)
        assert texts[0] == texts[1]
        assert times_read[0] > 100 > times_read[1]

    run(scenario)


def test_special_tokens_that_are_skipped_have_nothing_decoded(demo: Path) -> None:
    async def scenario() -> None:
        engine, wire = Engine(demo), Wire()
        running = await begin(await engine.open(), wire)
        words, end = engine.ids("Once upon a time, and then"), engine.tokenizer.eos_token_id
        await engine.feed(words[:5])

        def end_now_and_then() -> None:
            for token in (end, end, words[5], end, words[6]):
                engine.step(token)

        assert times_called({"decode_next"}, end_now_and_then) == 0
        await turn()
        assert wire.text() == engine.tokenizer.decode(words[:7])
        running.cancel()

    run(scenario)


def known(tokenizer: Any, engine: Engine, **params: Any) -> Any:
    for name, value in params.items():
        setattr(engine.request.sampling_params, name, value)
    return Vocabularies().of(IncrementalDetokenizer.from_new_request(tokenizer, engine.request))  # type: ignore[arg-type]  # one that detokenizes


def test_what_is_looked_up_has_been_decoded_once(demo: Path) -> None:
    engine = Engine(demo)
    texts = known(engine.tokenizer, engine)
    fox = engine.ids("🦊")
    assert len(fox) > 1
    assert "".join(texts[token] for token in engine.ids("Once upon")) == "Once upon"
    words = len(texts)
    assert [texts[token] for token in fox] == [None] * len(fox)
    assert texts[engine.tokenizer.eos_token_id] == ""  # it is skipped, wherever it stands
    assert texts[1 << 40] is None
    assert len(texts) == words + len(set(fox)) + 1  # what is no token is not kept


@pytest.mark.parametrize(
    "decoder", [decoders.Metaspace(), decoders.WordPiece(), decoders.ByteFallback(), None]
)
def test_a_vocabulary_whose_texts_depend_on_each_other_has_none(demo: Path, decoder: Any) -> None:
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "c": 2}, unk_token="a"))  # noqa: S106
    if decoder is not None:
        words.decoder = decoder
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words)  # type: ignore[no-untyped-call]
    assert known(tokenizer, Engine(demo)) is None


def test_one_that_looks_back_for_special_tokens_has_none(demo: Path) -> None:
    engine = Engine(demo)
    options = {"skip_special_tokens": False, "spaces_between_special_tokens": False}
    assert known(engine.tokenizer, engine, **options) is None
