"""Loads torch's libraries ahead of its import, without holding Python's lock meanwhile.

An import holds the lock while the linker works on a library, and on libtorch_cpu.so it works for
0.3 to 0.5 s: no probe would be answered for as long. A call through ctypes does not hold it.
"""

import ctypes
import importlib.util
import os
from pathlib import Path

# In torch's own order, with torch's own flags (`torch._load_global_deps`).
_LIBRARIES = (
    ("libtorch_global_deps.so", os.RTLD_NOW | os.RTLD_GLOBAL),
    ("libtorch_cpu.so", os.RTLD_NOW | os.RTLD_LOCAL),
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
