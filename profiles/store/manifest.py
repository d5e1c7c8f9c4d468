"""What a published model consists of: written last, and what proves that it is whole."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from profiles.sources.remote import MANIFEST

_FORMAT = 1
_NS = 1_000_000_000


class StoredFile(BaseModel):
    """One file as it was when it was published."""

    model_config = ConfigDict(frozen=True)

    path: str
    size_bytes: int
    sha256: str
    modified_ns: int


class Manifest(BaseModel):
    """The file `.unigate.json` in a model's directory."""

    model_config = ConfigDict(frozen=True)

    format: int = _FORMAT
    source: str
    revision: str
    files: tuple[StoredFile, ...]

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """How a directory differs from its manifest at a glance, without reading the files."""

    missing: tuple[StoredFile, ...]
    resized: tuple[StoredFile, ...]
    touched: tuple[StoredFile, ...]  # the right size, but written to since: only a checksum tells

    @property
    def is_none(self) -> bool:
        """Whether there is nothing to see."""
        return not (self.missing or self.resized or self.touched)


def read(directory: Path) -> Manifest | None:
    """The manifest of a directory; None without a proper one.

    Raises:
        OSError: it is there, and cannot be read.
    """
    try:
        text = (directory / MANIFEST).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError:
        return None
    return manifest if manifest.format == _FORMAT else None


def write(directory: Path, manifest: Manifest) -> None:
    """Put the manifest in its place, in one step, and on the disk before it says so."""
    temporary = directory / f"{MANIFEST}.{os.getpid()}"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(manifest.model_dump(mode="json"), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(directory / MANIFEST)


def compare(directory: Path, manifest: Manifest) -> Differences:
    """One `stat` for each file.

    Raises:
        OSError: a file cannot be looked at.
    """
    missing, resized, touched = [], [], []
    for file in manifest.files:
        try:
            found = (directory / file.path).stat()
        except (FileNotFoundError, NotADirectoryError):
            missing.append(file)
            continue
        if found.st_size != file.size_bytes:
            resized.append(file)
        elif not _is_same_time(found.st_mtime_ns, file.modified_ns):
            touched.append(file)
    return Differences(missing=tuple(missing), resized=tuple(resized), touched=tuple(touched))


def _is_same_time(found_ns: int, known_ns: int) -> bool:
    # Archives and image layers keep whole seconds only.
    return found_ns == known_ns or (found_ns % _NS == 0 and found_ns // _NS == known_ns // _NS)
