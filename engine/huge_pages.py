"""Puts what Python has in memory into huge pages.

The objects of a process like this lie in a hundred thousand pages, and a processor knows by heart
where some two thousand are. For any other it looks through four tables, in a virtual machine
through four more for each of those. A huge page has 512 of them and counts as one. Most kernels are
set to make them only for programs that ask, and Python does not.
"""

import contextlib
import ctypes
import errno
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_MADV_COLLAPSE = 25  # asm-generic/mman-common.h, since Linux 6.1
_PAGE = os.sysconf("SC_PAGE_SIZE")
_HUGE = 2 << 20  # on x86-64, and on ARM with pages of 4 KiB
_SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")
# Memory that is no file's, as proc_pid_maps(5) has it: there are Python's objects, and malloc's.
_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw-p 0+ 00:00 0 *(?:\[heap\])?$", re.MULTILINE)
# What is larger holds weights, keys and values, not objects; to copy it could take minutes.
_LARGEST = 1 << 30
# Stacks, and buffers that are not in use, are mostly holes, which would be filled.
_DENSE = 0.75
_LOOK_EVERY_S = 5.0
_GROWN = 4 << 20

_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]


def use(*, after_s: float = 0.0, every_s: float = _LOOK_EVERY_S, switch: Path = _SWITCH) -> None:
    """Move in, and again whenever this process has grown: what is new is what is used most.

    For when it has most of what it needs to work. Others go on meanwhile. What this system cannot
    do, or is set not to by `switch`, stays undone: nothing depends on it.
    """
    arguments = after_s, every_s, switch
    threading.Thread(target=_keep_moving, args=arguments, name="huge-pages", daemon=True).start()


def move_in() -> None:
    """Move all there is by now, which takes up to three milliseconds for 2 MiB.

    Raises:
        OSError: this system does not tell what there is.
    """
    for found in _MAPPING.finditer(Path("/proc/self/maps").read_text()):
        start, end = int(found[1], 16), int(found[2], 16)
        if end - start <= _LARGEST:
            for first, last in _dense(-(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE):
                if not _move(first, last):
                    return


def _keep_moving(after_s: float, every_s: float, switch: Path) -> None:
    moved = 0
    time.sleep(after_s)
    with contextlib.suppress(OSError):
        while "[never]" not in switch.read_text():
            if (size := _size()) >= moved + _GROWN:
                move_in()
                moved = size
            time.sleep(every_s)


def _size() -> int:
    """Bytes of this process that are in memory and in no file, proc_pid_statm(5)."""
    _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
    return (int(resident) - int(shared)) * _PAGE


def _dense(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where most pages are in memory, in pieces as long as they can be."""
    if start >= end:
        return
    pages = ctypes.create_string_buffer((end - start) // _PAGE)
    if _libc.mincore(start, end - start, pages):
        return  # it is gone by now
    is_there, each = pages.raw, _HUGE // _PAGE
    begun = start
    for here in range(start, end, _HUGE):
        offset = (here - start) // _PAGE
        if is_there.count(1, offset, offset + each) < _DENSE * each:
            if begun < here:
                yield begun, here
            begun = here + _HUGE
    if begun < end:
        yield begun, end


def _move(start: int, end: int) -> bool:
    """Whether there was memory for it; where a part is used in a way that forbids it, it stays."""
    failed = _libc.madvise(start, end - start, _MADV_COLLAPSE)
    return not (failed and ctypes.get_errno() == errno.ENOMEM)
