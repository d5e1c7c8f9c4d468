"""A mirror that NIM_REPOSITORY_OVERRIDE puts in the place of the sources.

NIM's mirrors are flat: a file lies under its whole URI without the scheme, with everything escaped,
as in `s3://bucket/nim%2Fmeta%2Fllama%3Ahf%3Ffile%3Dconfig.json`. Beside the files lies our manifest
of them, under the same kind of name, since a web server cannot be asked for a list.
"""

import hashlib
import json
from collections.abc import Generator
from urllib.parse import quote

import httpx

from profiles.access import Access
from profiles.errors import Cause, SourceError
from profiles.source import RemoteModel
from profiles.sources.http import HttpClient, Refusal
from profiles.sources.remote import MANIFEST, Listing, RemoteFile
from profiles.sources.selection import choose

_UNAUTHORIZED = 401
_FORBIDDEN = 403


def mirrored_name(source: RemoteModel, path: str) -> str:
    """The name of one of the source's files in a mirror."""
    place = source.uri.partition("://")[2].partition("?")[0]
    return quote(f"{place}?file={path}", safe="")


class BucketMirror:
    """Files in a bucket, flat."""

    def __init__(self, source: RemoteModel, override: str, access: Access) -> None:
        # A web mirror needs no object store.
        from profiles.sources.bucket import connect, named  # noqa: PLC0415

        scheme, _, place = override.partition("://")
        bucket, _, prefix = place.strip("/").partition("/")
        self._source = source
        self._named = named
        self._access = access
        self._uri = f"{scheme}://{bucket}"
        self._prefix = f"{prefix}/" if prefix else ""
        self._start = self._prefix + mirrored_name(source, "")
        self._store = connect(scheme, bucket, access)

    def close(self) -> None:
        """Obstore closes by itself."""

    def check(self) -> None:
        """Whether the bucket may be listed."""
        self._objects()

    def listing(self) -> Listing:
        """The objects whose names begin with the source's."""
        objects = self._objects()
        if not objects:
            raise SourceError(
                f"the mirror {self._uri} has nothing of {self._source.uri}: mirror it first, or "
                "unset NIM_REPOSITORY_OVERRIDE",
                Cause.MISSING,
            )
        sums = self._sums() if self._start + quote(MANIFEST) in objects else {}
        files = [
            RemoteFile(
                path=(name := _unquoted(path.removeprefix(self._start))),
                size_bytes=size,
                sha256=sums.get((name, size)),
            )
            for path, size in objects.items()
        ]
        return _listing(choose(self._source, files))

    def read(self, file: RemoteFile, start: int) -> Generator[bytes, None, None]:
        """The object from `start` on."""
        import obstore  # noqa: PLC0415

        place = self._prefix + mirrored_name(self._source, file.path)
        with self._named(f"{self._uri}/{place}", self._access, while_reading=True):
            options = {"range": (start, file.size_bytes)}
            answer = obstore.get(self._store, place, options=options)  # type: ignore[arg-type]
            for chunk in answer.stream(min_chunk_size=1024 * 1024):
                yield bytes(chunk)

    def _objects(self) -> dict[str, int]:
        import obstore  # noqa: PLC0415

        # obstore takes prefixes of whole path segments only, so ours is compared here.
        with self._named(self._uri, self._access):
            found = obstore.list_with_delimiter(self._store, self._prefix or None)["objects"]
        return {str(o["path"]): int(o["size"]) for o in found if o["path"].startswith(self._start)}

    def _sums(self) -> dict[tuple[str, int], str]:
        import obstore  # noqa: PLC0415

        with self._named(self._uri, self._access):
            text = bytes(obstore.get(self._store, self._start + quote(MANIFEST)).bytes())
        return {(f.path, f.size_bytes): f.sha256 or "" for f in _manifest_files(text)}


class WebMirror:
    """Files on a web server, flat; without `?file=` the mirror's manifest says which there are."""

    def __init__(self, source: RemoteModel, override: str, access: Access) -> None:
        self._source = source
        self._base = override.rstrip("/")
        self._name = f"the mirror {httpx.URL(self._base).host}"
        headers = {}
        if access.https_credential:
            headers["authorization"] = access.https_credential
        self._client = HttpClient(headers=headers, timeout_s=access.timeout_s, name=self._name)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def check(self) -> None:
        """Whether the mirror has the model."""
        self.listing()

    def listing(self) -> Listing:
        """The manifest's files, or those that were asked for."""
        try:
            answer = self._client.json(self._address(MANIFEST))
            files = _manifest_files(json.dumps(answer).encode())
        except Refusal as refusal:
            if refusal.status in {_UNAUTHORIZED, _FORBIDDEN} or not self._source.files:
                raise self._refused(refusal) from None
            files = self._sizes()
        return _listing(choose(self._source, files))

    def read(self, file: RemoteFile, start: int) -> Generator[bytes, None, None]:
        """The file from `start` on."""
        try:
            yield from self._client.read(self._address(file.path), file, start)
        except Refusal as refusal:
            raise self._refused(refusal) from None

    def _sizes(self) -> list[RemoteFile]:
        try:
            return [
                RemoteFile(path=path, size_bytes=self._client.size(self._address(path)))
                for path in self._source.files
            ]
        except Refusal as refusal:
            raise self._refused(refusal) from None

    def _address(self, path: str) -> str:
        return f"{self._base}/{mirrored_name(self._source, path)}"

    def _refused(self, refusal: Refusal) -> SourceError:
        if refusal.status in {_UNAUTHORIZED, _FORBIDDEN}:
            return SourceError(
                f"{self._name} refuses ({refusal.status}): set NIM_HTTPS_CREDENTIAL to the value "
                "of the Authorization header it wants",
                Cause.REFUSED,
            )
        return SourceError(
            f"{self._name} has nothing of {self._source.uri} ({refusal.status}): mirror it first, "
            "or unset NIM_REPOSITORY_OVERRIDE",
            Cause.MISSING,
        )


def _manifest_files(text: bytes) -> list[RemoteFile]:
    try:
        return [
            RemoteFile(
                path=str(e["path"]), size_bytes=int(e["size_bytes"]), sha256=str(e["sha256"])
            )
            for e in json.loads(text)["files"]
        ]
    except (ValueError, KeyError, TypeError):
        raise SourceError(
            "the mirror's manifest is broken: mirror it again", Cause.BROKEN
        ) from None


def _listing(files: tuple[RemoteFile, ...]) -> Listing:
    content = "\n".join(f"{file.path} {file.size_bytes} {file.checksum}" for file in files)
    return Listing(revision=hashlib.sha256(content.encode()).hexdigest()[:32], files=files)


def _unquoted(name: str) -> str:
    return httpx.QueryParams(f"name={name}")["name"]
