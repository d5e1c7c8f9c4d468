"""Libraries: torch's are loaded ahead of its import, and what loading them took is given back.

An import holds Python's lock while the linker works on a library, and on libtorch_cpu.so it works
for 0.3 to 0.5 s: no probe would be answered for as long. A call through ctypes does not hold it.
"""

import ctypes
import importlib.util
import os
import re
from pathlib import Path

# In torch's own order, with torch's own flags (`torch._load_global_deps`).
_LIBRARIES = (
    ("libtorch_global_deps.so", os.RTLD_NOW | os.RTLD_GLOBAL),
    ("libtorch_cpu.so", os.RTLD_NOW | os.RTLD_LOCAL),
)
_MADV_DONTNEED = 4  # asm-generic/mman-common.h
# Of libraries, since those stay where they are; and not what was written to before it was closed,
# which is nowhere else.
_CLEAN = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) r-[-x]p [^\n]*\.so[.0-9]*\n(?:[A-Z][^\n]*\n)*?Anonymous: +0 kB$",
    re.MULTILINE,
)


def load() -> None:
    """Load what is there; the import itself complains about what is not."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
    for name, flags in _LIBRARIES:
        dlopen(bytes(Path(found.origin).parent / "lib" / name), flags)


def let_go() -> None:
    """Unmap the pages of all libraries, as the kernel may at any time; what is needed comes back.

    Loading a library touches much of it and running it little. The pages stay in the page cache,
    and are the first to go when memory runs short.
    """
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for start, end in _CLEAN.findall(Path("/proc/self/smaps").read_text()):
        madvise(int(start, 16), int(end, 16) - int(start, 16), _MADV_DONTNEED)
