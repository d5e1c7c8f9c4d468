"""Where an engine keeps what it has compiled, so that its next start need not."""

import errno
import hashlib
import os
import platform
import shutil
from pathlib import Path

from profiles.store import mount

# A large model's kernels and graphs; an engine that runs out of room while it starts, ends.
_LEAST_BYTES = 1 << 30
_CPU = Path("/proc/cpuinfo")
# Which instructions there are, and for which processor a compiler arranges them.
_OF_CPU = (
    "vendor_id", "cpu family", "model", "flags",
    "CPU implementer", "CPU part", "CPU variant", "Features",
)  # fmt: skip


def place(directory: Path, *, timeout_s: float, least_bytes: int = _LEAST_BYTES) -> Path:
    """The part of a directory that is for this machine's processor; it is there and has room.

    torch compiles for the processor it runs on and finds that again on any other, where the first
    foreign instruction ends the process; a store may be shared by different machines.

    Raises:
        OSError: nothing can be kept there.
        ModelNotAvailableError: its mount does not answer.
    """
    mine = directory / f"{platform.machine()}-{_processor()}"
    answer = mount.probe(mine, timeout_s=timeout_s)
    if answer.problem is not None:
        raise answer.problem
    if shutil.disk_usage(mine).free < least_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(mine))
    return mine


def _processor() -> str:
    """A name for all processors with the same instructions."""
    first = _CPU.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    known = [line for line in first.splitlines() if line.partition(":")[0].strip() in _OF_CPU]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:12]
