"""All files of a model on their way from the source into staging, several at once."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from profiles.progress import Phase, Progress, size
from profiles.source import RemoteModel
from profiles.sources.remote import Listing, Remote, RemoteFile
from profiles.store import space
from profiles.store.digest import Digest, read_into
from profiles.store.lock import StoppedError
from profiles.store.staging import Staging
from profiles.store.store import Published
from profiles.store.transfer import Patience, Transfer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How files are brought."""

    progress: Progress
    patience: Patience
    workers: int
    stop: threading.Event

    def receive(
        self,
        source: RemoteModel,
        remote: Remote,
        listing: Listing,
        staging: Staging,
        known: Sequence[Published],
    ) -> tuple[Path, str]:
        """The assembled model and its revision; the caller holds the source's lock.

        Raises:
            ModelNotAvailableError: the source or the disk does not do its part.
            OSError: the disk does not.
        """
        listing = _with_known_checksums(listing, known)
        staging.open(listing)
        for other in known:
            staging.take(other.directory, other.manifest, listing)
        sums = self._arrived(listing, staging)
        space.require(
            staging.directory,
            staging.missing_bytes(listing),
            total_bytes=listing.size_bytes,
        )
        sums |= self._bring_all(source, remote, listing, staging, sums)
        self.progress.begin(Phase.PUBLISHING)
        return staging.assemble(source.uri, listing, sums), listing.revision

    def _arrived(self, listing: Listing, staging: Staging) -> dict[str, str]:
        """Checksums of the files that are whole already; one that is not right is removed."""
        files = [file for file in listing.files if staging.whole(file, listing).exists()]
        self.progress.begin(
            Phase.VERIFYING, files=len(files), bytes_=sum(file.size_bytes for file in files)
        )
        sums: dict[str, str] = {}
        for file in files:
            whole = staging.whole(file, listing)
            digest = Digest(file)

            def take(data: bytes, digest: Digest = digest) -> None:
                digest.update(data)
                self.progress.add(len(data))

            read_into(whole, take)
            if digest.is_right:
                sums[file.path] = digest.sha256
            else:
                log.warning("staging.damaged", extra={"file": file.path, "action": "fetched again"})
                whole.unlink()
            self.progress.file_done()
        return {path: value for path, value in sums.items() if _still(path, listing, staging)}

    def _bring_all(
        self,
        source: RemoteModel,
        remote: Remote,
        listing: Listing,
        staging: Staging,
        sums: dict[str, str],
    ) -> dict[str, str]:
        wanted = [file for file in listing.files if file.path not in sums]
        # The same content under several names comes once.
        groups: dict[Path, list[RemoteFile]] = {}
        for file in sorted(wanted, key=lambda file: -file.size_bytes):
            groups.setdefault(staging.whole(file, listing), []).append(file)
        self.progress.begin(
            Phase.DOWNLOADING,
            files=len(groups),
            bytes_=sum(files[0].size_bytes for files in groups.values()),
            note=source.uri,
        )
        log.info(
            "download.started",
            extra={
                "model": source.uri,
                "revision": listing.revision,
                "files": len(groups),
                "to_come": size(staging.missing_bytes(listing)),
            },
        )
        transfer = Transfer(
            remote=remote,
            progress=self.progress,
            uri=source.uri,
            patience=self.patience,
            stop=self.stop,
        )
        with ThreadPoolExecutor(self.workers, thread_name_prefix="download") as threads:
            running = {
                threads.submit(
                    transfer.bring, files[0], staging.part(files[0], listing), whole
                ): files
                for whole, files in groups.items()
            }
            self._watch(list(running))
        _raise_first(list(running))
        return {file.path: future.result() for future, files in running.items() for file in files}

    def _watch(self, running: Sequence[Future[str]]) -> None:
        """Until all are done; the first that fails ends the others."""
        try:
            done, waiting = wait(running, return_when=FIRST_EXCEPTION)
        except BaseException:  # Ctrl-C in a command: the threads would be waited for
            self.stop.set()
            raise
        if any(future.exception() for future in done):
            self.stop.set()
            for future in waiting:
                future.cancel()


def _raise_first(done: Sequence[Future[str]]) -> None:
    """The failure that is to blame: not the threads that were stopped because of it."""
    failures = [f.exception() for f in done if not f.cancelled() and f.exception() is not None]
    for failure in sorted(failures, key=lambda error: isinstance(error, StoppedError)):
        assert failure is not None
        raise failure


def _with_known_checksums(listing: Listing, known: Sequence[Published]) -> Listing:
    """Where the source names no checksum, what this very revision had when it was published."""
    same = next((k.manifest for k in known if k.manifest.revision == listing.revision), None)
    if same is None:
        return listing
    sums = {(file.path, file.size_bytes): file.sha256 for file in same.files}
    files = tuple(
        replace(file, sha256=sums.get((file.path, file.size_bytes)))
        if file.checksum is None
        else file
        for file in listing.files
    )
    return replace(listing, files=files)


def _still(path: str, listing: Listing, staging: Staging) -> bool:
    """Whether the file's content was not removed with another name of it."""
    return any(staging.whole(file, listing).exists() for file in listing.files if file.path == path)
