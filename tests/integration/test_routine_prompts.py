"""The prompt of a routine is the one that vLLM's renderer makes."""

import asyncio
import gc
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from vllm.exceptions import VLLMValidationError
from vllm.renderers.base import BaseRenderer
from vllm.renderers.params import ChatParams, TokenizeParams
from vllm.renderers.registry import renderer_from_config

from engine.vllm.routine.prompt import Prompts
from engine.vllm.routine.shape import shape_of
from tests.support.engine_config import engine_config

PARTS = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{% for p in m.content %}"
    "{{ p.text }}{{ p.type }}{% endfor %}{% endfor %}"
)
# As published ones do it: they trim, look for words, count, and refuse what does not alternate.
TEMPLATES = {
    "built-in": None,
    "trims": (
        "{% for m in messages %}<|im_start|>{{ m['content'] | trim }}{{ loop.index0 }}{% endfor %}"
    ),
    "looks": (
        "{% for m in messages %}{% if '</think>' in m.content %}"
        "{{ m.content.split('</think>')[-1] }}{% else %}{{ m.content }}{% endif %}{{ eos_token }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}{{ tools }}{{ documents }}"
    ),
    "parts": PARTS,
    "alternates": (
        "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Roles must alternate') }}{% endif %}{{ m.content }}{% endfor %}"
    ),
    "variables": "{{ messages | tojson }}{{ flavour }}{{ enable_thinking }}",
}
VARIABLES: dict[str, Any] = {"add_generation_prompt": True, "flavour": "salt"}
TOKENS = TokenizeParams(max_total_tokens=4096, add_special_tokens=False)


@pytest.fixture(scope="module")
def renderer(demo: Path) -> BaseRenderer[Any]:
    found: BaseRenderer[Any] = renderer_from_config(engine_config(demo))
    return found


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=60, deadline=None)
@given(
    turns=some.lists(
        some.tuples(
            some.sampled_from(["user", "assistant", "system"]),
            some.text(max_size=30)
            | some.sampled_from([" a ", "x</think>y", "<|im_end|>", "{{ 7 }}"]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_it_is_vllms(renderer: BaseRenderer[Any], name: str, turns: list[tuple[str, str]]) -> None:
    messages: list[Any] = [{"role": role, "content": content} for role, content in turns]
    if shape_of({"messages": messages}) is None:
        return  # empty texts are vLLM's
    params = ChatParams(chat_template=TEMPLATES[name], chat_template_kwargs=VARIABLES)
    prompts = Prompts.of(renderer, renderer.model_config, params, TOKENS)
    assert prompts is not None
    given = ChatParams(
        chat_template=TEMPLATES[name], chat_template_kwargs=VARIABLES | {"tokenize": False}
    )
    found = asyncio.run(prompts.of_messages(messages))
    try:
        _, (expected,) = renderer.render_chat([messages], given, TOKENS)
    except VLLMValidationError:
        assert found is None
        return
    assert found is not None
    assert (found.text, found.token_ids) == (expected["prompt"], expected["prompt_token_ids"])


def prompts_of(renderer: BaseRenderer[Any], template: str | None = None) -> Prompts:
    params = ChatParams(chat_template=template, chat_template_kwargs=VARIABLES)
    prompts = Prompts.of(renderer, renderer.model_config, params, TOKENS)
    assert prompts is not None
    return prompts


def test_a_prompt_leaves_nothing_for_the_garbage_collector(renderer: BaseRenderer[Any]) -> None:
    prompts = prompts_of(renderer)
    chat = [{"role": "user", "content": "?"}]
    for _ in range(2):
        prompts._made_of(chat)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            assert prompts._made_of(chat)[0]
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_what_the_template_leaves_nothing_of_is_vllms_to_refuse(
    renderer: BaseRenderer[Any],
) -> None:
    trims = "{% for m in messages %}{{ m.content | trim }}{% endfor %}"
    blank = [{"role": "user", "content": " \n"}]
    assert asyncio.run(prompts_of(renderer, trims).of_messages(blank)) is None


@pytest.mark.parametrize("words", [4000, 10**5], ids=["no-room", "too-long"])
def test_what_leaves_no_room_for_an_answer_is_vllms_to_refuse(
    renderer: BaseRenderer[Any], words: int
) -> None:
    context = renderer.model_config.max_model_len
    content = "word " * max(words, context)
    prompts = prompts_of(renderer)
    assert asyncio.run(prompts.of_messages([{"role": "user", "content": content}])) is None


@pytest.mark.parametrize(
    "messages",
    [[{"role": "user", "content": "word " * 300}], [{"role": "user", "content": "?"}] * 500],
    ids=["text", "messages"],
)
def test_a_long_chat_is_made_in_the_thread_and_has_arrived_before(
    renderer: BaseRenderer[Any], messages: list[Any]
) -> None:
    busy = threading.Event()

    async def scenario() -> None:
        renderer._executor.submit(busy.wait)  # type: ignore[no-untyped-call]  # vLLM's, untyped
        before_s = time.time()
        try:
            short = await prompts_of(renderer).of_messages([{"role": "user", "content": "?"}])
            assert short is not None
            making = asyncio.ensure_future(prompts_of(renderer).of_messages(messages))
            await asyncio.sleep(0.3)
            assert not making.done()
        finally:
            busy.set()
        made = await making
        assert made is not None
        assert before_s <= made.arrived_s < before_s + 0.2

    asyncio.run(scenario())
