"""Refuses a body that is too large, alone or together with all others that are in hand.

Alone by its declared length at once, or by its bytes as they come; together by bytes that came.
"""

import gc

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import RequestTooLargeError
from engine.errors import OverloadedError

# Bodies up to here are not counted: there are no more of them than connections.
_SMALL_BYTES = 64 << 10
# vLLM leaves images in cycles of objects so few that the garbage collector would let hundreds
# gather before it looks.
_GARBAGE_BYTES = 16 << 20


class BodyLimit:
    """Raises where the body is read, so that the route's own handlers answer."""

    def __init__(self, app: ASGIApp, largest_bytes: int, together_bytes: int) -> None:
        """0 of either is any size."""
        self._app = app
        self._largest_bytes = largest_bytes
        self._together_bytes = together_bytes
        self._held_bytes = 0
        self._left_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; whoever reads more than is allowed gets an error."""
        length = dict(scope["headers"]).get(b"content-length", b"")
        # The server below holds a body to the length that is declared.
        small = min(_SMALL_BYTES, self._largest_bytes or _SMALL_BYTES)
        if length.isdigit() and int(length) <= small:
            await self._app(scope, receive, send)
            return
        seen = 0

        def check(size: int) -> None:
            if self._largest_bytes and size > self._largest_bytes:
                raise RequestTooLargeError(
                    f"The body may have {self._largest_bytes} bytes; "
                    "NIM_PROXY_CLIENT_MAX_BODY_SIZE of the server allows more."
                )

        async def counted() -> Message:
            nonlocal seen
            check(int(length) if length.isdigit() else seen)  # before the client is asked to send
            message = await receive()
            more = len(message.get("body", b""))
            seen += more
            self._held_bytes += more
            check(seen)
            if self._together_bytes and self._held_bytes > self._together_bytes:
                raise OverloadedError("This server has as many bodies in hand as it may.", 1)
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._held_bytes -= seen
            self._left_bytes += seen
            if self._left_bytes > _GARBAGE_BYTES:
                self._left_bytes = 0
                gc.collect(1)  # what is young
