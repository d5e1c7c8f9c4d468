"""Refuses a body that is too large: by its declared length at once, by its bytes as they come."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import RequestTooLargeError


class BodyLimit:
    """Raises where the body is read, so that the route's own handlers answer."""

    def __init__(self, app: ASGIApp, largest_bytes: int) -> None:
        self._app = app
        self._largest_bytes = largest_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; whoever reads more than is allowed gets `RequestTooLargeError`."""
        if scope["type"] == "http":
            length = dict(scope["headers"]).get(b"content-length", b"")
            # The server below holds a body to the length that is declared.
            if not length.isdigit() or int(length) > self._largest_bytes:
                receive = self._counting(receive, int(length) if length.isdigit() else 0)
        await self._app(scope, receive, send)

    def _counting(self, receive: Receive, declared: int) -> Receive:
        seen = declared

        def check() -> None:
            if seen > self._largest_bytes:
                raise RequestTooLargeError(
                    f"The body may have {self._largest_bytes} bytes; "
                    "NIM_PROXY_CLIENT_MAX_BODY_SIZE of the server allows more."
                )

        async def counted() -> Message:
            nonlocal seen
            check()  # before the client is asked to send
            message = await receive()
            seen += len(message.get("body", b""))
            check()
            return message

        return counted
