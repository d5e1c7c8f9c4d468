"""The engine's processes: who they are, when one ends, and that none is left behind."""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable

import psutil

log = logging.getLogger(__name__)

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
# vLLM titles its processes "VLLM::EngineCore", "VLLM::Worker_TP0" (utils/system_utils.py).
_TITLE = "VLLM::"
_WORKER = "Worker"


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent dies, so that they can still be found."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        log.warning("processes.no_subreaper", extra={"errno": ctypes.get_errno()})


def descendants() -> list[psutil.Process]:
    """All processes below this one, but for multiprocessing's resource tracker.

    The tracker removes shared memory that killed processes leave, and ends by itself after us.
    """
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if not any("resource_tracker" in word for word in process.cmdline()):
                found.append(process)
    return found


def worker_ids() -> tuple[int, ...]:
    """Ids of the engine's worker processes."""
    found = []
    for process in descendants():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            title = " ".join(process.cmdline())
            if title.startswith(_TITLE) and _WORKER in title:
                found.append(process.pid)
    return tuple(found)


def exit_code(pid: int) -> int | None:
    """How a child of this process has ended, negative for a signal; None for all others.

    Whoever else waits for it can still do so.
    """
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


class Sentinels:
    """Tells the event loop at once when one of the given processes ends."""

    def __init__(
        self,
        processes: dict[int, str],
        on_end: Callable[[str], None],
        exit_code: Callable[[int], int | None],
    ) -> None:
        """`processes` maps an id to what the process is; `on_end` gets the sentence to log.

        `exit_code` is asked how a process ended: as multiprocessing has it, None if nobody knows.
        """
        self._loop = asyncio.get_running_loop()
        self._on_end = on_end
        self._exit_code = exit_code
        self._watched: dict[int, tuple[int, str]] = {}
        for pid, name in processes.items():
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                self._loop.call_soon(on_end, f"{name} (process {pid}) has ended")
                continue
            self._watched[descriptor] = (pid, name)
            self._loop.add_reader(descriptor, self._ended, descriptor)

    def close(self) -> None:
        """Stop listening: what ends from now on ends on purpose."""
        for descriptor in self._watched:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)
        self._watched.clear()

    def _ended(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        pid, name = self._watched[descriptor]
        self._on_end(f"{name} (process {pid}) has ended{_how(self._exit_code(pid))}")


def _how(code: int | None) -> str:
    """What an exit code says, for people."""
    if code is None:
        return ""
    if code >= 0:
        return f" with exit code {code}"
    name = signal.Signals(-code).name
    hint = ", as the kernel does when memory runs out" if -code == signal.SIGKILL else ""
    return f", killed by {name}{hint}"


def end_all(grace_s: float) -> None:
    """End every descendant: SIGTERM, then SIGKILL after `grace_s` seconds. Blocks."""
    remaining = descendants()
    if grace_s > 0:
        for process in remaining:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, remaining = psutil.wait_procs(remaining, timeout=grace_s)
    # A process may have started another while it was being looked for: look until none is left.
    deadline = time.monotonic() + max(grace_s, 1.0)
    while (remaining := descendants()) and time.monotonic() < deadline:
        for process in remaining:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(remaining, timeout=0.5)
