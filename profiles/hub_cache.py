"""Models that other tools have put into a cache in the layout of huggingface_hub.

Its directories may be half-filled at any time, so that a model is whole has to be proved: by the
hub's listing, by the one that huggingface_hub keeps beside the files, or by the model's own index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from profiles.errors import ModelNotAvailableError, SourceError
from profiles.model_directory import verify
from profiles.source import HubModel
from profiles.sources.remote import Listing
from profiles.store.digest import Digest, read_into

_DEFAULT_REVISION = "main"


@dataclass(frozen=True, slots=True)
class Search:
    """What the caches hold of a model."""

    directory: Path | None = None
    lacking: str = ""  # a sentence about the best that is not whole


def find(source: HubModel, caches: Sequence[Path], listing: Listing | None = None) -> Search:
    """The model's directory in the first cache that holds all of it."""
    lacking = ""
    for cache in caches:
        try:
            snapshot = _snapshot(source, cache, listing)
            if snapshot is None:
                continue
            problem = _lacking(source, cache, snapshot, listing)
        except OSError as error:
            problem = f"{cache} cannot be read: {error}"
        if not problem:
            return Search(directory=snapshot)
        lacking = lacking or problem
    return Search(lacking=lacking)


def is_intact(directory: Path, listing: Listing) -> bool:
    """Whether every file has the checksum that the hub names; reads all of them."""
    for file in listing.files:
        digest = Digest(file)
        read_into(directory / file.path, digest.update)
        if not digest.is_right:
            return False
    return True


def _snapshot(source: HubModel, cache: Path, listing: Listing | None) -> Path | None:
    repository = cache / f"models--{source.repository.replace('/', '--')}"
    commit = listing.revision if listing else source.fixed_revision
    if commit is None:
        ref = repository / "refs" / (source.revision or _DEFAULT_REVISION)
        if not ref.is_file():
            return None
        commit = ref.read_text(encoding="utf-8").strip()
    snapshot = repository / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def _lacking(source: HubModel, cache: Path, snapshot: Path, listing: Listing | None) -> str:
    """What the snapshot lacks, in a sentence; empty if nothing."""
    expected = listing or _kept_listing(source, cache, snapshot.name)
    if expected is not None:
        sizes = {file.path: file.size_bytes for file in expected.files}
    elif source.files:
        sizes = dict.fromkeys(source.files, -1)
    else:
        try:
            verify(snapshot)
        except ModelNotAvailableError as error:
            return str(error)
        return ""
    missing = [path for path, size in sizes.items() if not _has(snapshot / path, size)]
    if not missing:
        return ""
    return f"{snapshot} lacks {len(missing)} of {len(sizes)} files, the first is {missing[0]}"


def _kept_listing(source: HubModel, cache: Path, commit: str) -> Listing | None:
    # The hub's client takes 0.2 s to import; only models of hubs wait for it.
    from huggingface_hub import get_cached_repo_tree  # noqa: PLC0415
    from huggingface_hub.errors import CachedRepoTreeNotFoundError  # noqa: PLC0415

    from profiles.sources.hub import chosen_files  # noqa: PLC0415

    try:
        tree = get_cached_repo_tree(source.repository, revision=commit, cache_dir=cache)
        return Listing(revision=commit, files=chosen_files(source, tree))
    except (CachedRepoTreeNotFoundError, SourceError, ValueError):
        return None


def _has(path: Path, size_bytes: int) -> bool:
    return path.is_file() and (size_bytes < 0 or path.stat().st_size == size_bytes)
