"""What every source can do, whatever its protocol."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

# What `mirror` leaves beside the files, and the store inside a model: sizes and checksums.
MANIFEST = ".unigate.json"


class InterruptedTransferError(Exception):
    """The bytes stopped coming; the rest may come when asked again."""

    def __init__(self, message: str, *, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s  # what the server asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file of a model at its source, with whatever checksum the source knows."""

    path: str
    size_bytes: int
    sha256: str | None = None
    git_sha1: str | None = None
    md5: str | None = None

    @property
    def checksum(self) -> str | None:
        """The checksum there is, with its kind."""
        for kind in ("sha256", "git_sha1", "md5"):
            if value := getattr(self, kind):
                return f"{kind}-{value}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files of one revision of a model; the revision names them and no others."""

    revision: str
    files: tuple[RemoteFile, ...]

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


class Remote(Protocol):
    """A model at its source. Every method may raise `SourceError`."""

    def check(self) -> None:
        """Ask for nothing but whether the model may be had with these credentials."""

    def listing(self) -> Listing:
        """The files that make the model."""

    def read(self, file: RemoteFile, start: int) -> Generator[bytes, None, None]:
        """The file's bytes from `start` on, perhaps not to its end.

        Raises:
            InterruptedTransferError: ask again from where it stopped.
        """

    def close(self) -> None:
        """Let go of connections."""
