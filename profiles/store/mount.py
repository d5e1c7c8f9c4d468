"""Whether the store's mount answers: a dead network mount blocks whoever touches it, for ever."""

import errno
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from profiles.errors import ModelNotAvailableError
from profiles.progress import duration

_PROBE = ".unigate-probe"


@dataclass(slots=True)
class Answer:
    """What the mount said."""

    exists: bool = False
    problem: OSError | None = None  # why nothing can be written there

    @property
    def is_writable(self) -> bool:
        """Whether something could be written."""
        return self.problem is None


def probe(directory: Path, *, timeout_s: float) -> Answer:
    """Look at the directory and write into it, in a thread that may be left hanging.

    Raises:
        ModelNotAvailableError: no answer in time.
    """
    answer = Answer()
    thread = threading.Thread(target=_touch, args=(directory, answer), name="probe", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        raise ModelNotAvailableError(
            f"the store {directory} does not answer after {duration(timeout_s)} "
            f"({_mount(directory)}): check that its server is up, or set NIM_CACHE_PATH to another "
            "volume (NIM_CACHE_PROBE_TIMEOUT is the patience in seconds)"
        )
    return answer


def _touch(directory: Path, answer: Answer) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        answer.exists = True
        _write(directory / _PROBE)
    except OSError as error:
        answer.problem = error
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            answer.exists = os.path.isdir(directory)  # noqa: PTH112  # Path.is_dir may raise


def _write(path: Path) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    try:
        os.write(descriptor, b"unigate\n")
    except OSError as error:
        # A full disk takes no model, but serves those it has; it is judged where space is.
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _mount(directory: Path) -> str:
    """Which mount that is, from the kernel's table: the mount itself is not touched again."""
    path = os.path.abspath(directory)  # noqa: PTH100  # resolves nothing, hence touches nothing
    best, said = "", "its mount is unknown"
    try:
        table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return said
    for line in table.splitlines():
        fields, _, rest = line.partition(" - ")
        point = fields.split()[4].replace("\\040", " ")
        if len(point) >= len(best) and (path + "/").startswith(point.rstrip("/") + "/"):
            best = point
            said = f"mounted at {point}, type {rest.split()[0]}, from {rest.split()[1]}"
    return said
