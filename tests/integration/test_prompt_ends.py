"""What is generated behind a long prompt has the same text behind the prompt's end; no engine."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models

from engine.vllm.prompt_ends import begin_behind_ends, end_of
from engine.vllm.token_texts import NO_LETTER
from tests.support.stepped_engine import TEXT, Engine, Wire, begin, run, turn

LETTERS = "ünï 漢字 🦊🦊 � é"


def some_tokens(engine: Engine, chance: random.Random, number: int) -> list[int]:
    """Words, parts of letters, and whatever there is."""
    words, letters = engine.ids(TEXT), engine.ids(LETTERS)
    found: list[int] = []
    while len(found) < number:
        found += chance.choice([words, letters])[chance.randrange(20) :]
        found += chance.choices(letters, k=chance.randrange(6))
        found += chance.choices(range(len(engine.tokenizer)), k=chance.randrange(4))
    return found[-number:]


async def texts(engine: Engine, prompt: list[int] | None, tokens: list[int]) -> list[str]:
    """What has arrived after each of these."""
    engine.request.prompt_token_ids = prompt
    wire = Wire()
    running = await begin(await engine.open(), wire)
    arrived = []
    for token in tokens:
        engine.step(token)
        await turn()
        arrived.append(wire.text())
    running.cancel()
    return arrived


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("skip_special_tokens", [True, False])
def test_each_token_has_the_text_that_it_has_behind_all_of_the_prompt(
    demo: Path, seed: int, skip_special_tokens: bool
) -> None:
    async def scenario() -> None:
        chance = random.Random(seed)  # noqa: S311  # the same each time
        whole, short = (Engine(demo, skip_special_tokens=skip_special_tokens) for _ in range(2))
        begin_behind_ends(short.processor)
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
        begin_behind_ends(engine.processor)
        engine.request.prompt_embeds = torch.zeros(600, 8)
        assert (await texts(engine, None, engine.ids(TEXT)))[-1] == TEXT

    run(scenario)


@pytest.mark.parametrize(("prompt_tokens", "is_short"), [(300, True), (20, False)])
def test_a_long_prompt_gets_a_stream_of_its_end(
    demo: Path, prompt_tokens: int, is_short: bool
) -> None:
    async def scenario() -> None:
        engine = Engine(demo)
        engine.request.prompt_token_ids = (engine.ids(TEXT) * 20)[-prompt_tokens:]
        made = []
        add = engine.processor.add_request

        def add_and_note(*request: Any, **options: Any) -> None:
            add(*request, **options)
            made.append(stream())

        def stream() -> object:
            detokenizer: Any = engine.processor.request_states["id"].detokenizer
            return detokenizer.stream

        engine.processor.add_request = add_and_note  # type: ignore[method-assign]
        begin_behind_ends(engine.processor)
        await engine.generation.admit()
        assert (stream() is not made[0]) is is_short

    run(scenario)
