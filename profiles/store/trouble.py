"""Puts what a file system refuses into sentences that say what mends it."""

import errno
import os
from pathlib import Path

from profiles.errors import ModelNotAvailableError
from profiles.progress import size

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS}
_DENIED = {errno.EACCES, errno.EPERM}


def explain(error: OSError, cache: Path) -> ModelNotAvailableError:
    """The sentence for an error that came from working in the store."""
    if error.errno in _FULL:
        return ModelNotAvailableError(
            f"no space is left in the store {cache} ({error.strerror}, {size(_free(cache))} free): "
            "free some, or set NIM_CACHE_PATH to a larger volume; what has arrived is kept and "
            "used when it is started again"
        )
    if error.errno in _READ_ONLY:
        return ModelNotAvailableError(
            f"the store {cache} is mounted read-only and does not hold the model: mount it "
            "writable, fill it before, or set NIM_CACHE_PATH elsewhere"
        )
    if error.errno in _DENIED:
        return denied(Path(error.filename or cache), cache)
    return ModelNotAvailableError(
        f"the store {cache} cannot be used: {error}; set NIM_CACHE_PATH elsewhere"
    )


def explain_target(error: OSError, target: Path) -> ModelNotAvailableError:
    """The sentence for an error that came from putting files where the user wants them."""
    if error.errno in _FULL:
        return ModelNotAvailableError(
            f"no space is left for {target} ({error.strerror}, {size(_free(target))} free): free "
            "some, or name a directory on a larger volume"
        )
    if error.errno in _DENIED:
        return denied(Path(error.filename or target), target, "name another directory")
    return ModelNotAvailableError(
        f"{target} cannot be filled: {error.strerror or error}; name another directory"
    )


def denied(
    path: Path, cache: Path, otherwise: str = "set NIM_CACHE_PATH to another place"
) -> ModelNotAvailableError:
    """Who may not do it, whose it is, and the command that mends it."""
    uid, gid = os.geteuid(), os.getegid()
    owned = _nearest(path)
    found = owned.stat()
    make = f"mkdir -p {cache} && " if owned in cache.parents else ""
    return ModelNotAvailableError(
        f"user {uid}:{gid} may not use {path}: {owned} belongs to {found.st_uid}:{found.st_gid} "
        f"with mode {found.st_mode & 0o7777:04o}; on the host: {make}chown -R {uid}:{gid} {cache} "
        f"(for a volume of Kubernetes: securityContext.fsGroup), or {otherwise}"
    )


def _nearest(path: Path) -> Path:
    """The path, or the nearest directory above it that can be looked at."""
    for candidate in (path, *path.parents):
        try:
            candidate.stat()
        except OSError:
            continue
        return candidate
    return Path("/")


def _free(path: Path) -> int:
    found = os.statvfs(_nearest(path))
    return found.f_bavail * found.f_frsize
