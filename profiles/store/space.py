"""Whether a model has room, asked before its first byte comes."""

import os
from pathlib import Path

from profiles.errors import ModelNotAvailableError
from profiles.progress import size

# What a file system takes for itself on the way: directories, allocation in whole blocks.
_MARGIN_BYTES = 16 * 1024 * 1024


def require(directory: Path, needed_bytes: int, *, total_bytes: int) -> None:
    """Check that so much more fits into the file system of the directory.

    Raises:
        ModelNotAvailableError: with both figures.
    """
    if needed_bytes == 0:
        return
    found = os.statvfs(directory)
    free_bytes = found.f_bavail * found.f_frsize
    if free_bytes >= needed_bytes + min(_MARGIN_BYTES, needed_bytes // 20):
        return
    there = total_bytes - needed_bytes
    kept = f" ({size(there)} of {size(total_bytes)} are there already)" if there else ""
    raise ModelNotAvailableError(
        f"the model does not fit: it needs {size(needed_bytes)} more{kept}, and {directory} has "
        f"{size(free_bytes)} free: free {size(needed_bytes - free_bytes)}, or set NIM_CACHE_PATH "
        "to a larger volume"
    )
