"""Counts the requests that are being answered, so that a drain knows when it is done."""

import asyncio
from collections.abc import Callable
from typing import Self


class Inflight:
    """A request counts from its admission until the last byte of its answer is handed over."""

    def __init__(self, on_change: Callable[[int], None] = lambda _: None) -> None:
        """`on_change` is told of each new number."""
        self._on_change = on_change
        self._count = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def count(self) -> int:
        """Requests being answered now."""
        return self._count

    def track(self) -> Self:
        """Count one request while the block runs."""
        return self

    def __enter__(self) -> None:
        self._count += 1
        self._on_change(self._count)
        self._empty.clear()

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        self._on_change(self._count)
        if not self._count:
            self._empty.set()

    async def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait for the last request to end; False when `timeout_s` passes first."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
