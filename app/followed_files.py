"""Files that may change while serving: certificates, keys.

What is read is either whole or not used: files that cannot be used change nothing, and are
complained of once. Kubernetes swaps a mounted secret in one move; what others copy may be half
there for a moment.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0


class FilesUnusableError(Exception):
    """What is in the files cannot be used; the message names one and says what is wrong with it."""


class FollowedFiles:
    """Loads files, and loads them again when they have changed."""

    def __init__(
        self, files: Sequence[Path], load: Callable[[], None], observe: Callable[[bool], None]
    ) -> None:
        """`load` uses them or raises `FilesUnusableError`, which this raises, too.

        `observe` is told whether those on disk are those in use.
        """
        self._files = files
        self._load = load
        self._observe = observe
        self._complaint = ""
        self._stamp = self._look()
        load()
        observe(True)

    async def follow(self) -> None:
        """Look again and again; never returns."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            # A mount may hang.
            await asyncio.to_thread(self._reload)

    def _reload(self) -> None:
        try:
            stamp = self._look()
            if stamp != self._stamp:
                self._load()
                self._stamp = stamp
        except FilesUnusableError as error:
            if str(error) != self._complaint:
                log.error("files.not_reloaded", extra={"reason": str(error)})  # noqa: TRY400  # ours
            self._complaint = str(error)
        else:
            self._complaint = ""
        self._observe(not self._complaint)

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """Changes whenever one of the files does."""
        try:
            states = [file.stat() for file in self._files]
        except OSError as error:
            raise FilesUnusableError(f"{error.filename} cannot be read: {error.strerror}") from None
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)


def content(file: Path) -> bytes:
    """All of it; raises `FilesUnusableError`."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise FilesUnusableError(f"{file} cannot be read: {error.strerror}") from None
