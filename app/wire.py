"""The connection of one answer, written to directly: an ASGI message for each token costs too much.

uvicorn's own `send` begins and ends the answer; in between, pieces are framed as it frames them.
"""

import asyncio
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl

_EXTENSION = "unigate.wire"


class Wire:
    """The body of an answer in chunks, between its first and its last ASGI message."""

    written = 0
    """How many frames there were."""

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow

    def write(self, *frames: bytes) -> bool:
        """Send frames in one chunk; whether there is room for more."""
        self.written += len(frames)
        body = b"".join(frames)
        if body and not self._transport.is_closing():  # an empty chunk would be the last
            self._transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return not self._flow.write_paused

    async def drain(self) -> None:
        """Wait for a slow reader."""
        await self._flow.drain()


def offer_wire(scope: Any, transport: Any, flow: FlowControl) -> None:
    """Let whoever answers this request have the connection."""
    scope["extensions"] = {_EXTENSION: (transport, flow)}


def wire_of(scope: Scope) -> Wire:
    """The connection of this request."""
    return Wire(*scope["extensions"][_EXTENSION])
