"""Makes tokens of short prompts where they are asked for, not in a thread.

vLLM applies the chat template in a thread, then tokenizes in a thread, and all requests share one.
For a prompt of 25 tokens handing it over costs more than the work: 0.8 ms of CPU, of which 0.35
are the work. So what is surely little is done on the event loop, and never waits for a long one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vllm.renderers.base import BaseRenderer
from vllm.renderers.params import ChatParams, TokenizeParams

# About as much work as handing it over.
_MOST_CHARACTERS = 1024
_CONTAINERS = (dict, list, tuple)
_SCALARS = (type(None), bool, int, float)


class ShortPrompts:
    """One of vLLM's renderers; whoever asks it for prompts need not know the difference."""

    def __init__(self, renderer: BaseRenderer[Any], chat_template: str | None) -> None:
        """`chat_template` is the server's; one that comes with a request may do anything."""
        self._renderer = renderer
        self._chat_template = chat_template

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked for is the renderer's."""
        return getattr(self._renderer, name)

    async def render_chat_async(
        self,
        conversations: Sequence[list[Any]],
        chat_params: ChatParams,
        tok_params: TokenizeParams | None = None,
        **options: Any,
    ) -> Any:
        """As vLLM's: the messages of each conversation, and its prompt for the engine."""
        if chat_params.chat_template == self._chat_template and _is_short_chat(
            conversations, chat_params.chat_template_kwargs
        ):
            return self._renderer.render_chat(conversations, chat_params, tok_params, **options)
        return await self._renderer.render_chat_async(
            conversations, chat_params, tok_params, **options
        )

    async def render_cmpl_async(
        self, prompts: Sequence[Any], tok_params: TokenizeParams | None = None, **options: Any
    ) -> Any:
        """As vLLM's: each prompt for the engine."""
        if all(prompt.keys() == {"prompt"} for prompt in _objects(prompts)) and _is_short(prompts):
            return self._renderer.render_cmpl(prompts, tok_params, **options)
        return await self._renderer.render_cmpl_async(prompts, tok_params, **options)


def _is_short_chat(conversations: Sequence[list[Any]], variables: Mapping[str, Any]) -> bool:
    return _is_short([*conversations, variables]) and all(
        part.get("type") == "text"  # media may have to be fetched
        for messages in conversations
        for message in _objects(messages)
        for part in _objects(message.get("content"))
    )


def _is_short(value: object) -> bool:
    """Whether all the text in a value is little; what is no JSON might be anything."""
    left = _MOST_CHARACTERS
    values = [value]
    while values:
        item = values.pop()
        kind = type(item)
        if kind in _CONTAINERS:
            left -= len(item)  # type: ignore[arg-type]  # it is one of them
            if left >= 0:
                values.extend(item.values() if kind is dict else item)  # type: ignore[attr-defined,arg-type]
        elif kind is str:
            left -= len(item)  # type: ignore[arg-type]
        elif kind not in _SCALARS:
            return False
        if left < 0:
            return False
    return True


def _objects(values: object) -> list[Mapping[str, Any]]:
    items = values if isinstance(values, list) else []
    return [item for item in items if isinstance(item, Mapping)]
