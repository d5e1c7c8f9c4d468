"""The processes of a server: which are the engine's, what they have computed and what they hold."""

import contextlib
import time
from dataclasses import dataclass

import psutil

# vLLM's titles; unigate's engine processes are forks of its fork server, and have them too.
_ENGINE = ("VLLM::EngineCore", "VLLM::Worker")
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Processes:
    """Those below some roots, as they are at the moment."""

    front_end: list[psutil.Process]
    engine: list[psutil.Process]

    @classmethod
    def below(cls, *roots: int) -> "Processes":
        """The roots and all below them; what an engine's process started is the engine's."""
        found = cls([], [])
        for root in roots:
            with contextlib.suppress(psutil.NoSuchProcess):
                found._add(psutil.Process(root), is_engine=False)
        return found

    def _add(self, process: psutil.Process, *, is_engine: bool) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            is_engine = is_engine or "".join(process.cmdline()[:1]).startswith(_ENGINE)
            (self.engine if is_engine else self.front_end).append(process)
            for child in process.children():
                self._add(child, is_engine=is_engine)


def cpu_s(processes: list[psutil.Process]) -> dict[int, float]:
    """CPU time of each so far, user and system, by process id."""
    return {process.pid: seconds for process in processes if (seconds := _cpu_s(process.pid))}


def cpu_since_s(before: dict[int, float], processes: list[psutil.Process]) -> float:
    """What they computed since; one that ended meanwhile is left out."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in cpu_s(processes).items())


def _cpu_s(pid: int) -> float:
    # The process's own clock, in nanoseconds; /proc/PID/stat has the same in hundredths of a
    # second. The number is what clock_getcpuclockid(3) gives on Linux.
    with contextlib.suppress(OSError):
        return time.clock_gettime(~pid << 3 | 2)
    return 0.0


def machine_cpu_s() -> float:
    """What all processes of the machine have computed so far."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait - times.guest - times.guest_nice


def memory_mib(processes: list[psutil.Process]) -> dict[str, float]:
    """`rss`, which counts what they share once for each, and `pss`, which counts it in shares."""
    rss = pss = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            memory = process.memory_full_info()
            rss += memory.rss
            pss += memory.pss
    return {"rss": rss / _MIB, "pss": pss / _MIB}


def titles(processes: list[psutil.Process]) -> list[str]:
    """What each calls itself, for the record of who was counted as what."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(" ".join(process.cmdline()).strip()[:100])
    return found
