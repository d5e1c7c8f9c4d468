"""The connection of a request, used directly: an ASGI message for each token costs too much.

uvicorn's own `send` begins and ends the answer; in between, pieces are framed as it frames them.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl

from app.outlet import Outlet

_EXTENSION = "unigate.wire"
# https://html.spec.whatwg.org/multipage/server-sent-events.html#authoring-notes
KEEP_ALIVE = b": keep-alive\n\n"
"""A comment in a stream of events."""

_COMMENT = b"%x\r\n%b\r\n" % (len(KEEP_ALIVE), KEEP_ALIVE)


class Wire:
    """One connection, lent to one request after the other."""

    written = 0
    """How many frames the answer has so far."""

    is_streaming = False
    """Whether frames are written, between whose ends something else may stand."""

    _on_lost: Callable[[], None] | None = None
    _comment: Callable[[], None] | None = None

    def __init__(self, transport: asyncio.Transport, flow: FlowControl, outlet: Outlet) -> None:
        """`outlet` is where uvicorn writes."""
        self._transport = transport
        self._flow = flow
        self.in_one_piece = outlet.in_one_piece

    @property
    def is_open(self) -> bool:
        """Whether the client is still there, as far as anybody knows."""
        return not self._transport.is_closing()

    def watch(self, on_lost: Callable[[], None]) -> bool:
        """Call `on_lost` when the client leaves; False if it has left already."""
        self.written = 0
        self._on_lost = on_lost
        # Whoever is not read from is not seen to leave.
        self._flow.resume_reading()
        return self.is_open

    def unwatch(self) -> None:
        """Nobody wants to know any more."""
        self._on_lost = None

    def lose(self) -> None:
        """The client has left."""
        if self._on_lost is not None:
            self._on_lost()

    def write(self, *frames: bytes) -> bool:
        """Send frames in one chunk; whether there is room for more."""
        self.written += len(frames)
        body = frames[0] if len(frames) == 1 else b"".join(frames)
        if body and not self._transport.is_closing():  # an empty chunk would be the last
            self._transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return not self._flow.write_paused

    def write_around(self, head: bytes, middle: bytes, tail: bytes) -> bool:
        """The same of one frame, of which there are three parts."""
        self.written += 1
        if not self._transport.is_closing():
            size = len(head) + len(middle) + len(tail)
            self._transport.write(b"%x\r\n%b%b%b\r\n" % (size, head, middle, tail))
        return not self._flow.write_paused

    def comment(self) -> None:
        """Send what readers of a stream skip, so that nothing on the way takes it for dead."""
        if self._comment is not None:
            self._comment()
        elif self.is_open:
            self._transport.write(_COMMENT)

    def comment_by(self, comment: Callable[[], None] | None) -> None:
        """Let another do that, through whom the stream goes; None: nobody."""
        self._comment = comment

    async def drain(self) -> None:
        """Wait for a slow reader."""
        await self._flow.drain()


def lend_wire(scope: Any, wire: Wire) -> None:
    """Let whoever answers this request have the connection."""
    scope["extensions"] = {_EXTENSION: wire}


def wire_of(scope: Scope) -> Wire:
    """The connection of this request."""
    wire: Wire = scope["extensions"][_EXTENSION]
    return wire
