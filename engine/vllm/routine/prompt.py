"""Makes the prompt of a plain chat as vLLM's renderer does, without the layers in between."""

import asyncio
import contextvars
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Self

from jinja2 import Template
from jinja2.runtime import Context
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import _compile_jinja_template
from vllm.config import ModelConfig
from vllm.renderers.base import BaseRenderer
from vllm.renderers.hf import (
    HfRenderer,
    resolve_chat_template,
    resolve_chat_template_content_format,
    resolve_chat_template_kwargs,
)
from vllm.renderers.params import ChatParams, TokenizeParams
from vllm.tokenizers.hf import ThreadSafeHFTokenizerMixin

Messages = Sequence[dict[str, str]]

# What `apply_chat_template` has parameters for; the template gets none of it.
_NOT_VARIABLES = frozenset({
    "chat_template", "continue_final_message", "tokenize", "padding", "truncation", "max_length",
    "return_tensors", "return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs",
})  # fmt: skip
# What is made on the event loop, as in `engine.vllm.short_prompts`.
_MOST_CHARACTERS = 1024
# Of templates, around each.
_AROUND_MESSAGE = 16
_ALWAYS = {"documents": None, "add_generation_prompt": False}


class Prompt(NamedTuple):
    """What the engine reads, and what it was before."""

    token_ids: list[int]
    text: str
    arrived_s: float
    """When it was asked for, in seconds since 1970."""


class Prompts:
    """Those of chats that differ in nothing but their messages."""

    def __init__(
        self,
        renderer: BaseRenderer[Any],
        template: Template,
        variables: dict[str, Any],
        params: TokenizeParams,
        *,
        has_parts: bool,
        context: int,
        characters: int,
    ) -> None:
        """`has_parts` is whether the template expects a text as a list of one; `context` is how
        many tokens prompt and answer may have together, and `characters` what the variables add.
        """
        self._renderer = renderer
        self._tokenizer = renderer.tokenizer
        self._template = template
        self._variables = {**template.globals, **variables}
        self._params = params
        self._has_parts = has_parts
        self._context = context
        self._characters = characters

    @classmethod
    def of(
        cls, renderer: BaseRenderer[Any], model: ModelConfig, chat: ChatParams, tok: TokenizeParams
    ) -> Self | None:
        """By vLLM's parameters for one of them, the tools among those of the template.

        None where more than a template makes a prompt.
        """
        tokenizer = renderer.get_tokenizer()
        if not isinstance(renderer, HfRenderer) or not _fills_in_only(tokenizer):
            return None
        if model.is_encoder_decoder or model.enable_prompt_embeds:
            return None
        wanted = chat.get_apply_chat_template_kwargs()
        given = wanted.pop("chat_template", None)
        tools = wanted.pop("tools", None)
        template = resolve_chat_template(tokenizer, given, tools, model_config=model)
        if template is None or wanted.get("documents"):
            return None
        wanted = resolve_chat_template_kwargs(tokenizer, template, wanted)
        named = {name: it for name, it in wanted.items() if name not in _NOT_VARIABLES}
        form = resolve_chat_template_content_format(
            given, tools, chat.chat_template_content_format, tokenizer, model_config=model
        )
        return cls(
            renderer,
            _compile_jinja_template(template),
            {**_ALWAYS, **tokenizer.special_tokens_map, **named, "tools": tools},
            tok,
            has_parts=form == "openai",
            context=model.max_model_len,
            characters=len(repr(tools)) if tools else 0,
        )

    async def of_messages(self, messages: Messages) -> Prompt | None:
        """The prompt of one, made in a thread if it is long.

        None if vLLM has something to say of it: that it is empty or leaves no room for an answer,
        or that the template refuses it.
        """
        arrived_s = time.time()
        characters = self._characters + sum(
            _AROUND_MESSAGE + len(message["content"]) for message in messages
        )
        make = partial(self._made_of, messages)
        try:
            if characters <= _MOST_CHARACTERS:
                token_ids, text = make()
            else:
                # The thread does not know whose request it is.
                run = partial(contextvars.copy_context().run, make)
                loop = asyncio.get_running_loop()
                token_ids, text = await loop.run_in_executor(self._renderer._executor, run)
        except Exception:  # noqa: BLE001  # a template may raise anything, and vLLM tells it
            return None
        has_room = 0 < len(token_ids) < self._context
        return Prompt(token_ids, text, arrived_s) if has_room else None

    def _made_of(self, messages: Messages) -> tuple[list[int], str]:
        said: Any = messages
        if self._has_parts:
            said = [{**it, "content": [{"type": "text", "text": it["content"]}]} for it in messages]
        # As Template.render, which makes one of globals and variables each time.
        template, variables = self._template, {**self._variables, "messages": said}
        context = Context(template.environment, variables, template.name, template.blocks)
        text = "".join(template.root_render_func(context))
        context.vars.clear()  # macros have the context, and it has them: a cycle
        prompt = self._params.apply_pre_tokenization(self._tokenizer, {"prompt": text})
        tokens = self._renderer._tokenize_prompt(prompt, self._params)
        return tokens["prompt_token_ids"], text


def _fills_in_only(tokenizer: object) -> bool:
    """Whether its chats are a template filled in, and no code of a model's own."""
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        return False
    kinds = type(tokenizer).__mro__
    if isinstance(tokenizer, ThreadSafeHFTokenizerMixin):
        kinds = kinds[1:]  # the pool of copies passes it on
    found = next(kind for kind in kinds if "apply_chat_template" in vars(kind))
    return found is PreTrainedTokenizerBase
