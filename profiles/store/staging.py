"""Files on their way into the store, named after their content, so that every byte is used again:
after a cut, in the next process, and for the next revision.
"""

import errno
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

from profiles.sources.remote import Listing, RemoteFile
from profiles.store import manifest
from profiles.store.manifest import Manifest, StoredFile


class Staging:
    """One source's directory of arriving files; the caller holds the source's lock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self, listing: Listing) -> None:
        """Make the directory, without what an earlier process left that is of no use now."""
        self.directory.mkdir(parents=True, exist_ok=True)
        useful = {self.whole(file, listing).name for file in listing.files}
        useful |= {f"{name}.part" for name in useful}
        for path in self.directory.iterdir():
            if path.name not in useful:
                remove(path)

    def whole(self, file: RemoteFile, listing: Listing) -> Path:
        """Where the file lies once all its bytes are here and compared."""
        # Without a checksum its revision says what it is.
        content = file.checksum or f"{listing.revision}\0{file.path}"
        name = hashlib.sha256(f"{content}\0{file.size_bytes}".encode()).hexdigest()
        return self.directory / name[:40]

    def part(self, file: RemoteFile, listing: Listing) -> Path:
        """Where its bytes are collected."""
        whole = self.whole(file, listing)
        return whole.with_name(f"{whole.name}.part")

    def missing_bytes(self, listing: Listing) -> int:
        """What has still to come, each content counted once."""
        missing: dict[Path, int] = {}
        for file in listing.files:
            whole = self.whole(file, listing)
            if not whole.exists():
                arrived = _size(self.part(file, listing))
                missing[whole] = max(file.size_bytes - arrived, 0)
        return sum(missing.values())

    def take(self, directory: Path, known: Manifest, listing: Listing) -> None:
        """Use what another published revision holds of this one, if it is untouched."""
        differences = manifest.compare(directory, known)
        doubtful = {f.path for f in (*differences.missing, *differences.resized)}
        doubtful |= {f.path for f in differences.touched}
        offered = {f.sha256: f for f in known.files if f.path not in doubtful}
        same_revision = known.revision == listing.revision
        by_path = {f.path: f for f in known.files if f.path not in doubtful}
        for file in listing.files:
            found = offered.get(file.sha256 or "") or (
                by_path.get(file.path) if same_revision else None
            )
            whole = self.whole(file, listing)
            if found is None or found.size_bytes != file.size_bytes or whole.exists():
                continue
            try:
                os.link(directory / found.path, whole)
            except OSError as error:
                # No links on this file system: it is fetched again.
                if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                    raise

    def assemble(self, source: str, listing: Listing, sums: dict[str, str]) -> Path:
        """The model's directory, whole, under a name of its own in staging; the manifest last."""
        tree = self.directory / "tree"
        remove(tree)
        stored = []
        for file in listing.files:
            target = tree / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            _place(self.whole(file, listing), target)
            found = target.stat()
            stored.append(
                StoredFile(
                    path=file.path,
                    size_bytes=found.st_size,
                    sha256=sums[file.path],
                    modified_ns=found.st_mtime_ns,
                )
            )
        known = Manifest(source=source, revision=listing.revision, files=tuple(stored))
        manifest.write(tree, known)
        return tree

    def close(self) -> None:
        """Remove everything: the model is published."""
        remove(self.directory)


def remove(path: Path) -> None:
    """Whatever is there is not there any more, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _place(whole: Path, target: Path) -> None:
    """Link, so that nothing is lost if the end comes before the model is published; else copy."""
    try:
        os.link(whole, target)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        shutil.copy2(whole, target)
