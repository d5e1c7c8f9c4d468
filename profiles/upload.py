"""Copies a model of this machine to where others fetch it from: a bucket or a directory."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from profiles.access import Access
from profiles.errors import ModelNotAvailableError, ModelReferenceError
from profiles.progress import Phase, Progress
from profiles.source import BucketModel, RemoteModel, parse_source
from profiles.sources.mirror import mirrored_name
from profiles.sources.remote import MANIFEST
from profiles.store import manifest
from profiles.store.digest import sha256_of
from profiles.store.manifest import Manifest, StoredFile
from profiles.workspace import materialise

# Ten thousand parts are what S3 takes of one object: enough for 320 GB.
_PART_BYTES = 32 * 1024 * 1024
_PARTS_AT_ONCE = 4


def mirror(
    directory: Path,
    destination: str,
    *,
    access: Access,
    source: RemoteModel | None = None,
    progress: Progress | None = None,
) -> str:
    """Upload the files that are not there yet, our manifest of them last; the place they are in.

    With `source`, files are named as NIM_REPOSITORY_OVERRIDE expects them, so that the destination
    stands in for the source. Without, they lie under the destination as they are in the model.

    Raises:
        ModelNotAvailableError: the destination does not take them.
        ModelReferenceError: the destination is not understood.
    """
    progress = progress or Progress()
    place = parse_source(destination)
    known = _described(directory, progress)
    if not isinstance(place, BucketModel):
        if "://" in destination:
            raise ModelReferenceError(f"a mirror is s3://, gs:// or a directory, not {destination}")
        return str(materialise(directory, place.path))  # type: ignore[union-attr]
    names = {file.path: _name(file.path, place, source) for file in known.files}
    _upload(
        directory,
        known,
        names | {MANIFEST: _name(MANIFEST, place, source)},
        place=place,
        access=access,
        progress=progress,
    )
    progress.begin(Phase.DONE)
    return place.uri


def _name(path: str, place: BucketModel, source: RemoteModel | None) -> str:
    prefix = f"{place.prefix}/" if place.prefix else ""
    return prefix + (mirrored_name(source, path) if source else path)


def _upload(
    directory: Path,
    known: Manifest,
    names: dict[str, str],
    *,
    place: BucketModel,
    access: Access,
    progress: Progress,
) -> None:
    # obstore is for those who use buckets.
    import obstore  # noqa: PLC0415

    from profiles.sources.bucket import connect, named  # noqa: PLC0415

    bucket = connect(place.scheme, place.bucket, access)
    with named(place.uri, access):
        there = _there(bucket, names)
        missing = [file for file in known.files if there.get(file.path) != file.sha256]
        progress.begin(
            Phase.UPLOADING,
            files=len(missing),
            bytes_=sum(file.size_bytes for file in missing),
            note=place.uri,
        )
        for file in missing:
            obstore.put(
                bucket,
                names[file.path],
                _pieces(directory / file.path, progress),
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
            progress.file_done()
        text = json.dumps(known.model_dump(mode="json"), indent=1).encode()
        obstore.put(bucket, names[MANIFEST], text)


def _there(bucket: Any, names: dict[str, str]) -> dict[str, str]:
    """Checksums of what an earlier upload left whole."""
    import obstore  # noqa: PLC0415

    try:
        text = bytes(obstore.get(bucket, names[MANIFEST]).bytes())
        sums = {str(f["path"]): (str(f["sha256"]), int(f["size_bytes"])) for f in _read(text)}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
    found = {}
    for path, (checksum, size_bytes) in sums.items():
        try:
            if path in names and obstore.head(bucket, names[path])["size"] == size_bytes:
                found[path] = checksum
        except FileNotFoundError:
            continue
    return found


def _read(text: bytes) -> list[dict[str, Any]]:
    return list(json.loads(text)["files"])


def _pieces(path: Path, progress: Progress) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_PART_BYTES):
            progress.add(len(data))
            yield data


def _described(directory: Path, progress: Progress) -> Manifest:
    """The model's manifest; made now for a directory that has none, or has changed since."""
    try:
        found = [p for p in sorted(directory.rglob("*")) if p.is_file() and p.name != MANIFEST]
        if not found:
            raise ModelNotAvailableError(f"{directory} holds no files")
        known = manifest.read(directory)
        names = {path.relative_to(directory).as_posix() for path in found}
        # People edit what `download-model` has made for them.
        if (
            known is not None
            and names == {file.path for file in known.files}
            and manifest.compare(directory, known).is_none
        ):
            return known
        progress.begin(
            Phase.VERIFYING, files=len(found), bytes_=sum(p.stat().st_size for p in found)
        )
        files = tuple(
            StoredFile(
                path=path.relative_to(directory).as_posix(),
                size_bytes=path.stat().st_size,
                sha256=sha256_of(path, progress.add),
                modified_ns=path.stat().st_mtime_ns,
            )
            for path in found
        )
    except OSError as error:
        raise ModelNotAvailableError(f"{directory} cannot be read: {error}") from None
    name = quote(os.path.basename(directory))  # noqa: PTH119  # not the path, which is nobody's business
    return Manifest(source=name, revision="", files=files)
