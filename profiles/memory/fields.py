"""Reads a model's config, whose fields may be missing, null, or not of the type they should be."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from profiles.memory.left_out import left_out

_TEXT_CONFIGS = ("text_config", "llm_config", "language_config", "thinker_config", "talker_config")
_VISION_CONFIGS = ("vision_config", "vision_tower_config", "vit_config", "visual", "vision_encoder")
# JSON, as Python reads it, has Infinity and NaN too.
_LARGEST_FACTOR = 1e9
_AUDIO_CONFIGS = ("audio_config", "audio_encoder_config", "sound_config")


class Fields:
    """The first of several mappings that has a usable value answers."""

    __slots__ = ("_sources",)

    def __init__(self, *sources: Mapping[str, Any]) -> None:
        self._sources = sources

    def __contains__(self, name: str) -> bool:
        return self.value(name) is not None

    def value(self, *names: str) -> Any:
        """Whatever stands under the first of the names that is not null."""
        for source in self._sources:
            for name in names:
                found = source.get(name)
                if found is not None:
                    return found
        return None

    def integer(self, *names: str, default: int = 0) -> int:
        """A count; a list of counts answers with its largest (Ernie, heterogeneous models)."""
        for source in self._sources:
            for name in names:
                number = _integer(source.get(name))
                if number is not None:
                    return number
        return default

    def number(self, *names: str, default: float) -> float:
        """A factor."""
        value = self.value(*names)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return default
        return float(value) if abs(value) <= _LARGEST_FACTOR else default  # nor if it is not one

    def text(self, *names: str, default: str = "") -> str:
        """A word, in lower case; a list of words answers with its first."""
        value = self.value(*names)
        if isinstance(value, list) and value:
            value = value[0]
        return value.lower() if isinstance(value, str) else default

    def flag(self, *names: str, default: bool = False) -> bool:
        """A switch."""
        value = self.value(*names)
        return value if isinstance(value, bool) else default

    def mapping(self, *names: str) -> Mapping[str, Any]:
        """A section; empty where there is none."""
        value = self.value(*names)
        return value if isinstance(value, Mapping) else {}

    def integers(self, *names: str) -> tuple[int, ...]:
        """A list of counts; empty where there is none."""
        value = self.value(*names)
        if not isinstance(value, list | tuple):
            return ()
        return tuple(number for item in value if (number := _integer(item)) is not None)


def family(fields: Fields) -> str:
    """The model type as transformers spells it; from the architecture where it is not given."""
    given = fields.text("model_type")
    if given:
        return given
    value = fields.value("architectures")
    name = str(value[0]) if isinstance(value, list) and value else str(value or "")
    name = re.sub(r"(For[A-Z]\w*|LMHeadModel|Model)$", "", name)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def text_fields(config: Mapping[str, Any]) -> Fields:
    """The language model's fields, with those of the whole model and the defaults behind them."""
    *outer, inner = _nested(config, _TEXT_CONFIGS)
    return Fields(inner, *reversed(outer), left_out(inner) if outer else {})


def vision_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section about images; empty for a model that takes none."""
    return _section(config, _VISION_CONFIGS)


def audio_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section about sound; empty for a model that takes none."""
    return _section(config, _AUDIO_CONFIGS)


def _section(config: Mapping[str, Any], names: Iterable[str]) -> Mapping[str, Any]:
    for level in _nested(config, _TEXT_CONFIGS):
        for name in names:
            found = level.get(name)
            if isinstance(found, Mapping) and found:
                return found
    return {}


def _nested(config: Mapping[str, Any], names: tuple[str, ...]) -> Iterable[Mapping[str, Any]]:
    """The config, the text config in it, the text config in that (Qwen-Omni's thinker)."""
    yield config
    for name in names:
        inner = config.get(name)
        if isinstance(inner, Mapping) and inner:
            yield from _nested(inner, names)
            return


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list) and value:
        numbers = [number for item in value if (number := _integer(item)) is not None]
        return max(numbers) if len(numbers) == len(value) else None
    return None
