"""NIM's manifests: version 1 and 2 are read, version 2 is written.

A manifest lists profiles with tags (all of them strings) and the files each one needs.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from profiles.errors import ManifestError
from profiles.hardware.family import gpu_family
from profiles.hardware.precision import BITS, bits
from profiles.profile import Objective, Origin, Profile

SCHEMA_VERSION = "2.0.0"
# Engines of NIM that unigate is not; their profiles are left out.
_VLLM = "vllm"
_OBJECTIVES = tuple(objective.value for objective in Objective)
_ENGINE_TAGS = ("llm_engine", "model_type", "backend")  # in NIM's order


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Profiles, and for the id of each the files it needs: path in the model's directory → URI."""

    profiles: tuple[Profile, ...]
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    stamp: Mapping[str, str] = field(default_factory=dict)  # what it was made for

    def widest_weights(self) -> str:
        """The model of the profile with the widest precision; the others' memory follows from it.

        Raises:
            ManifestError: no profile says where its files come from.
        """
        with_weights = [profile for profile in self.profiles if profile.weights]
        if not with_weights:
            raise ManifestError("the manifest names no files: set NIM_MODEL_PATH too")
        return str(max(with_weights, key=lambda profile: bits(profile.precision)).weights)


class _Tagged(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # in C or not
    """YAML's safe loader, and the two tags of version 1: they mark values that need no class."""


def _plain(loader: Any, node: yaml.Node) -> Any:
    match node:
        case yaml.MappingNode():
            return loader.construct_mapping(node, deep=True)
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
        case _:
            return loader.construct_scalar(node)


for _tag in ("!workspace", "!name"):
    _Tagged.add_constructor(_tag, _plain)


def read_manifest_file(path: Path) -> Manifest:
    """The manifest in a file; raises `ManifestError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from None
    return read_manifest(text, file=str(path))


def read_manifest(text: str, *, file: str) -> Manifest:
    """The manifest in the text; `file` is its name in messages.

    Raises:
        ManifestError: it is not one, or has no profile that vLLM can serve.
    """
    try:
        found = yaml.load(text, Loader=_Tagged)  # noqa: S506  # safe, see above
    except yaml.YAMLError as error:
        raise ManifestError(f"{file} is not YAML, or has tags of its own: {error}") from None
    if not isinstance(found, dict) or not found:
        raise ManifestError(f"{file} is not a manifest: it should be a mapping")
    entries = list(_version_2(found, file) if "profiles" in found else _version_1(found))
    manifest = _read(entries, found, file)
    if not manifest.profiles:
        raise ManifestError(f"{file} has no profile for vLLM")
    return manifest


def write_manifest(manifest: Manifest) -> str:
    """The text of the manifest, version 2."""
    return yaml.safe_dump(contents(manifest), sort_keys=False, width=1000)


def contents(manifest: Manifest) -> dict[str, Any]:
    """The manifest, version 2, as plain values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "profile_selection_criteria": "default",
        "unigate": dict(manifest.stamp),
        "profiles": [
            {
                "id": profile.id,
                "tags": _tags(profile),
                "workspace": {
                    "files": {
                        name: {"uri": uri}
                        for name, uri in manifest.files.get(profile.id, {}).items()
                    }
                },
            }
            for profile in manifest.profiles
        ],
    }


@dataclass(frozen=True, slots=True)
class _Entry:
    """One profile as both versions have it."""

    id: str
    tags: Mapping[str, str]
    files: Mapping[str, str]


def _version_2(found: Mapping[str, Any], file: str) -> Iterator[_Entry]:
    listed = found["profiles"]
    if not isinstance(listed, list):
        raise ManifestError(f"{file}: profiles should be a list")
    for number, entry in enumerate(listed):
        if not isinstance(entry, dict) or "id" not in entry:
            raise ManifestError(f"{file}: profiles.{number} has no id")
        files = _mapping(_mapping(entry, "workspace"), "files")
        uris = {name: str(_mapping(files, name).get("uri", "")) for name in files}
        yield _Entry(str(entry["id"]), _strings(_mapping(entry, "tags")), uris)


def _version_1(found: Mapping[str, Any]) -> Iterator[_Entry]:
    for id_, entry in found.items():
        if isinstance(entry, dict) and "tags" in entry:
            files = dict(_components(_mapping(entry, "workspace")))
            yield _Entry(str(id_), _strings(_mapping(entry, "tags")), files)


def _components(workspace: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Version 1 has a repository and names: `<dst>/<name>` → `<repository>?file=<name>`."""
    for component in workspace.get("components") or []:
        source = _mapping(component, "src")
        folder = str(component.get("dst") or "").strip("/")
        for name in source.get("files") or []:
            path = f"{folder}/{name}" if folder else str(name)
            yield path, f"{source.get('repo_id', '')}?file={name}"


def _read(entries: Sequence[_Entry], found: Mapping[str, Any], file: str) -> Manifest:
    profiles: dict[str, Profile] = {}
    files = {}
    for rank, entry in enumerate(entries):
        engine = next((entry.tags[tag] for tag in _ENGINE_TAGS if tag in entry.tags), _VLLM)
        if engine != _VLLM:
            continue
        if entry.id in profiles:
            raise ManifestError(f"{file}: the id {entry.id} is there twice")
        profiles[entry.id] = _profile(entry, rank, file)
        files[entry.id] = entry.files
    return Manifest(
        profiles=tuple(profiles.values()),
        files=files,
        stamp=_strings(_mapping(found, "unigate")),
    )


def _profile(entry: _Entry, rank: int, file: str) -> Profile:
    tags = entry.tags
    where = f"{file}: {entry.id[:12]}"
    precision = tags.get("precision", "").lower()
    if precision not in BITS:
        raise ManifestError(f"{where}: precision is {precision!r}; use one of {', '.join(BITS)}")
    objective = tags.get("profile", "").lower()
    return Profile(
        precision=precision,
        tp=_degree(tags, "tp", where),
        pp=_degree(tags, "pp", where),
        gpu=_gpu(tags),
        objective=Objective(objective) if objective in _OBJECTIVES else None,
        lora=tags.get("feat_lora", "").lower() in {"true", "1", "yes"},
        arguments=_arguments(tags, where),
        weights=tags.get("unigate_weights") or _weights(entry.files),
        origin=Origin.MANIFEST,
        origin_key=where,
        source=tags.get("unigate_source") or f"From the manifest {file}.",
        rank=rank,
        needs_pin=tags.get("unigate_needs_pin") == "true",
        given_id=entry.id,
    )


def _weights(files: Mapping[str, str]) -> str | None:
    """The model that most of the files are of."""
    models = [uri.partition("?")[0] for uri in files.values() if "://" in uri]
    return max(models, key=models.count) if models else None


def _gpu(tags: Mapping[str, str]) -> str | None:
    """The family: NIM writes h100_nvl and the PCI device where we write h100."""
    name = tags.get("gpu", "").lower()
    return gpu_family(name, tags.get("gpu_device", "").lower()) or name or None


def _degree(tags: Mapping[str, str], axis: str, where: str) -> int:
    value = tags.get(axis, "1")
    if not value.isdecimal() or int(value) < 1:
        raise ManifestError(f"{where}: {axis} is {value!r}, and should be a number of GPUs")
    return int(value)


def _arguments(tags: Mapping[str, str], where: str) -> dict[str, str]:
    """The tag `nim_json_args` is a JSON object of engine flags."""
    try:
        flags = json.loads(tags.get("nim_json_args") or "{}")
    except ValueError as error:
        raise ManifestError(f"{where}: nim_json_args is not JSON: {error}") from None
    if not isinstance(flags, dict):
        raise ManifestError(f"{where}: nim_json_args is not a JSON object")
    return {
        "--" + flag.lstrip("-").replace("_", "-"): _value(value)
        for flag, value in flags.items()
        if value is not None and value is not False
    }


def _value(value: object) -> str:
    if value is True:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _tags(profile: Profile) -> dict[str, str]:
    flags = {flag.lstrip("-"): value or True for flag, value in profile.arguments.items()}
    tags = {
        "llm_engine": profile.engine,
        "gpu": profile.gpu or "",
        "precision": profile.precision,
        "tp": str(profile.tp),
        "pp": str(profile.pp),
        "profile": profile.objective or "",
        "feat_lora": "true" if profile.lora else "",
        "nim_json_args": json.dumps(flags) if flags else "",
        "unigate_weights": profile.weights or "",
        "unigate_needs_pin": "true" if profile.needs_pin else "",
        "unigate_source": profile.source,
    }
    return {tag: str(value) for tag, value in tags.items() if value}


def _mapping(parent: object, key: str) -> Mapping[str, Any]:
    child = parent.get(key) if isinstance(parent, dict) else None
    return child if isinstance(child, dict) else {}


def _strings(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): _value(value) for key, value in values.items() if value is not None}
