"""A stream on its way through ASGI's `send`, for those in between who look at it and change it.

What is written straight to the connection costs less, but nobody else gets to see it.
"""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import Scope, Send

from app.wire import KEEP_ALIVE, Wire

_EXTENSION = "unigate.relayed"
# As much as asyncio's transports hold before they ask to pause.
_ROOM_BYTES = 64 << 10


class Relay:
    """As `Wire` for whoever writes; what has been written waits until it is taken."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting = bytearray()
        self._changed, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._has_ended = False

    def write(self, *frames: bytes) -> bool:
        """Send frames; whether there is room for more."""
        self._wire.written += len(frames)
        self._put(b"".join(frames))
        return self._room.is_set()

    def write_around(self, head: bytes, middle: bytes, tail: bytes) -> bool:
        """The same of one frame, of which there are three parts."""
        return self.write(head + middle + tail)

    def comment(self) -> None:
        """As `Wire.comment`, between frames."""
        self._put(KEEP_ALIVE)

    async def drain(self) -> None:
        """Wait for a slow reader."""
        await self._room.wait()

    def end(self) -> None:
        """Nothing more will be written."""
        self._has_ended = True
        self._changed.set()

    async def take(self) -> bytes:
        """All that waits, once there is something; nothing at the end."""
        while not self._waiting and not self._has_ended:
            self._changed.clear()
            await self._changed.wait()
        taken = bytes(self._waiting)
        self._waiting.clear()
        self._room.set()
        return taken

    def _put(self, body: bytes) -> None:
        self._waiting += body
        self._changed.set()
        if len(self._waiting) >= _ROOM_BYTES:
            self._room.clear()


def relay_streams(scope: Scope) -> None:
    """Let the answer of this request go through `send`, whatever it is."""
    scope["extensions"][_EXTENSION] = True


def is_relayed(scope: Scope) -> bool:
    """Whether somebody has asked for that."""
    return _EXTENSION in scope["extensions"]


async def relay(write: Callable[[Relay], Awaitable[None]], wire: Wire, send: Send) -> None:
    """Send what `write` writes; raises what either raises.

    Who answers the request does the sending, as ASGI's applications do; the writing is a task.
    """
    relayed = Relay(wire)

    async def write_all() -> None:
        try:
            await write(relayed)
        finally:
            relayed.end()

    writing = asyncio.ensure_future(write_all())
    wire.comment_by(relayed.comment)
    try:
        while body := await relayed.take():
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await writing
    finally:
        wire.comment_by(None)
        writing.cancel()  # those who change the answer may fail, too
        await asyncio.wait({writing})
