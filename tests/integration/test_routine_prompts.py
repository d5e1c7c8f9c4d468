"""The prompt of a routine is the one that vLLM's renderer makes."""

import asyncio
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMValidationError
from vllm.renderers.base import BaseRenderer
from vllm.renderers.params import ChatParams, TokenizeParams
from vllm.renderers.registry import renderer_from_config

from engine.vllm.routine.prompt import Prompts
from engine.vllm.routine.shape import shape_of

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
    arguments = AsyncEngineArgs(model=str(demo), dtype="float32", enforce_eager=True)
    # vLLM prepares this process to be an engine; the servers of other tests would inherit it.
    with patch.dict(os.environ):
        found: BaseRenderer[Any] = renderer_from_config(arguments.create_engine_config())
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
    try:
        _, (expected,) = renderer.render_chat([messages], given, TOKENS)
    except VLLMValidationError:
        with pytest.raises(Exception, match="alternate"):
            asyncio.run(prompts.of_messages(messages))
        return
    found = asyncio.run(prompts.of_messages(messages))
    assert (found.text, found.token_ids) == (expected["prompt"], expected["prompt_token_ids"])
