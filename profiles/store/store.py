"""Finds models in the cache, and puts them there."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from profiles.errors import ModelNotAvailableError
from profiles.progress import Phase, Progress
from profiles.source import HubModel, ModelScopeModel, RemoteModel, store_key
from profiles.store import manifest
from profiles.store.digest import sha256_of
from profiles.store.manifest import Manifest, StoredFile
from profiles.store.staging import Staging, remove

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A model in the store, as its manifest has it."""

    directory: Path
    manifest: Manifest


class DamagedModelError(ModelNotAvailableError):
    """A published model is not what it was."""


class Store:
    """One cache directory."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.locks = cache / "locks"

    def staging(self, source: RemoteModel) -> Staging:
        """Where the source's files arrive."""
        return Staging(self.cache / "staging" / store_key(source))

    def revision(self, source: RemoteModel, revision: str) -> Published | None:
        """One revision of the source, if it is published."""
        directory = self._models(source) / quote(revision, safe="")
        found = manifest.read(directory)
        return Published(directory=directory, manifest=found) if found else None

    def latest(self, source: RemoteModel) -> Published | None:
        """What the source meant when it was last fetched."""
        if source.fixed_revision:
            return self.revision(source, source.fixed_revision)
        try:
            revision = self._ref(source).read_text(encoding="utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return self.revision(source, revision)

    def others(self, source: RemoteModel) -> list[Published]:
        """All published revisions of the source."""
        directory = self._models(source)
        if not directory.is_dir():
            return []
        found = [(path, manifest.read(path)) for path in sorted(directory.iterdir())]
        return [Published(directory=path, manifest=known) for path, known in found if known]

    def publish(self, source: RemoteModel, tree: Path, revision: str) -> Path:
        """Move an assembled model to its place, by one rename."""
        target = self._models(source) / quote(revision, safe="")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            # A damaged one. Whoever has its files open keeps them.
            broken = target.with_name(f".{target.name}.broken")
            remove(broken)
            target.rename(broken)
            tree.rename(target)
            remove(broken)
        else:
            tree.rename(target)
        _sync(target.parent)
        return target

    def remember(self, source: RemoteModel, revision: str) -> None:
        """Note what the source means now, for a start without a network."""
        ref = self._ref(source)
        if source.fixed_revision or (ref.exists() and ref.read_text(encoding="utf-8") == revision):
            return
        ref.parent.mkdir(parents=True, exist_ok=True)
        temporary = ref.with_name(f"{ref.name}.{os.getpid()}")
        temporary.write_text(revision, encoding="utf-8")
        temporary.replace(ref)

    def _models(self, source: RemoteModel) -> Path:
        return self.cache / "models" / store_key(source)

    def _ref(self, source: RemoteModel) -> Path:
        is_named = isinstance(source, HubModel | ModelScopeModel) and source.revision
        name = source.revision if is_named else None  # type: ignore[union-attr]
        return self._models(source) / "refs" / quote(name or "default", safe="")


def verify_published(model: Published, progress: Progress, *, every_file: bool) -> None:
    """Check that a published model is what it was when it was published.

    Sizes and times are compared, and the checksum of whatever was written to since; or of all.

    Raises:
        DamagedModelError: naming the first file that is not.
        OSError: a file cannot be read.
    """
    differences = manifest.compare(model.directory, model.manifest)
    if differences.missing:
        raise _damaged(model, differences.missing[0], "is missing")
    if differences.resized:
        raise _damaged(model, differences.resized[0], "has another size")
    doubtful = model.manifest.files if every_file else differences.touched
    if not doubtful:
        return
    progress.begin(
        Phase.VERIFYING, files=len(doubtful), bytes_=sum(file.size_bytes for file in doubtful)
    )
    log.info("store.verifying", extra={"directory": str(model.directory), "files": len(doubtful)})
    for file in doubtful:
        if sha256_of(model.directory / file.path, progress.add) != file.sha256:
            raise _damaged(model, file, "has another checksum")
        progress.file_done()
    _remember_times(model)


def _damaged(model: Published, file: StoredFile, what: str) -> DamagedModelError:
    return DamagedModelError(
        f"{model.directory / file.path} is damaged: it {what} than when it was published"
        if what != "is missing"
        else f"{model.directory} is damaged: {file.path} is missing"
    )


def _remember_times(model: Published) -> None:
    """So that a copy that lost its times is read through once, not at every start."""
    files = tuple(
        file.model_copy(update={"modified_ns": (model.directory / file.path).stat().st_mtime_ns})
        for file in model.manifest.files
    )
    try:
        manifest.write(model.directory, model.manifest.model_copy(update={"files": files}))
    except OSError:
        log.debug("store.read_only", extra={"directory": str(model.directory)})


def _sync(directory: Path) -> None:
    """A rename is on the disk once its directory is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
