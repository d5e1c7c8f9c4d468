"""How much memory this process may use: the machine's, or its container's share of it."""

from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
# Version 2 and version 1 of control groups, as a container sees its own.
_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def host_memory_bytes(meminfo: Path = _MEMINFO, limits: tuple[Path, ...] = _LIMITS) -> int | None:
    """Bytes of main memory, None where nobody tells."""
    found = [_total(meminfo), *(_limit(path) for path in limits)]
    return min((value for value in found if value is not None), default=None)


def _total(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None  # "max": none
