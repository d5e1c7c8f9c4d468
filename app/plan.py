"""Merges command line, variables and files into what the user wants served."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app import arguments
from app.arguments import Argument
from app.runtime_config import read_runtime_config
from app.settings import BadSettingsError, Resolved, Settings
from profiles.errors import ManifestError, ModelReferenceError
from profiles.source import LocalModel, ModelSource, parse_source

if TYPE_CHECKING:
    from profiles.manifest import Manifest

_COMMAND_LINE = "command line"
# Where NIM's images keep theirs.
_MANIFESTS = (
    Path("/opt/nim/etc/default/model_manifest.yaml"),
    Path("/etc/nim/config/model_manifest.yaml"),
)
_NO_MODEL = (
    "no model: set NIM_MODEL_PATH, or write it behind `serve`, "
    "as a directory or as hf://organisation/model"
)


class NoModelError(BadSettingsError):
    """Nothing says what to serve."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be served, and who said so."""

    resolved: Resolved
    source: ModelSource
    served_names: tuple[str, ...]
    host: str
    port: int
    arguments: tuple[Argument, ...]
    sources: dict[str, str]

    manifest: "Manifest | None" = None

    @property
    def is_local(self) -> bool:
        """Whether the model is a directory of this machine."""
        return isinstance(self.source, LocalModel)


def plan(resolved: Resolved, words: Sequence[str]) -> Plan:
    """Merge the command line (`words`) with the settings and the model's runtime_config.json.

    Raises:
        BadSettingsError: something is missing or contradicts itself.
    """
    settings = resolved.settings
    sources = dict(resolved.sources)
    words = list(words)
    positional = words.pop(0) if words and not words[0].startswith("-") else None
    merged = arguments.merge(
        arguments.from_settings(settings),
        arguments.from_text(settings.passthrough_args, "NIM_PASSTHROUGH_ARGS"),
        arguments.from_words(words, _COMMAND_LINE),
    )
    said = {argument.flag: argument.source for argument in merged}
    model, merged = arguments.take(merged, "--model")
    host, merged = arguments.take(merged, "--host")
    port, merged = arguments.take(merged, "--port")
    names = [name for item in merged if item.flag == "--served-model-name" for name in item.values]
    merged = [item for item in merged if item.flag != "--served-model-name"]
    reference = positional or model or settings.model_path
    if reference is None:
        sources["model_path"] = "manifest"
    source, manifest = _model(reference, settings.manifest_path)
    if isinstance(source, LocalModel):
        merged = arguments.merge(read_runtime_config(source.path), merged)
    _check_adapters(settings, merged)
    sources |= {
        "model_path": _COMMAND_LINE
        if positional
        else said.get("--model", sources.get("model_path", "")),
        "host": said.get("--host", sources.get("host", "default")),
        "port": said.get("--port", sources.get("port", "default")),
        "served_model_name": said.get(
            "--served-model-name", sources.get("served_model_name", "the model's name")
        ),
    }
    if settings.sagemaker_mode and sources["port"] == "default":
        sources["port"] = sources.get("sagemaker_port", sources["sagemaker_mode"])
        port = str(settings.sagemaker_port)
    return Plan(
        resolved=resolved,
        source=source,
        served_names=tuple(names) or settings.served_names or (source.name,),
        host=host or settings.host,
        port=settings.port if port is None else _port(port),
        arguments=tuple(merged),
        sources=sources,
        manifest=manifest,
    )


def _check_adapters(settings: Settings, merged: list[Argument]) -> None:
    """Raises `BadSettingsError` where adapters are wanted and cannot be served."""
    if settings.peft_source is None:
        return
    if not settings.peft_source.is_dir():
        raise BadSettingsError("NIM_PEFT_SOURCE: there is no such directory")
    if not any(argument.flag == "--enable-lora" for argument in merged):
        raise BadSettingsError("NIM_PEFT_SOURCE is set, and --no-enable-lora switches adapters off")
    if (settings.max_cpu_loras or settings.max_gpu_loras) < settings.max_gpu_loras:
        raise BadSettingsError("NIM_MAX_CPU_LORAS must not be less than NIM_MAX_GPU_LORAS")


def _model(
    reference: str | None, manifest_path: Path | None
) -> "tuple[ModelSource, Manifest | None]":
    """What is served, and the profiles that a manifest has for it."""
    try:
        manifest = _manifest(manifest_path, has_model=reference is not None)
        if reference is None and manifest is not None:
            reference = manifest.widest_weights()
        if reference is None:
            raise NoModelError(_NO_MODEL)
        return parse_source(reference), manifest
    except (ModelReferenceError, ManifestError) as error:
        raise BadSettingsError(str(error)) from None


def _manifest(path: Path | None, *, has_model: bool) -> "Manifest | None":
    """The manifest that is set, or that of NIM's images if nothing else says what to serve."""
    if path is None:
        if has_model:
            return None
        path = next((place for place in _MANIFESTS if place.exists()), None)
        if path is None:
            return None
    # YAML takes 20 ms to import, and most starts have no manifest.
    from profiles.manifest import read_manifest_file  # noqa: PLC0415

    manifest = read_manifest_file(path)
    if not has_model:
        return manifest
    # The model that the user names is served, not the ones that the manifest knows.
    own = tuple(replace(profile, weights=None) for profile in manifest.profiles)
    return replace(manifest, profiles=own)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004  # the largest port there is
        raise BadSettingsError("--port takes a number from 0 to 65535")
    return int(text)
