"""What a request is answered with: one body, or a stream of frames."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Whole:
    """A complete answer: one document, UTF-8."""

    body: bytes
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer in frames of server-sent events; whoever has it calls `close`, read or not.

    `frames` raises an `EngineError` where the answer cannot be finished; nothing follows it.
    """

    frames: AsyncGenerator[str]
    close: Callable[[], Awaitable[None]]


Answer = Whole | Stream
