"""Short prompts are rendered on the event loop, and are the same prompts."""

import asyncio
import inspect
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from vllm.exceptions import VLLMValidationError
from vllm.renderers.base import BaseRenderer
from vllm.renderers.params import ChatParams
from vllm.renderers.registry import renderer_from_config

from engine.vllm.prefix_tokens import remember_prefixes
from engine.vllm.short_prompts import ShortPrompts
from engine.vllm.tokenizer_constants import borrow_less
from tests.support.engine_config import engine_config

SHORT = "Say it."
LONG = "word " * 1000


@pytest.fixture(scope="module")
def renderer(demo: Path) -> BaseRenderer[Any]:
    found: BaseRenderer[Any] = renderer_from_config(engine_config(demo))
    return found


@pytest.fixture
def is_busy(renderer: BaseRenderer[Any]) -> Iterator[None]:
    """The thread in which prompts are rendered has other work for as long as a test takes."""
    end = threading.Event()
    renderer._executor.submit(end.wait)  # type: ignore[no-untyped-call]  # vLLM's, untyped
    yield
    end.set()


def params(**variables: Any) -> ChatParams:
    return ChatParams(chat_template_kwargs={"add_generation_prompt": True} | variables)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def render(renderer: Any, messages: list[Any], chat_params: ChatParams | None = None) -> Any:
    async def in_time() -> Any:
        rendering = renderer.render_chat_async([messages], chat_params or params(tokenize=False))
        conversations, (prompt,) = await asyncio.wait_for(rendering, 0.5)
        del prompt["arrival_time"]
        return conversations, prompt

    return asyncio.run(in_time())


@pytest.mark.usefixtures("is_busy")
@pytest.mark.parametrize(
    "message",
    [
        user(SHORT),
        user([{"type": "text", "text": SHORT}]),
        {"role": "assistant", "content": None, "tool_calls": []},
    ],
    ids=["text", "parts", "no-content"],
)
def test_a_short_chat_waits_for_no_other(renderer: BaseRenderer[Any], message: Any) -> None:
    render(ShortPrompts(renderer, None), [message, user(SHORT)])


@pytest.mark.usefixtures("is_busy")
@pytest.mark.parametrize(
    ("messages", "chat_params"),
    [
        ([user(LONG)], None),
        ([user(SHORT)] * 2000, None),
        ([user(SHORT)], params(tokenize=False, tools=[{"description": LONG}])),
        ([user(SHORT)], ChatParams(chat_template="{% for i in range(10 ** 9) %}{% endfor %}")),
        ([user(iter([{"type": "text", "text": SHORT}]))], None),
    ],
    ids=["text", "messages", "tools", "template", "iterator"],
)
def test_what_may_be_long_is_left_to_the_thread(
    renderer: BaseRenderer[Any], messages: list[Any], chat_params: ChatParams | None
) -> None:
    with pytest.raises(TimeoutError):
        render(ShortPrompts(renderer, None), messages, chat_params)


def test_media_are_left_to_what_can_wait_for_them(renderer: BaseRenderer[Any]) -> None:
    picture = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/"}}
    with pytest.raises(ValueError, match="not a multimodal model") as refused:
        render(ShortPrompts(renderer, None), [user([picture])])
    assert "parse_chat_messages_async" in [entry.name for entry in refused.traceback]


@pytest.mark.usefixtures("is_busy")
def test_a_short_text_waits_for_no_other(renderer: BaseRenderer[Any]) -> None:
    async def complete(text: str) -> Any:
        rendering = ShortPrompts(renderer, None).render_cmpl_async([{"prompt": text}])
        return await asyncio.wait_for(rendering, 0.5)

    (prompt,) = asyncio.run(complete(SHORT))
    assert renderer.get_tokenizer().decode(prompt["prompt_token_ids"]).endswith(SHORT)
    with pytest.raises(TimeoutError):
        asyncio.run(complete(LONG))


@settings(max_examples=60, deadline=None)
@given(
    some.lists(
        some.tuples(some.sampled_from(["user", "assistant", "system"]), some.text(max_size=60)),
        min_size=1,
        max_size=6,
    )
)
def test_a_chat_is_the_same_prompt_either_way(
    renderer: BaseRenderer[Any], turns: list[tuple[str, str]]
) -> None:
    messages = [{"role": role, "content": content} for role, content in turns]
    assert render(ShortPrompts(renderer, None), messages) == render(renderer, messages)


@pytest.mark.parametrize("tokenize", [False, True])
def test_a_copy_of_the_tokenizer_is_borrowed_for_tokens_alone(
    demo: Path, renderer: BaseRenderer[Any], tokenize: bool
) -> None:
    expected = render(renderer, [user(SHORT)], params(tokenize=tokenize))
    end = renderer.get_eos_token_id()
    lean: Any = renderer_from_config(engine_config(demo))
    remember_prefixes(lean)
    borrow_less(lean)
    assert lean.get_eos_token_id() == end
    assert render(lean, [user(SHORT)], params(tokenize=tokenize)) == expected
    ids = range(200)
    texts = [renderer.get_tokenizer().decode([token]) for token in ids]
    # None is lent out from here on.
    pool = inspect.getclosurevars(type(lean.tokenizer).__call__).nonlocals["_borrow_from_pool"]
    queue = inspect.getclosurevars(pool.__wrapped__).nonlocals["tokenizer_pool"]
    while not queue.empty():
        queue.get_nowait()
    queue.put(None)
    assert lean.get_eos_token_id() == end
    assert [lean.tokenizer.decode([token]) for token in ids] == texts
    whole = [user(SHORT)], params(tokenize=tokenize)
    if tokenize:
        with pytest.raises(VLLMValidationError):
            render(lean, *whole)
    else:
        assert "prompt" in render(lean, *whole)[1]
