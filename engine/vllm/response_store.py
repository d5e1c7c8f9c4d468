"""What POST /v1/responses keeps for later: bounded in bytes, and forgotten after a while.

vLLM's own stores are dictionaries that only grow.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from cachetools import TTLCache
from pydantic import BaseModel

from engine.errors import EngineError


class BoundedStore(TTLCache[str, Any]):
    """Id → value; the least recently used goes first, and nothing stays longer than its time."""

    def __init__(self, *, largest_bytes: int, longest_s: float) -> None:
        super().__init__(maxsize=largest_bytes, ttl=longest_s, getsizeof=size_bytes)

    def __setitem__(self, key: str, value: Any) -> None:
        # What is larger than the whole store is not kept.
        with contextlib.suppress(ValueError):
            super().__setitem__(key, value)


def size_bytes(value: object) -> int:
    """About how much memory a value takes: the text in it, and a little for each object."""
    match value:
        case str() | bytes():
            return len(value)
        case BaseModel():
            return size_bytes(vars(value))
        case Mapping():
            return 64 + sum(size_bytes(name) + size_bytes(item) for name, item in value.items())
        case Sequence():
            return 64 + sum(size_bytes(item) for item in value)
        case _:
            return 64


class EventLog:
    """The events of a response in the background: written once, read by whoever comes."""

    def __init__(self) -> None:
        self._events: list[str] = []
        self._failure: EngineError | None = None
        self._ended = False
        self._news = asyncio.Condition()

    async def append(self, event: str) -> None:
        """One more event, as it is sent."""
        async with self._news:
            self._events.append(event)
            self._news.notify_all()

    async def end(self, failure: EngineError | None = None) -> None:
        """No more events, and why if there should be; what was said first counts."""
        async with self._news:
            self._failure = self._failure or failure
            self._ended = True
            self._news.notify_all()

    async def read(self, start: int) -> AsyncGenerator[str]:
        """The events from `start` on, as they come; raises the failure behind the last one."""
        for position in itertools.count(start):
            while len(self._events) <= position and not self._ended:
                async with self._news:
                    await self._news.wait()
            if len(self._events) <= position:
                break
            yield self._events[position]
        if self._failure is not None:
            raise self._failure
