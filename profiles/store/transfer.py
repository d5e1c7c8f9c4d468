"""Brings one file from a source into staging, over as many cuts as it takes."""

import logging
import os
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from profiles.errors import Cause, SourceError
from profiles.progress import Progress, size
from profiles.sources.remote import InterruptedTransferError, Remote, RemoteFile
from profiles.store.digest import Digest, read_into
from profiles.store.lock import StoppedError

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often, and after which waits, a source is asked again that gives nothing."""

    attempts: int = 6
    first_wait_s: float = 1.0

    def wait_s(self, attempt: int, asked_s: float) -> float:
        """Doubles with each attempt in vain; a server's own word counts for more."""
        return max(asked_s, min(self.first_wait_s * 2.0 ** (attempt - 1), _LONGEST_WAIT_S))


class CorruptFileError(Exception):
    """All bytes came, and are not those that the source promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What all files of one download share."""

    remote: Remote
    progress: Progress
    uri: str
    patience: Patience = field(default_factory=Patience)
    stop: threading.Event = field(default_factory=threading.Event)

    def bring(self, file: RemoteFile, part: Path, whole: Path) -> str:
        """The file in its place; its SHA-256. A corrupt one is fetched once more, from its start.

        Raises:
            SourceError: the source gives up, or gives something else twice.
            OSError: the disk does not take it.
        """
        try:
            return self._bring_once(file, part, whole)
        except CorruptFileError as error:
            log.warning(
                "download.corrupt",
                extra={"file": file.path, "reason": str(error), "action": "fetched again"},
            )
        try:
            return self._bring_once(file, part, whole)
        except CorruptFileError as error:
            raise SourceError(
                f"{self.uri}: {file.path} is damaged at its source or on the way, twice: {error}; "
                "a proxy may be changing it, or the source has to be mended",
                Cause.BROKEN,
            ) from None

    def _bring_once(self, file: RemoteFile, part: Path, whole: Path) -> str:
        digest = Digest(file)
        # Unbuffered: the process may leave at any moment, and what came should be there then.
        with part.open("ab", buffering=0) as raw:
            target = cast("BinaryIO", raw)
            try:
                arrived = self._resume(file, part, target, digest)
                self._collect(file, target, digest, arrived)
            except CorruptFileError:
                self.progress.resume(-target.tell())
                target.truncate(0)
                raise
            if not digest.is_right:
                self.progress.resume(-target.tell())
                target.truncate(0)
                raise CorruptFileError("its checksum differs from the one the source names")
            os.fsync(target.fileno())
        part.replace(whole)
        self.progress.file_done()
        return digest.sha256

    def _resume(self, file: RemoteFile, part: Path, target: BinaryIO, digest: Digest) -> int:
        """How much an earlier attempt left; it goes into the checksum from the disk."""
        arrived = target.seek(0, os.SEEK_END)
        if arrived > file.size_bytes:
            raise CorruptFileError(f"it has {arrived} bytes of {file.size_bytes}")
        if arrived:
            read_into(part, digest.update)
            self.progress.resume(arrived)
            log.info(
                "download.resumed",
                extra={"file": file.path, "at": size(arrived), "of": size(file.size_bytes)},
            )
        return arrived

    def _collect(self, file: RemoteFile, target: BinaryIO, digest: Digest, arrived: int) -> None:
        in_vain = 0
        while arrived < file.size_bytes:
            before = arrived
            interruption = InterruptedTransferError("the source sends nothing")
            try:
                with closing(self.remote.read(file, arrived)) as chunks:
                    for chunk in chunks:
                        if self.stop.is_set():
                            raise StoppedError
                        arrived += len(chunk)
                        if arrived > file.size_bytes:
                            raise CorruptFileError(f"it is longer than {file.size_bytes} bytes")
                        _write(target, chunk)
                        digest.update(chunk)
                        self.progress.add(len(chunk))
            except InterruptedTransferError as error:
                interruption = error
            else:
                if arrived > before:
                    continue  # the end of a part that was asked for
            in_vain = 1 if arrived > before else in_vain + 1
            self._wait(file, arrived, in_vain, interruption)

    def _wait(
        self, file: RemoteFile, arrived: int, in_vain: int, interruption: InterruptedTransferError
    ) -> None:
        if in_vain >= self.patience.attempts:
            raise SourceError(
                f"{self.uri}: {file.path} stops at {size(arrived)} of {size(file.size_bytes)}, "
                f"after {in_vain} attempts in vain: {interruption}; check the network and "
                "HTTPS_PROXY; what has arrived is kept for the next time",
                Cause.UNREACHABLE,
            )
        wait_s = self.patience.wait_s(in_vain, interruption.wait_s)
        log.warning(
            "download.interrupted",
            extra={
                "file": file.path,
                "at": size(arrived),
                "reason": str(interruption),
                "again_in_s": wait_s,
            },
        )
        if self.stop.wait(wait_s):
            raise StoppedError


def _write(target: BinaryIO, data: bytes) -> None:
    """All of it: an unbuffered file may take less at a time."""
    view = memoryview(data)
    while view:
        view = view[target.write(view) :]
