"""Which requests may have a routine, and which of them have the same one."""

from collections.abc import Mapping
from typing import Any

import orjson

# Fields whose effect does not depend on the text, and which few clients make anew each time.
_FIELDS = frozenset({
    "messages", "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n",
    "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "seed", "stop", "ignore_eos", "user", "logprobs", "top_logprobs",
    "logit_bias", "response_format", "structured_outputs", "tools", "tool_choice",
    "parallel_tool_calls", "reasoning_effort", "include_reasoning", "chat_template_kwargs",
    "min_tokens", "stop_token_ids", "skip_special_tokens",
})  # fmt: skip
_ROLES = frozenset({"system", "user", "assistant"})
_MESSAGE = {"role", "content"}
# vLLM takes such a line out of what the system says (renderers/chat_utils.py).
_TAKEN_OUT = "x-anthropic-billing-header"
# Tools of an agent are some thousand.
_LONGEST_BYTES = 16 << 10


def shape_of(request: Mapping[str, Any]) -> bytes | None:
    """All of a chat request but its text; None if it has no routine.

    The text is that of its messages, and `user`, which nobody reads.
    """
    if not _FIELDS.issuperset(request) or not _is_plain(request.get("messages")):
        return None
    if type(request.get("user", "")) is not str:
        return None
    try:
        shape = orjson.dumps({**request, "messages": None, "user": None})
    except orjson.JSONEncodeError:  # nested too deep; whoever judges it has a sentence for it
        return None
    return shape if len(shape) <= _LONGEST_BYTES else None


def _is_plain(messages: object) -> bool:
    """Whether they are text, and are the template's as they are."""
    return type(messages) is list and bool(messages) and all(map(_is_plain_message, messages))


def _is_plain_message(message: object) -> bool:
    if type(message) is not dict or message.keys() != _MESSAGE:
        return False
    role, content = message["role"], message["content"]
    return (
        type(role) is str
        and role in _ROLES
        and type(content) is str
        and bool(content)
        and not content.startswith(_TAKEN_OUT)
    )
