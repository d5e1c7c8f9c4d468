"""Engine arguments from several sources, merged before vLLM's parser sees them.

Works on flags as written, so that vLLM need not be imported: a later source replaces a flag of an
earlier one, and JSON objects are composed instead. vLLM's parser then judges the result.
"""

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.settings import BadSettingsError, Settings, names_of

# Flags that mean the same thing under another name; vLLM's parser knows both.
_ALIASES = {
    "-tp": "--tensor-parallel-size",
    "-pp": "--pipeline-parallel-size",
    "-dp": "--data-parallel-size",
    "-q": "--quantization",
    "-sc": "--speculative-config",
    "-cc": "--compilation-config",
    "-ac": "--attention-config",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """A flag with its values, and the source that has the last word on it."""

    flag: str
    values: tuple[str, ...]
    source: str

    @property
    def key(self) -> str:
        """What the flag decides: `--x`, `--no-x` and `--x.y+` decide the same thing."""
        name = self.flag.removeprefix("--").partition(".")[0]
        return name.removeprefix("no-")

    @property
    def tokens(self) -> tuple[str, ...]:
        """As on a command line."""
        return (self.flag, *self.values)


def from_settings(settings: Settings) -> list[Argument]:
    """The flags that settings of their own stand for."""
    made: list[tuple[str, tuple[str, ...], str]] = []
    if settings.max_model_len is not None:
        made.append(("--max-model-len", (str(settings.max_model_len),), "max_model_len"))
    if settings.tensor_parallel_size is not None:
        size = str(settings.tensor_parallel_size)
        made.append(("--tensor-parallel-size", (size,), "tensor_parallel_size"))
    if settings.pipeline_parallel_size is not None:
        size = str(settings.pipeline_parallel_size)
        made.append(("--pipeline-parallel-size", (size,), "pipeline_parallel_size"))
    if settings.trust_custom_code:
        made.append(("--trust-remote-code", (), "trust_custom_code"))
    if settings.disable_cuda_graph:
        made.append(("--enforce-eager", (), "disable_cuda_graph"))
    if settings.peft_source is not None:
        cached = settings.max_cpu_loras or max(16, settings.max_gpu_loras)
        made += [
            ("--enable-lora", (), "peft_source"),
            ("--max-lora-rank", (str(settings.max_lora_rank),), "max_lora_rank"),
            ("--max-loras", (str(settings.max_gpu_loras),), "max_gpu_loras"),
            ("--max-cpu-loras", (str(cached),), "max_cpu_loras"),
        ]
    if settings.max_images_per_prompt is not None:
        limits = json.dumps({"image": settings.max_images_per_prompt})
        made.append(("--limit-mm-per-prompt", (limits,), "max_images_per_prompt"))
    return [Argument(flag, values, names_of(setting)[0]) for flag, values, setting in made]


def from_profile(flags: Mapping[str, str], name: str) -> list[Argument]:
    """The flags of a profile; "" is a flag without a value."""
    return [
        Argument(flag, (value,) if value else (), f"profile {name}")
        for flag, value in flags.items()
    ]


def from_text(text: str, source: str) -> list[Argument]:
    """Flags out of a variable, quoted as for a shell.

    Raises:
        BadSettingsError: a quote is not closed, or a word is not a flag.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadSettingsError(f"{source}: {error}") from None
    return from_words(words, source)


def from_words(words: Iterable[str], source: str) -> list[Argument]:
    """Flags out of a command line.

    Raises:
        BadSettingsError: a word stands where a flag should.
    """
    found: list[Argument] = []
    for word in words:
        if _is_flag(word):
            flag, equals, value = word.partition("=")
            flag = _ALIASES.get(flag, flag)
            if flag.startswith("--"):
                name, dot, rest = flag.partition(".")
                flag = name.replace("_", "-") + dot + rest
            found.append(Argument(flag, (value,) if equals else (), source))
        elif found:
            last = found[-1]
            found[-1] = Argument(last.flag, (*last.values, word), source)
        else:
            raise BadSettingsError(f"{source}: {word!r} is not a flag")
    return [_undotted(argument) for argument in found]


def merge(*sources: list[Argument]) -> list[Argument]:
    """One list out of several, the source with the last word last."""
    merged: dict[str, list[Argument]] = {}
    for source in sources:
        fresh: set[str] = set()
        for argument in source:
            earlier = merged.get(argument.key, [])
            composed = _compose(earlier, argument)
            if composed is not None:
                merged[argument.key] = [composed]
            elif argument.key in fresh and argument.flag in {"--lora-modules"}:
                merged[argument.key] = [*earlier, argument]
            else:
                merged[argument.key] = [argument]
            fresh.add(argument.key)
    return [argument for group in merged.values() for argument in group]


def take(arguments: list[Argument], flag: str) -> tuple[str | None, list[Argument]]:
    """The value of a flag that is not the engine's, and the arguments without it."""
    rest = [argument for argument in arguments if argument.flag != flag]
    mine = [argument for argument in arguments if argument.flag == flag]
    if not mine:
        return None, rest
    if len(mine[-1].values) != 1:
        raise BadSettingsError(f"{flag} takes one value")
    return mine[-1].values[0], rest


def _undotted(argument: Argument) -> Argument:
    """`--x.a.b 1` as `--x {"a": {"b": 1}}`: vLLM would keep only one of the two forms."""
    flag, *path = argument.flag.split(".")
    if not path or len(argument.values) > 1 or path[-1].endswith("+"):  # "+" appends to a list
        return argument
    value: Any = True
    if argument.values:
        try:
            value = json.loads(argument.values[0])
        except json.JSONDecodeError:
            value = argument.values[0]
    for name in reversed(path):
        value = {name: value}
    return Argument(flag, (json.dumps(value),), argument.source)


def _is_flag(word: str) -> bool:
    return word.startswith("--") or (len(word) > 1 and word[0] == "-" and word[1].isalpha())


def _compose(earlier: list[Argument], later: Argument) -> Argument | None:
    """The union of two JSON objects, the later one's keys winning; None if they are not objects."""
    if len(earlier) != 1 or earlier[0].flag != later.flag:
        return None
    old, new = _object(earlier[0]), _object(later)
    if old is None or new is None:
        return None
    return Argument(
        later.flag, (json.dumps(_union(old, new)),), f"{earlier[0].source}, {later.source}"
    )


def _object(argument: Argument) -> dict[str, Any] | None:
    if len(argument.values) != 1 or not argument.values[0].lstrip().startswith("{"):
        return None
    try:
        value = json.loads(argument.values[0])
    except json.JSONDecodeError:
        return None  # vLLM's parser will say what is wrong with it
    return value if isinstance(value, dict) else None


def _union(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    union = dict(old)
    for key, value in new.items():
        mine = union.get(key)
        union[key] = (
            _union(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
        )
    return union
