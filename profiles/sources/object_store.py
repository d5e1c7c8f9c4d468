"""Models in buckets of S3 and Google Cloud Storage."""

import hashlib
import json
import re
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import httpx
import obstore

from profiles.access import Access
from profiles.errors import Cause, SourceError
from profiles.source import BucketModel
from profiles.sources.bucket import connect, named
from profiles.sources.http import trusted
from profiles.sources.remote import MANIFEST, Listing, RemoteFile
from profiles.sources.selection import choose

_CHUNK_BYTES = 1024 * 1024
_PART_BYTES = 1024**3
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')
_SIGNED_FOR = timedelta(minutes=5)


class BucketRemote:
    """One directory of a bucket."""

    def __init__(self, source: BucketModel, access: Access) -> None:
        self._source = source
        self._access = access
        self._uri = source.uri.partition("?")[0]
        self._store = connect(source.scheme, source.bucket, access)
        self._prefix = f"{source.prefix}/" if source.prefix else ""

    def close(self) -> None:
        """Obstore closes by itself."""

    def check(self) -> None:
        """Whether the bucket may be listed."""
        with named(self._uri, self._access):
            next(iter(obstore.list(self._store, self._prefix or None, chunk_size=1)), None)

    def listing(self) -> Listing:
        """The objects under the prefix; the digest of the listing is its revision."""
        objects: list[Any] = []
        with named(self._uri, self._access):
            for batch in obstore.list(self._store, self._prefix or None, chunk_size=1000):
                objects += batch
        if not objects:
            raise SourceError(
                f"{self._uri} holds nothing: check bucket, prefix and AWS_REGION", Cause.MISSING
            )
        sums = self._sums(objects)
        has_md5 = self._etags_are_md5(objects[0]["path"])
        files = []
        for entry in objects:
            path = str(entry["path"]).removeprefix(self._prefix)
            found = _MD5.fullmatch(entry["e_tag"] or "") if has_md5 else None
            files.append(
                RemoteFile(
                    path=path,
                    size_bytes=int(entry["size"]),
                    sha256=sums.get((path, int(entry["size"]))),
                    md5=found[1] if found else None,
                )
            )
        chosen = choose(self._source, [file for file in files if not file.path.endswith("/")])
        tags = {str(entry["path"]): entry["e_tag"] for entry in objects}
        content = "\n".join(
            f"{file.path} {file.size_bytes} {tags[self._prefix + file.path]}" for file in chosen
        )
        return Listing(revision=hashlib.sha256(content.encode()).hexdigest()[:32], files=chosen)

    def read(self, file: RemoteFile, start: int) -> Generator[bytes, None, None]:
        """The object from `start` on; ends after a part of it."""
        end = min(start + _PART_BYTES, file.size_bytes)
        with named(f"{self._uri}/{file.path}", self._access, while_reading=True):
            answer = obstore.get(
                self._store, self._prefix + file.path, options={"range": (start, end)}
            )
            for chunk in answer.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    def _sums(self, objects: list[Any]) -> dict[tuple[str, int], str]:
        """What `mirror` wrote beside the files, as far as it still fits them."""
        place = self._prefix + MANIFEST
        if not any(entry["path"] == place for entry in objects):
            return {}
        with named(f"{self._uri}/{MANIFEST}", self._access):
            text = bytes(obstore.get(self._store, place).bytes())
        try:
            return {
                (str(entry["path"]), int(entry["size_bytes"])): str(entry["sha256"])
                for entry in json.loads(text)["files"]
            }
        except (ValueError, KeyError, TypeError):
            return {}

    def _etags_are_md5(self, path: str) -> bool:
        """S3's ETag is the MD5 unless it encrypts with a key of KMS or of the customer."""
        try:
            url = obstore.sign(self._store, "HEAD", path, _SIGNED_FOR)
            headers = httpx.head(url, timeout=self._access.timeout_s, verify=trusted()).headers
        except Exception:  # noqa: BLE001  # unsigned access cannot sign; then no MD5 is claimed
            return False
        return "kms" not in headers.get("x-amz-server-side-encryption", "") and not any(
            name.startswith(("x-amz-server-side-encryption-customer", "x-goog-encryption"))
            for name in headers
        )
