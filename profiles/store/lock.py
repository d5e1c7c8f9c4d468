"""One downloader at a time for each source, among all processes that share the store."""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from profiles.errors import ModelNotAvailableError
from profiles.progress import Phase, Progress

log = logging.getLogger(__name__)

_POLL_S = 0.5
_REMIND_S = 60.0


class StoppedError(ModelNotAvailableError):
    """The download was asked to stop."""

    def __init__(self) -> None:
        super().__init__("the download was stopped; what has arrived is kept for the next time")


@contextmanager
def held(directory: Path, key: str, *, progress: Progress, stop: threading.Event) -> Iterator[None]:
    """Hold the source's lock; the kernel lets go of it when its holder dies.

    Raises:
        StoppedError: asked to stop while waiting.
        OSError: the lock cannot be made.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / f"{key}.lock")
    holder = directory / f"{key}.holder"
    _acquire(lock, holder, key, progress, stop)
    try:
        _sign(holder)
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _acquire(
    lock: FileLock, holder: Path, key: str, progress: Progress, stop: threading.Event
) -> None:
    reminded_s: float | None = None
    while True:
        try:
            lock.acquire(timeout=0 if reminded_s is None else _POLL_S)
        except Timeout:
            now_s = time.monotonic()
            if reminded_s is None or now_s - reminded_s >= _REMIND_S:
                reminded_s = now_s
                who = _read(holder)
                progress.begin(Phase.WAITING, note=f"for {who}")
                log.info("store.waiting", extra={"model": key, "holder": who})
            if stop.is_set():
                raise StoppedError from None
        else:
            return


def _sign(holder: Path) -> None:
    said = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    # Nobody needs it to go on: a full disk is judged elsewhere.
    with suppress(OSError):
        holder.write_text(json.dumps(said), encoding="utf-8")


def _read(holder: Path) -> str:
    try:
        said = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {said['pid']} on {said['host']}, since {said['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
