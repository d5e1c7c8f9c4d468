"""Checksums of files: ours, which is SHA-256, and whichever the source knows."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from profiles.sources.remote import RemoteFile

_CHUNK_BYTES = 4 * 1024 * 1024


class Digest:
    """Takes a file's bytes in order; compares them with what the source says in the end."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._other = None
        if file.sha256 is None and file.git_sha1 is not None:
            # Git hashes a header along with the content.
            header = f"blob {file.size_bytes}\0".encode()
            self._other = hashlib.sha1(header, usedforsecurity=False)
        elif file.sha256 is None and file.md5 is not None:
            self._other = hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes) -> None:
        """The next bytes."""
        self._sha256.update(data)
        if self._other is not None:
            self._other.update(data)

    @property
    def sha256(self) -> str:
        """Of what was given so far."""
        return self._sha256.hexdigest()

    @property
    def is_right(self) -> bool:
        """Whether this is what the source has; true if it does not say."""
        if self._file.sha256 is not None:
            return self.sha256 == self._file.sha256
        expected = self._file.git_sha1 or self._file.md5
        return self._other is None or self._other.hexdigest() == expected


def read_into(path: Path, take: Callable[[bytes], None]) -> None:
    """Hand over a file piece by piece."""
    with path.open("rb") as file:
        while data := file.read(_CHUNK_BYTES):
            take(data)


def sha256_of(path: Path, seen: Callable[[int], None] = lambda _: None) -> str:
    """A file's SHA-256; `seen` hears of every piece."""
    digest = hashlib.sha256()

    def take(data: bytes) -> None:
        digest.update(data)
        seen(len(data))

    read_into(path, take)
    return digest.hexdigest()
