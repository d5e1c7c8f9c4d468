"""A token decoded on its own has the text that Transformers gives it, the second time, too."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vllm.tokenizers import get_tokenizer
from vllm.tokenizers.detokenizer_utils import convert_ids_list_to_tokens
from vllm.v1.engine.output_processor import OutputProcessor

from engine.vllm.single_tokens import remember_single_tokens
from tests.support.calls import times_called
from tests.support.stepped_engine import Engine


@pytest.fixture(scope="module")
def plain(demo: Path) -> Any:
    return get_tokenizer(str(demo))


@pytest.fixture
def remembering(plain: Any) -> Any:
    return remember_single_tokens(plain)


def times_decoded(work: Callable[[], object]) -> int:
    return times_called({"_decode"}, work)


def test_each_is_what_it_was_and_is_decoded_once(plain: Any, remembering: Any) -> None:
    everything = list(range(len(plain)))
    texts = convert_ids_list_to_tokens(plain, everything)
    assert convert_ids_list_to_tokens(remembering, everything) == texts
    again: list[str] = []
    once_more = times_decoded(
        lambda: again.extend(convert_ids_list_to_tokens(remembering, everything))
    )
    assert once_more == 0
    assert again == texts


def test_several_at_once_and_other_ways_to_ask_are_not_confused_with_it(
    plain: Any, remembering: Any
) -> None:
    first, second = plain.encode("Hello world", add_special_tokens=False)[:2]
    special = plain.all_special_ids[0]
    remembering.decode([first])
    remembering.decode([special])
    for asked in ([], [first, second], first, (first,), [[first]]):
        assert remembering.decode(asked) == plain.decode(asked)
    for skip in (True, False):
        mine = remembering.decode([special], skip_special_tokens=skip)
        assert mine == plain.decode([special], skip_special_tokens=skip)
    assert remembering.decode([special]) == plain.decode([special])


def test_the_tokenizer_it_is_of_stays_as_it_is(plain: Any, remembering: Any) -> None:
    assert remembering is not plain
    assert type(plain).decode is not type(remembering).decode
    assert times_decoded(lambda: [plain.decode([5]), plain.decode([5])]) == 2


def test_what_is_no_token_is_refused_each_time(plain: Any, remembering: Any) -> None:
    for _ in range(2):
        with pytest.raises(OverflowError):
            plain.decode([-1])
        with pytest.raises(OverflowError):
            remembering.decode([-1])


def test_vllm_decodes_logprobs_with_the_one_that_its_processor_has(
    demo: Path, remembering: Any
) -> None:
    processor = OutputProcessor(remembering, log_stats=True)
    engine = Engine(demo, name="a", processor=processor, logprobs=2)
    asyncio.run(engine.generation.admit())
    logprobs = processor.request_states["a"].logprobs_processor
    assert logprobs is not None
    assert logprobs.tokenizer is remembering


def test_none_of_transformers_and_none_at_all_are_let_be() -> None:
    other: Any = object()
    assert remember_single_tokens(other) is other
    assert remember_single_tokens(None) is None
