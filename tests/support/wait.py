"""Waiting for something to happen, with a bound and a sentence for when it does not."""

import time
from collections.abc import Callable

slow_factor = 1.0
"""Stretches every wait: `--slow-factor`."""


def wait_until(happened: Callable[[], object], *, within_s: float, what: str) -> float:
    """Seconds until `happened()` was true; fails with a sentence after `within_s`, stretched."""
    started = time.monotonic()
    while time.monotonic() - started < within_s * slow_factor:
        if happened():
            return time.monotonic() - started
        time.sleep(0.02)
    raise AssertionError(f"{what}: did not happen within {within_s:g} s")
