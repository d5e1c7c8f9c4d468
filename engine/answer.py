"""What a request is answered with: one body, or a stream of frames."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol


class Wire(Protocol):
    """Where the frames of a stream go."""

    def write(self, *frames: bytes) -> bool:
        """Send frames, in one piece; whether there is room for more."""

    def write_around(self, head: bytes, middle: bytes, tail: bytes) -> bool:
        """The same of one frame, which is in three parts: it is put together once, with all else
        that goes around it.
        """

    async def drain(self) -> None:
        """Wait for a slow reader until there is."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A complete answer: one document, UTF-8."""

    body: bytes
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer in frames of server-sent events; whoever has it calls `close`, run or not.

    `run` writes all of them; it raises an `EngineError` where the answer cannot be finished, and
    nothing follows it.
    """

    run: Callable[[Wire], Awaitable[None]]
    close: Callable[[], Awaitable[None]]

    @classmethod
    def of(cls, frames: AsyncGenerator[str], close: Callable[[], Awaitable[None]]) -> "Stream":
        """A stream of frames that have to be asked for, one by one."""

        async def run(wire: Wire) -> None:
            async for frame in frames:
                if not wire.write(frame.encode()):
                    await wire.drain()

        return cls(run, close)


Answer = Whole | Stream
