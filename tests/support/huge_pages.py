"""Whether the kernel makes huge pages for who asks."""

import platform
from pathlib import Path

import pytest

_SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def require() -> None:
    """Skip the test where it does not."""
    if tuple(int(part) for part in platform.release().split(".")[:2]) < (6, 1):
        pytest.skip("Linux moves memory into huge pages when asked since 6.1")
    if not _SWITCH.exists() or "[never]" in _SWITCH.read_text():
        pytest.skip(f"this kernel is set to make no huge pages: {_SWITCH}")
