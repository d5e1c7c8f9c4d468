"""Engine arguments from several sources, merged before vLLM's parser sees them.

Works on flags as written, so that vLLM need not be imported: a later source replaces a flag of an
earlier one, and JSON objects are composed instead. vLLM's parser then judges the result.
"""

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.settings import BadSettingsError, Settings, names_of

if TYPE_CHECKING:
    from profiles.parsers import Parsers

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

# The flags that have a setting of their own.
_OWN = {
    "max_model_len": "--max-model-len",
    "tensor_parallel_size": "--tensor-parallel-size",
    "pipeline_parallel_size": "--pipeline-parallel-size",
    "trust_custom_code": "--trust-remote-code",
    "disable_cuda_graph": "--enforce-eager",
    "enable_auto_tool_choice": "--enable-auto-tool-choice",
    "tool_call_parser": "--tool-call-parser",
    "tool_parser_plugin": "--tool-parser-plugin",
    "chat_template": "--chat-template",
}
_ON_BY_DEFAULT = ("enable_auto_tool_choice",)

CHAT_TEMPLATE = "chat template"
"""The source of what is chosen by the model's own files."""

_FILES = ("--chat-template", "--tool-parser-plugin", "--reasoning-parser-plugin")


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
    made: list[Argument] = []
    for setting, flag in _OWN.items():
        value = getattr(settings, setting)
        source = names_of(setting)[0]
        if value is True:
            made.append(Argument(flag, (), source))
        elif value is False and setting in _ON_BY_DEFAULT:
            made.append(Argument(f"--no-{flag.removeprefix('--')}", (), source))
        elif value is not None and value is not False:
            made.append(Argument(flag, (str(value),), source))
    return [*made, *_of_adapters(settings), *_of_images(settings), *_of_logs(settings)]


def _of_adapters(settings: Settings) -> list[Argument]:
    if settings.peft_source is None:
        return []
    cached = settings.max_cpu_loras or max(16, settings.max_gpu_loras)
    made: list[tuple[str, tuple[str, ...], str]] = [
        ("--enable-lora", (), "peft_source"),
        ("--max-lora-rank", (str(settings.max_lora_rank),), "max_lora_rank"),
        ("--max-loras", (str(settings.max_gpu_loras),), "max_gpu_loras"),
        ("--max-cpu-loras", (str(cached),), "max_cpu_loras"),
    ]
    return [Argument(flag, values, names_of(setting)[0]) for flag, values, setting in made]


def _of_images(settings: Settings) -> list[Argument]:
    if settings.max_images_per_prompt is None:
        return []
    limits = json.dumps({"image": settings.max_images_per_prompt})
    return [Argument("--limit-mm-per-prompt", (limits,), names_of("max_images_per_prompt")[0])]


def _of_logs(settings: Settings) -> list[Argument]:
    # A bar that is drawn again and again is no line.
    source = names_of("jsonl_logging")[0]
    return [Argument("--no-use-tqdm-on-load", (), source)] if settings.jsonl_logging else []


def from_profile(flags: Mapping[str, str], name: str) -> list[Argument]:
    """The flags of a profile; "" is a flag without a value."""
    return [
        Argument(flag, (value,) if value else (), f"profile {name}")
        for flag, value in flags.items()
    ]


def from_parsers(parsers: "Parsers") -> list[Argument]:
    """The flags for what the model's files say of tool calls and of reasoning."""
    made: list[tuple[str, ...]] = []
    if parsers.tool_calls:
        made += [("--enable-auto-tool-choice",), ("--tool-call-parser", parsers.tool_calls)]
    if parsers.reasoning:
        made.append(("--reasoning-parser", parsers.reasoning))
    return [Argument(flag, tuple(values), CHAT_TEMPLATE) for flag, *values in made]


def value_of(arguments: Iterable[Argument], flag: str) -> str | None:
    """The one value of a flag; None if it has none, or is not there."""
    found = next((argument for argument in arguments if argument.flag == flag), None)
    return found.values[0] if found and len(found.values) == 1 else None


def beside_model(arguments: Iterable[Argument], directory: Path) -> list[Argument]:
    """The arguments, with bare names of files that are in the model's directory as their paths."""
    return [
        replace(argument, values=(str(directory / argument.values[0]),))
        if argument.flag in _FILES and _is_in(directory, argument.values)
        else argument
        for argument in arguments
    ]


def _is_in(directory: Path, values: tuple[str, ...]) -> bool:
    return (
        len(values) == 1 and values[0] == Path(values[0]).name and (directory / values[0]).is_file()
    )


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
