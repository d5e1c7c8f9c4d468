"""Brings a model's files to this machine and says where they are."""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from profiles import hub_cache
from profiles.access import Access
from profiles.arrival import Arrival
from profiles.errors import ModelNotAvailableError, SourceError
from profiles.progress import Phase, Progress, size
from profiles.source import HubModel, LocalModel, ModelSource, RemoteModel
from profiles.sources.opening import open_remote
from profiles.sources.remote import Listing, Remote
from profiles.store import mount
from profiles.store.lock import held
from profiles.store.store import DamagedModelError, Published, Store, verify_published
from profiles.store.sweep import sweep
from profiles.store.transfer import Patience
from profiles.store.trouble import explain

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One call of `fetch`."""

    source: RemoteModel
    store: Store
    access: Access
    hub_caches: tuple[Path, ...]
    progress: Progress
    every_file: bool
    arrival: Arrival
    stop: threading.Event
    listing: Listing | None


def fetch(
    source: ModelSource,
    *,
    cache: Path,
    offline: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
    access: Access | None = None,
    hub_caches: Sequence[Path] = (),
    progress: Progress | None = None,
    probe_timeout_s: float = 60.0,
    verify_every_file: bool = False,
    patience: Patience | None = None,
    workers: int = 8,
    stop: threading.Event | None = None,
    listing: Listing | None = None,
) -> Path:
    """The directory with the model's files; blocks for as long as a download takes.

    `access` replaces `endpoint` and `token`, which are the hub's. `hub_caches` are directories in
    huggingface_hub's layout that are used, never written to, when they hold the whole model.
    `listing` is what the source has said already: asked again, a branch may mean other files.

    Raises:
        ModelNotAvailableError: with the cause and what to do about it.
        ModelReferenceError: the mirror's address is not understood.
    """
    if isinstance(source, LocalModel):
        return source.path
    progress = progress or Progress()
    stop = stop or threading.Event()
    answer = mount.probe(cache, timeout_s=probe_timeout_s)
    job = _Job(
        source=source,
        store=Store(cache),
        access=access or Access(hub_endpoint=endpoint, hub_token=token),
        hub_caches=tuple(hub_caches),
        progress=progress,
        every_file=verify_every_file,
        arrival=Arrival(
            progress=progress, patience=patience or Patience(), workers=workers, stop=stop
        ),
        stop=stop,
        listing=listing,
    )
    try:
        directory = _offline(job) if offline else _online(job, answer)
    except OSError as error:
        raise explain(error, cache) from None
    progress.begin(Phase.DONE)
    return directory


def _offline(job: _Job) -> Path:
    """What there is, if it is whole."""
    held_model = job.store.latest(job.source)
    if held_model is not None:
        try:
            verify_published(held_model, job.progress, every_file=job.every_file)
        except DamagedModelError as error:
            raise ModelNotAvailableError(
                f"{error}; downloading is switched off (NIM_DISABLE_MODEL_DOWNLOAD), so copy it "
                "into the store again, or allow downloading"
            ) from None
        return held_model.directory
    found = _in_hub_caches(job, None)
    if found.directory is not None:
        return found.directory
    places = " and ".join(str(place) for place in (job.store.cache, *job.hub_caches))
    raise ModelNotAvailableError(
        f"{job.source.uri} is not in the cache ({places}), and downloading is switched off "
        f"(NIM_DISABLE_MODEL_DOWNLOAD){_leftovers(job, found.lacking)}"
    )


def _leftovers(job: _Job, lacking: str) -> str:
    if lacking:
        return f": {lacking}"
    staging = job.store.staging(job.source).directory
    if staging.is_dir():
        arrived = sum(path.stat().st_size for path in staging.iterdir() if path.is_file())
        return f": an unfinished download holds {size(arrived)} of it in {staging}"
    return ""


def _online(job: _Job, answer: mount.Answer) -> Path:
    """From the store, from a hub's cache, or from the source, in this order."""
    fixed = job.source.fixed_revision
    if fixed and (directory := _stored(job, fixed)):
        return directory
    remote = open_remote(job.source, job.access, listing=job.listing)
    try:
        job.progress.begin(Phase.LISTING, note=job.source.uri)
        try:
            listing = job.listing or remote.listing()
        except SourceError as error:
            return _without_source(job, error)
        if directory := _stored(job, listing.revision):
            _remember(job, listing)
            return directory
        found = _in_hub_caches(job, listing)
        if found.directory is not None:
            return found.directory
        if answer.problem is not None:
            raise explain(answer.problem, job.store.cache)
        return _download(job, remote, listing)
    finally:
        remote.close()


def _stored(job: _Job, revision: str) -> Path | None:
    """The published revision, if it is what it was."""
    found = job.store.revision(job.source, revision)
    if found is None:
        return None
    try:
        verify_published(found, job.progress, every_file=job.every_file)
    except DamagedModelError as error:
        log.warning("store.damaged", extra={"reason": str(error), "action": "fetched again"})
        return None
    return found.directory


def _without_source(job: _Job, error: SourceError) -> Path:
    """The copy of last time, since the source does not answer: a restart need not fail with it."""
    latest = job.store.latest(job.source)
    directory = _stored(job, latest.manifest.revision) if latest else None
    if directory is None:
        directory = _in_hub_caches(job, None).directory
    if directory is None:
        raise error
    log.warning("store.used_without_source", extra={"reason": str(error), "path": str(directory)})
    return directory


def _in_hub_caches(job: _Job, listing: Listing | None) -> hub_cache.Search:
    if not isinstance(job.source, HubModel):
        return hub_cache.Search()
    found = hub_cache.find(job.source, job.hub_caches, listing)
    if found.directory is None or listing is None or not job.every_file:
        return found
    job.progress.begin(Phase.VERIFYING, note=str(found.directory))
    if hub_cache.is_intact(found.directory, listing):
        return found
    log.warning("hub_cache.damaged", extra={"path": str(found.directory)})
    return hub_cache.Search(lacking=f"{found.directory} is damaged")


def _download(job: _Job, remote: Remote, listing: Listing) -> Path:
    """Under the source's lock: fetch, assemble, publish."""
    key = job.store.staging(job.source).directory.name
    with held(job.store.locks, key, progress=job.progress, stop=job.stop):
        # Whoever held it before may have fetched the same.
        if directory := _stored(job, listing.revision):
            _remember(job, listing)
            return directory
        known: Sequence[Published] = job.store.others(job.source)
        staging = job.store.staging(job.source)
        tree, revision = job.arrival.receive(job.source, remote, listing, staging, known)
        directory = job.store.publish(job.source, tree, revision)
        job.store.remember(job.source, revision)
        staging.close()
    with suppress(OSError):  # tidiness is no reason to fail
        sweep(staging.directory.parent, job.store.locks)
    log.info(
        "store.published",
        extra={"model": job.source.uri, "revision": revision, "size": size(listing.size_bytes)},
    )
    return directory


def _remember(job: _Job, listing: Listing) -> None:
    try:
        job.store.remember(job.source, listing.revision)
    except OSError:
        log.debug("store.read_only", extra={"path": str(job.store.cache)})
