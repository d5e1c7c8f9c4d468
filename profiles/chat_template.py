"""Finds the chat template that a model is served with, as text."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILE = "chat_template.jinja"
_TOKENIZER = "tokenizer_config.json"
# Where processors of models with images or sound keep theirs.
_PROCESSOR = "chat_template.json"
# The largest published ones have 20 kB.
_LONGEST_CHARACTERS = 1 << 20


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A model may have one template for chats with tools and another for those without."""

    plain: str
    with_tools: str


def read_chat_template(directory: Path, own: str | None = None) -> ChatTemplate | None:
    """The template out of the model's files, or the user's `own` (a file, or the text itself).

    None if there is none that can be read: whoever renders it will say what is wrong with it.
    """
    if own is not None:
        return _of(own if "{" in own else _text(Path(own)))
    config = read_object(directory / _TOKENIZER)
    sources: tuple[Callable[[], object], ...] = (
        lambda: _text(directory / _FILE),
        lambda: config.get("chat_template"),
        lambda: read_object(directory / _PROCESSOR).get("chat_template"),
    )
    return next((found for source in sources if (found := _of(source()))), None)


def read_object(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file; empty if there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):  # a path may have a zero byte, a text may not be one
        return None


def _of(value: object) -> ChatTemplate | None:
    if isinstance(value, list):  # of {"name": …, "template": …}
        named = {
            str(item.get("name")): item.get("template") for item in value if isinstance(item, dict)
        }
        plain = named.get("default", named.get("tool_use"))
        return _pair(plain, named.get("tool_use", plain))
    return _pair(value, value)


def _pair(plain: object, with_tools: object) -> ChatTemplate | None:
    if not isinstance(plain, str) or not isinstance(with_tools, str):
        return None
    if not plain or max(len(plain), len(with_tools)) > _LONGEST_CHARACTERS:
        return None
    return ChatTemplate(plain, with_tools)
