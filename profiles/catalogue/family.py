"""Reads the catalogue: which tuned profiles there are for a model.

The files are small, but all of them together cost more than a listing may take; so only the head
of each is compared with the model, and the one that fits is read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from profiles.catalogue.file import Entry, FamilyFile, has_name
from profiles.errors import CatalogueError
from profiles.profile import Origin, Profile

CATALOGUE = Path(__file__).parent
_FULL_PRECISIONS = ("bf16", "fp16")
_FP8_SOURCE = " FP8 is made by the engine while it loads (--quantization fp8)."


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A model family and its tuned profiles."""

    name: str
    file: FamilyFile

    def profiles(self, precision: str, name: str) -> tuple[Profile, ...]:
        """Its profiles for a checkpoint of this precision, best first.

        `name` is the model's; by it the flags are chosen that read its answers.
        """
        reading = self._reading(name)
        made = (
            self._profile(entry, gpu, lora, precision, reading)
            for entry in self.file.profiles
            for gpu in entry.gpus
            for lora in (False, True)
            if not (lora and not entry.lora)
        )
        kept = (profile for profile in made if profile is not None)
        return tuple(replace(profile, rank=rank) for rank, profile in enumerate(kept))

    def reads_answers_of(self, name: str) -> bool:
        """Whether the model's name is known, so that it gets the family's parsers."""
        return bool(self._reading(name))

    def _reading(self, name: str) -> dict[str, str]:
        for reading in self.file.readings:
            if any(has_name(pattern, name) for pattern in reading.names):
                return dict(reading.arguments)
        return {}

    def _profile(
        self, entry: Entry, gpu: str, lora: bool, precision: str, reading: dict[str, str]
    ) -> Profile | None:
        """The entry for one GPU family, or None if the checkpoint cannot be had so."""
        quantization: dict[str, str] = {}
        source = entry.source
        if entry.precision != precision:
            # Only FP8 is made of wider weights by the engine; the rest needs other files.
            if not (entry.precision == "fp8" and precision in _FULL_PRECISIONS):
                return None
            quantization = {"--quantization": "fp8"}
            source += _FP8_SOURCE
        return Profile(
            precision=entry.precision,
            tp=entry.tp,
            pp=entry.pp,
            gpu=gpu,
            objective=entry.objective,
            lora=lora,
            arguments=quantization | entry.arguments | reading,
            origin=Origin.CATALOGUE,
            origin_key=f"{self.name}.yaml: {entry.key}",
            source=source,
        )


def recognise(
    config: Mapping[str, Any] | None, name: str, *, directory: Path = CATALOGUE
) -> Family | None:
    """The family of the model with this config.json, or by its name alone where there is none.

    Raises:
        CatalogueError: a file is not as it should be.
    """
    for path in sorted(directory.glob("*.yaml")):
        contents = _read(path)
        head = contents.get("recognise", {})
        facts = head.get("config", {}) if isinstance(head, dict) else {}
        # What cannot be the model's is not validated: that takes longer than reading.
        if config is not None and isinstance(facts, dict) and not _agree(facts, config):
            continue
        file = _validate(path, contents)
        if file.recognise.matches(config, name):
            return Family(name=path.stem, file=file)
    return None


def load(directory: Path = CATALOGUE) -> tuple[Family, ...]:
    """The whole catalogue, validated; what serves needs one family only, see `recognise`.

    Raises:
        CatalogueError: a file is not as it should be, or two profiles have the same id.
    """
    families = tuple(
        Family(name=path.stem, file=_validate(path, _read(path)))
        for path in sorted(directory.glob("*.yaml"))
    )
    for family in families:
        _ids_are_unique(family)
    return families


def _agree(facts: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    return all(config.get(key) == value for key, value in facts.items())


def _read(path: Path) -> dict[str, Any]:
    # libyaml's parser is seven times faster than the one in Python (measured).
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        contents = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506  # both are safe
    except yaml.YAMLError as error:
        raise CatalogueError(f"{path.name} is not YAML: {error}") from None
    if not isinstance(contents, dict):
        raise CatalogueError(f"{path.name} is not a mapping")
    return contents


def _validate(path: Path, contents: dict[str, Any]) -> FamilyFile:
    try:
        return FamilyFile.model_validate(contents)
    except ValidationError as error:
        raise CatalogueError("; ".join(_sentences(path, contents, error))) from None


def _sentences(path: Path, contents: dict[str, Any], error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        where = ".".join(_named(contents, item["loc"]))
        yield f"{path.name}{': ' if where else ''}{where}: {item['msg']}"


def _named(contents: dict[str, Any], place: tuple[int | str, ...]) -> list[str]:
    """The place with a profile's key instead of its number."""
    words = [str(part) for part in place]
    match place:
        case ["profiles", int(number), *_]:
            entry = contents["profiles"][number]
            if isinstance(entry, dict) and "key" in entry:
                words[1] = str(entry["key"])
        case _:
            pass
    return words


def _ids_are_unique(family: Family) -> None:
    for precision in {entry.precision for entry in family.file.profiles}:
        seen: dict[str, Profile] = {}
        for profile in family.profiles(precision, ""):
            if (other := seen.get(profile.id)) is not None:
                raise CatalogueError(
                    f"{profile.origin_key} is the same as {other.origin_key}: remove one"
                )
            seen[profile.id] = profile
