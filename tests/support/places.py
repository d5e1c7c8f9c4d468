"""File systems and networks as they are in bad times: full, read-only, dead; they need root."""

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_LIBC = ctypes.CDLL(None, use_errno=True)
_MNT_DETACH = 2
_CLONE_NEWNET = 0x40000000


@contextmanager
def tmpfs(directory: Path, size_bytes: int) -> Iterator[Path]:
    """A small file system of its own."""
    directory.mkdir()
    _mount(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(directory)])
    try:
        yield directory
    finally:
        _LIBC.umount2(str(directory).encode(), _MNT_DETACH)


@contextmanager
def read_only(directory: Path) -> Iterator[Path]:
    """The directory, mounted upon itself without the right to write."""
    _mount(["mount", "--bind", str(directory), str(directory)])
    try:
        _mount(["mount", "-o", "remount,ro,bind", str(directory)])
        yield directory
    finally:
        _LIBC.umount2(str(directory).encode(), _MNT_DETACH)


@contextmanager
def dead_mount(directory: Path) -> Iterator[Path]:
    """A mount whose server never answers: FUSE, with nobody who reads its requests."""
    directory.mkdir()
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"there is no /dev/fuse here: {error}")
    # A test that fails by touching it must not hang: the kernel answers once the device is closed.
    rescue = threading.Timer(15, os.close, (device,))
    rescue.start()
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    try:
        if _LIBC.mount(b"dead", str(directory).encode(), b"fuse.dead", 0, options) != 0:
            pytest.skip(f"FUSE cannot be mounted: {os.strerror(ctypes.get_errno())}")
        yield directory
    finally:
        rescue.cancel()
        # Whoever still waits for an answer gets an error now.
        with suppress(OSError):
            os.close(device)
        _LIBC.umount2(str(directory).encode(), _MNT_DETACH)


def _mount(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        pytest.skip(f"mounting needs root: {done.stderr.strip()}")


@contextmanager
def small_buffers(size_bytes: int) -> Iterator[None]:
    """A network of one's own, for this thread and what it starts: sockets hold that much unsent."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if _LIBC.unshare(_CLONE_NEWNET) != 0:
        os.close(before)
        pytest.skip(f"a network namespace needs root: {os.strerror(ctypes.get_errno())}")
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607  # the system's
        Path("/proc/sys/net/ipv4/tcp_wmem").write_text(f"4096 {size_bytes} {size_bytes}")
        yield
    finally:
        _LIBC.setns(before, _CLONE_NEWNET)
        os.close(before)
