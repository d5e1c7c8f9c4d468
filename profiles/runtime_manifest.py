"""Keeps the profiles that were made for a model, so that it is served offline as it was online.

NIM fails on a stale `nim_runtime_manifest.yaml` until somebody deletes it; here it is made anew.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from profiles.errors import ManifestError
from profiles.manifest import Manifest, read_manifest, write_manifest

FILE_NAME = "nim_runtime_manifest.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What the profiles depend on; a manifest with another stamp is stale."""

    model: str  # the source, with its revision
    config: str  # a digest of config.json
    machine: str  # kinds and numbers of GPUs
    unigate: str
    vllm: str

    def as_tags(self) -> dict[str, str]:
        """As the manifest carries it."""
        return {field.name: str(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """The manifest, whether it was there already, and what was wrong on the way (or "")."""

    manifest: Manifest
    is_reused: bool
    note: str = ""


def cached(directory: Path, stamp: Stamp, make: Callable[[], Manifest]) -> Cached:
    """The manifest in the directory, or a new one if that is missing, stale or broken.

    A directory that cannot be written (a read-only store) costs the copy, not the start.
    """
    path = directory / FILE_NAME
    try:
        found = read_manifest(path.read_text(encoding="utf-8"), file=FILE_NAME)
    except FileNotFoundError:
        note = ""
    except (ManifestError, OSError, UnicodeDecodeError) as error:
        note = f"{path} is made anew: {error}"
    else:
        stale = [tag for tag, value in stamp.as_tags().items() if found.stamp.get(tag) != value]
        if not stale:
            return Cached(manifest=found, is_reused=True)
        note = f"{path} is made anew: it was for another {' and '.join(stale)}"
    made = make()
    manifest = Manifest(profiles=made.profiles, files=made.files, stamp=stamp.as_tags())
    try:
        write_atomically(path, write_manifest(manifest))
    except OSError as error:
        note = f"{note}; " if note else ""
        note += f"{path} cannot be written, so offline the profiles are made again: {error}"
    return Cached(manifest=manifest, is_reused=False, note=note)


def write_atomically(path: Path, text: str) -> None:
    """Put the whole text in place at once: nobody ever reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)  # mkstemp's 0600 would shut other users of a shared store out
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
