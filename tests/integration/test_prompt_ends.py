"""What is generated behind a long prompt has the same text behind the prompt's end; no engine."""

import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models
from vllm.v1.engine.detokenizer import FastIncrementalDetokenizer
from vllm.v1.engine.output_processor import RequestState

from engine.vllm.added_requests import tell_of_requests
from engine.vllm.prompt_ends import begin_behind_end, end_of
from engine.vllm.token_texts import NO_LETTER
from tests.support.stepped_engine import TEXT, Engine, run, some_tokens, texts_after_each


async def texts(engine: Engine, prompt: list[int] | None, tokens: list[int]) -> list[str]:
    engine.request.prompt_token_ids = prompt
    return await texts_after_each(engine, tokens)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("skip_special_tokens", [True, False])
def test_each_token_has_the_text_that_it_has_behind_all_of_the_prompt(
    demo: Path, seed: int, skip_special_tokens: bool
) -> None:
    async def scenario() -> None:
        chance = random.Random(seed)  # noqa: S311  # the same each time
        whole, short = (Engine(demo, skip_special_tokens=skip_special_tokens) for _ in range(2))
        tell_of_requests(short.processor, begin_behind_end)
        prompt = some_tokens(whole, chance, 300)
        tokens = some_tokens(whole, chance, 30)
        assert await texts(short, prompt, tokens) == await texts(whole, prompt, tokens)

    run(scenario)


def ends(engine: Engine, prompt: list[int]) -> list[int] | None:
    return end_of(prompt, engine.tokenizer._tokenizer, skip_special_tokens=True)


def test_a_prompt_that_ends_with_a_whole_letter_is_short(demo: Path) -> None:
    engine = Engine(demo)
    long = engine.ids(TEXT * 300)
    assert ends(engine, long) == long[-16:]


def test_a_prompt_that_ends_within_a_letter_or_without_any_is_not(demo: Path) -> None:
    engine = Engine(demo)
    long = engine.ids(TEXT * 10)
    fox = engine.ids("🦊")
    assert NO_LETTER in engine.tokenizer.decode(fox[:1])
    assert ends(engine, [*long, fox[0]]) is None
    assert ends(engine, [*long, *[engine.tokenizer.eos_token_id] * 16]) is None


def test_a_vocabulary_in_which_tokens_depend_on_others_is_left_to_vllm() -> None:
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))  # noqa: S106
    words.decoder = decoders.WordPiece()
    assert end_of([0, 1] * 200, words, skip_special_tokens=True) is None


def test_a_prompt_of_embeddings_has_none(demo: Path) -> None:
    async def scenario() -> None:
        engine = Engine(demo)
        tell_of_requests(engine.processor, begin_behind_end)
        engine.request.prompt_embeds = torch.zeros(600, 8)
        assert (await texts(engine, None, engine.ids(TEXT)))[-1] == TEXT

    run(scenario)


def stream_of(state: RequestState) -> object:
    detokenizer = state.detokenizer
    assert isinstance(detokenizer, FastIncrementalDetokenizer)
    return detokenizer.stream


@pytest.mark.parametrize(("prompt_tokens", "is_short"), [(300, True), (20, False)])
def test_a_long_prompt_gets_a_stream_of_its_end(
    demo: Path, prompt_tokens: int, is_short: bool
) -> None:
    async def scenario() -> None:
        engine = Engine(demo)
        engine.request.prompt_token_ids = (engine.ids(TEXT) * 20)[-prompt_tokens:]
        made = []
        tell_of_requests(
            engine.processor, lambda added: made.append(stream_of(added.state)), begin_behind_end
        )
        await engine.generation.admit()
        state = engine.processor.request_states["id"]
        assert (stream_of(state) is not made[0]) is is_short

    run(scenario)
