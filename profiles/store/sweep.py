"""Removes what unfinished downloads have left that nobody goes on with."""

import logging
import time
from pathlib import Path

from filelock import FileLock, Timeout

from profiles.progress import duration
from profiles.store.staging import remove

log = logging.getLogger(__name__)

# Long enough to come back after a week-end's outage.
_ABANDONED_S = 7 * 24 * 3600.0


def sweep(staging: Path, locks: Path) -> None:
    """Remove staging directories that nobody has touched for long, and nobody works on now.

    Raises:
        OSError: they cannot be listed.
    """
    for directory in staging.iterdir():
        idle_s = time.time() - _last_touched(directory)
        if idle_s < _ABANDONED_S:
            continue
        try:
            with FileLock(locks / f"{directory.name}.lock", timeout=0):
                remove(directory)
        except Timeout:
            continue
        log.info("store.swept", extra={"path": str(directory), "idle": duration(idle_s)})


def _last_touched(directory: Path) -> float:
    times = [directory.stat().st_mtime]
    if directory.is_dir():
        times += [path.stat().st_mtime for path in directory.iterdir()]
    return max(times)
