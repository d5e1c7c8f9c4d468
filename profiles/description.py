"""What can be known of a model before its weights are here: config.json and how large it is."""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles import hub_cache
from profiles.access import Access
from profiles.errors import Cause, ModelNotAvailableError, SourceError
from profiles.memory import ModelFacts, read_model, read_model_directory
from profiles.model_directory import verify_config
from profiles.source import HubModel, LocalModel, ModelSource, RemoteModel
from profiles.sources.opening import open_remote
from profiles.sources.remote import InterruptedTransferError, Listing, Remote, RemoteFile
from profiles.store import manifest, mount
from profiles.store.digest import Digest
from profiles.store.store import Store
from profiles.store.trouble import explain

log = logging.getLogger(__name__)

_CONFIG = "config.json"
# First the one that is looked for first; the other is Mistral's own format.
_CONFIGS = (_CONFIG, "params.json")
_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".gguf")
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A model as selection needs it. `config` is None for formats without one."""

    source: ModelSource
    revision: str  # "" for a directory, whose files may change at any time
    config: Mapping[str, Any] | None
    facts: ModelFacts
    listing: Listing | None = None  # what the source has said, for whoever fetches


def describe(
    source: ModelSource,
    *,
    cache: Path,
    access: Access,
    offline: bool = False,
    hub_caches: Sequence[Path] = (),
    probe_timeout_s: float = 60.0,
) -> Description:
    """Look at the model where it is, or at the copy in the store when its source is out of reach.

    Raises:
        ModelNotAvailableError: there is no such model, its config is broken, or the store's mount
            does not answer.
        ModelReferenceError: the mirror's address is not understood.
    """
    if isinstance(source, LocalModel):
        verify_config(source.path)
        return _of_directory(source, source.path)
    mount.probe(cache, timeout_s=probe_timeout_s)
    try:
        copy = _copy(source, cache, hub_caches)
        # As `fetch` does it: what can never mean other files is not asked for again.
        is_settled = source.fixed_revision is not None and copy is not None and _is_untouched(copy)
    except OSError as error:
        raise explain(error, cache) from None
    if copy is not None and is_settled:
        return _of_directory(source, copy)
    if offline:
        if copy is None:
            raise ModelNotAvailableError(
                f"{source.uri} is not in the cache {cache}, and downloading is switched off "
                "(NIM_DISABLE_MODEL_DOWNLOAD): allow downloading once, or copy the cache of a "
                "machine that has it"
            )
        return _of_directory(source, copy)
    try:
        with closing(open_remote(source, access)) as remote:
            return _of_remote(source, remote)
    except SourceError as error:
        if copy is None:
            raise
        log.warning("model.described_from_store", extra={"reason": str(error)})
        return _of_directory(source, copy)


def _copy(source: RemoteModel, cache: Path, hub_caches: Sequence[Path]) -> Path | None:
    """A whole copy of the model on this machine."""
    published = Store(cache).latest(source)
    if published is not None:
        return published.directory
    if isinstance(source, HubModel):
        return hub_cache.find(source, hub_caches).directory
    return None


def _is_untouched(copy: Path) -> bool:
    known = manifest.read(copy)
    return known is not None and manifest.compare(copy, known).is_none


def _of_directory(source: ModelSource, directory: Path) -> Description:
    path = directory / _CONFIG
    if not path.exists():
        weights = [file for file in _files(directory) if file.name.endswith(_WEIGHTS)]
        size_bytes = sum(file.stat().st_size for file in weights)
        other = directory / _CONFIGS[1]
        value = _parse(other.read_bytes(), str(other)) if other.exists() else None
        facts = read_model(value or {}, index_bytes=size_bytes or None)
        return Description(source=source, revision="", config=value, facts=facts)
    facts = read_model_directory(directory)
    config = _parse(path.read_bytes(), str(path))
    return Description(source=source, revision="", config=config, facts=facts)


def _files(directory: Path) -> list[Path]:
    try:
        return [path for path in directory.iterdir() if path.is_file()]
    except OSError:
        return []  # `verify` will say what is wrong with it


def _of_remote(source: RemoteModel, remote: Remote) -> Description:
    listing = remote.listing()
    sizes = [file.size_bytes for file in listing.files if file.path.endswith(_WEIGHTS)]
    files = {file.path: file for file in listing.files}
    config = next((files[name] for name in _CONFIGS if name in files), None)
    value = (
        _parse(_content(source.uri, remote, config), f"{source.uri} {config.path}")
        if config
        else None
    )
    return Description(
        source=source,
        revision=listing.revision,
        config=value,
        facts=read_model(value or {}, index_bytes=sum(sizes) or None),
        listing=listing,
    )


def _content(uri: str, remote: Remote, file: RemoteFile) -> bytes:
    """A small file as the source has it, in as many attempts as a bad line takes."""
    content, problem = bytearray(), ""
    for _ in range(_ATTEMPTS):
        try:
            for piece in remote.read(file, len(content)):
                content += piece
            problem = "the source sends less than it has"
        except InterruptedTransferError as error:
            problem = str(error)
        if len(content) >= file.size_bytes:
            digest = Digest(file)
            digest.update(bytes(content))
            if digest.is_right:
                return bytes(content)
            content, problem = bytearray(), "its checksum differs from the one the source names"
        log.info("model.describe_again", extra={"file": file.path, "reason": problem})
    raise SourceError(
        f"{uri}: {file.path} cannot be read after {_ATTEMPTS} attempts: {problem}; check the "
        "network and HTTPS_PROXY",
        Cause.UNREACHABLE,
    )


def _parse(content: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ModelNotAvailableError(
            f"{name} is not valid JSON ({error}): fetch it again"
        ) from None
    if not isinstance(value, dict):
        raise ModelNotAvailableError(f"{name} is not a JSON object: fetch it again")
    return value
