"""What can be known of a model before its weights are here: config.json and how large it is."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles import hub_cache
from profiles.access import Access
from profiles.errors import ModelNotAvailableError, SourceError
from profiles.memory import ModelFacts, read_model, read_model_directory
from profiles.model_directory import verify_config
from profiles.source import HubModel, LocalModel, ModelSource, RemoteModel
from profiles.sources.opening import open_remote
from profiles.sources.remote import InterruptedTransferError, Remote, RemoteFile
from profiles.store import mount
from profiles.store.store import Store

log = logging.getLogger(__name__)

_CONFIG = "config.json"
_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".gguf")
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A model as selection needs it. `config` is None for formats without a config.json."""

    source: ModelSource
    revision: str  # "" for a directory, whose files may change at any time
    config: Mapping[str, Any] | None
    facts: ModelFacts


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
    copy = _copy(source, cache, hub_caches)
    if offline:
        if copy is None:
            raise ModelNotAvailableError(
                f"{source.uri} is not in the cache {cache}, and downloading is switched off "
                "(NIM_DISABLE_MODEL_DOWNLOAD): allow downloading once, or copy the cache of a "
                "machine that has it"
            )
        return _of_directory(source, copy)
    try:
        remote = open_remote(source, access)
        try:
            return _of_remote(source, remote)
        finally:
            remote.close()
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


def _of_directory(source: ModelSource, directory: Path) -> Description:
    path = directory / _CONFIG
    if not path.exists():
        weights = [file for file in _files(directory) if file.name.endswith(_WEIGHTS)]
        size_bytes = sum(file.stat().st_size for file in weights)
        facts = read_model({}, index_bytes=size_bytes or None)
        return Description(source=source, revision="", config=None, facts=facts)
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
    config = next((file for file in listing.files if file.path == _CONFIG), None)
    value = _parse(_content(remote, config), f"{source.uri} {_CONFIG}") if config else None
    return Description(
        source=source,
        revision=listing.revision,
        config=value,
        facts=read_model(value or {}, index_bytes=sum(sizes) or None),
    )


def _content(remote: Remote, file: RemoteFile) -> bytes:
    """A small file, in as many attempts as a bad line takes."""
    content = bytearray()
    for _ in range(_ATTEMPTS):
        try:
            for piece in remote.read(file, len(content)):
                content += piece
        except InterruptedTransferError as error:
            log.info("model.describe_again", extra={"file": file.path, "reason": str(error)})
        if len(content) >= file.size_bytes:
            break
    return bytes(content)


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
