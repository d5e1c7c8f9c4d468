"""Where the engine's processes come from: forks of one process that has imported vLLM already.

Importing vLLM takes 7 to 10 s, and a process that is spawned does it anew: the engine core, then
each worker. Here one process, multiprocessing's fork server, imports it while the server itself
does, and holds nothing that a fork would not survive: no thread of ours, no CUDA, no parallel
region. vLLM asks for processes in one function, `get_mp_context`, which is replaced.

A spawned process would have the environment of the one that starts it, and OpenMP would be set up
by it. A fork has its parent's instead, so `_Surroundings` brings them along.

When the engine runs, the fork server has nothing left to do, and ends. Its children are adopted
(`engine.processes.adopt_orphans`), and tell of their own end.
"""

import os
import re
import signal
from multiprocessing import (
    connection,
    context,
    forkserver,
    popen_forkserver,
    popen_spawn_posix,
    resource_tracker,
    spawn,
    util,
)
from multiprocessing.process import BaseProcess
from typing import Any

from engine import processes

_METHOD = "VLLM_WORKER_MULTIPROC_METHOD"
# OpenMP runtimes that users of vLLM's CPU build preload for speed: they bind threads in ways of
# their own, by variables that are read once, when they are loaded.
_OTHER_OPENMP = re.compile(r"lib(iomp|omp|gomp)")
_PYTHON = spawn.get_executable()
_UNKNOWN = 255  # multiprocessing's exit code for when nobody knows


def is_possible() -> bool:
    """Whether forks may stand in for spawned processes here; a user's own method is left alone."""
    return (
        _METHOD not in os.environ
        and not _OTHER_OPENMP.search(os.environ.get("LD_PRELOAD", ""))
        # vLLM's reason to spawn there: NVML does not survive a fork (`_maybe_force_spawn`).
        and "microsoft" not in os.uname().release.lower()
    )


def start() -> None:
    """Start the fork server; it goes on importing by itself."""
    forkserver.set_forkserver_preload(["engine.vllm.preloaded"])
    forkserver.ensure_running()


def end() -> None:
    """End the fork server; who needs a process after this starts another one."""
    server = forkserver._forkserver
    if server._forkserver_pid is not None:  # type: ignore[attr-defined]
        os.kill(server._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]
        server._stop()  # type: ignore[attr-defined]


def use() -> None:
    """Let vLLM start its processes here; to be called before its other modules are imported."""
    from vllm.utils import system_utils  # noqa: PLC0415  # `start` must not wait for vLLM

    system_utils.get_mp_context = lambda: CONTEXT


class _Surroundings:
    """Pickles to the environment of whoever starts a process, and is unpickled by taking it on."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _take_on, (dict(os.environ),)


def _take_on(environment: dict[str, str]) -> None:
    changed = dict(environment.items() - os.environ.items())
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(changed)
    _set_up_openmp(changed)
    # A process that comes from the fork server would start another one when it needs a process.
    server = forkserver._forkserver
    server.ensure_running = resource_tracker.ensure_running  # type: ignore[method-assign]


def _set_up_openmp(changed: dict[str, str]) -> None:
    """Do what libgomp would have done at its start, had these variables been there."""
    if "OMP_NUM_THREADS" in changed:
        import torch  # noqa: PLC0415  # the server imports this module before it has torch

        torch.set_num_threads(int(changed["OMP_NUM_THREADS"]))
    # vLLM names a worker's cores, as `0 1 2` or `{0,1,2}`. libgomp would give each thread one of
    # them; here each thread may use them all, and none of the others.
    cores = changed.get("GOMP_CPU_AFFINITY") or changed.get("OMP_PLACES") or ""
    if cores:
        os.sched_setaffinity(0, {int(core) for core in re.findall(r"\d+", cores)})


class _Process(context.ForkServerProcess):
    """A process that comes from the fork server, with the surroundings of who starts it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Before all else: attributes are unpickled in the order in which they were set.
        self._surroundings = _Surroundings()
        super().__init__(*arguments, **options)

    @staticmethod
    def _Popen(process: BaseProcess) -> Any:  # noqa: N802  # multiprocessing's name
        if spawn.get_executable() != _PYTHON:  # vLLM's --numa-bind: numactl has to come first
            return popen_spawn_posix.Popen(process)
        return _Popen(process)


class _Popen(popen_forkserver.Popen):
    """Waits for the process itself, where multiprocessing's waits for the fork server's news."""

    def __init__(self, process: BaseProcess) -> None:
        super().__init__(process)
        self._news = self.sentinel
        try:
            self.sentinel = os.pidfd_open(self.pid)
        except ProcessLookupError:  # it has ended, and the fork server has noticed
            return
        util.Finalize(self, os.close, (self.sentinel,))

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        timeout_s = 0 if flag == os.WNOHANG else None
        if self.returncode is None and connection.wait([self.sentinel], timeout_s):
            self.returncode = self._ending()
        return self.returncode

    def _ending(self) -> int:
        try:
            code: int | None = forkserver.read_signed(self._news)
        except (OSError, EOFError):  # there is no fork server any more
            code = processes.exit_code(self.pid)
        return _UNKNOWN if code is None else code


class _Context(context.ForkServerContext):
    Process = _Process


CONTEXT = _Context()
"""What `multiprocessing.get_context` gives for other methods."""
