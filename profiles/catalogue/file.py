"""The files of the catalogue as they are written: one model family each, best profile first."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from profiles.hardware.precision import BITS
from profiles.profile import Objective


def _is_flag(flags: dict[str, str]) -> dict[str, str]:
    for flag in flags:
        if not flag.startswith("--"):
            raise ValueError(f"{flag!r} is not a flag; write it as --{flag.strip('-')}")
    return flags


def _is_precision(word: str) -> str:
    if word not in BITS:
        raise ValueError(f"{word!r} is not a precision; use one of {', '.join(BITS)}")
    return word


def _is_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern


Flags = Annotated[dict[str, str], AfterValidator(_is_flag)]
Pattern = Annotated[str, AfterValidator(_is_pattern)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Recognition(_Strict):
    """How a model of the family is told: by what its config.json says, or else by its name."""

    config: dict[str, int | str | bool] = Field(min_length=1)
    names: tuple[Pattern, ...] = ()

    def matches(self, config: Mapping[str, Any] | None, name: str) -> bool:
        """With a config.json its facts decide, so that a fine-tune of any name is found."""
        if config is not None:
            return all(config.get(key) == value for key, value in self.config.items())
        return any(has_name(pattern, name) for pattern in self.names)


class Reading(_Strict):
    """Flags that change how answers are read (parsers); only models with a known name get them.

    A fine-tune has the shape of its base, but may neither think nor call tools as that does.
    """

    names: tuple[Pattern, ...] = Field(min_length=1)
    arguments: Flags
    source: str = Field(min_length=1)


class Entry(_Strict):
    """One tuned configuration, for each of the GPU families it names."""

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    gpus: tuple[str, ...] = Field(min_length=1)
    precision: Annotated[str, AfterValidator(_is_precision)]
    tp: int = Field(ge=1)
    pp: int = Field(default=1, ge=1)
    objective: Objective
    lora: bool = True  # also as a profile with LoRA
    arguments: Flags = Field(default_factory=dict)
    source: str = Field(min_length=1)


class FamilyFile(_Strict):
    """A whole file."""

    about: str = Field(min_length=1)
    recognise: Recognition
    readings: tuple[Reading, ...] = ()
    profiles: tuple[Entry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _keys_are_unique(self) -> "FamilyFile":
        keys = [entry.key for entry in self.profiles]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"profiles: the key {key!r} is there twice")
        return self


def has_name(pattern: str, name: str) -> bool:
    """Whether the last part of a repository's or directory's name is what the pattern says."""
    last = name.rstrip("/").rpartition("/")[2].lower()
    return re.fullmatch(pattern, last) is not None
