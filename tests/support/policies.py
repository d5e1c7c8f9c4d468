"""ASGI middleware as somebody else may write it: it knows nothing of the server's modules."""

import asyncio
import json
from typing import Any

from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response


class Stamp(BaseHTTPMiddleware):
    """In Starlette's own style, which runs the rest in another task."""

    def __init__(self, app: Any, stamp: str) -> None:
        super().__init__(app)
        self._stamp = stamp

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-stamp"] = self._stamp
        response.headers["x-app"] = request.app.title
        return response


class Policy:
    """Does what a header asks for."""

    def __init__(self, app: Any, *, forbidden: list[str]) -> None:
        self._app = app
        self._forbidden = [word.encode() for word in forbidden]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        wish = dict(scope["headers"]).get(b"x-wish", b"").decode()
        if wish == "fail":
            raise RuntimeError("the policy has a bug")
        if wish == "silence":
            return
        if wish in ("read", "replace"):
            receive = await self._read(receive, replaces=wish == "replace")
            if receive is None:
                await _refuse(send)
                return
        await self._app(scope, receive, _changing(send, wish) if wish else send)

    async def _read(self, receive: Any, *, replaces: bool) -> Any:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if any(word in body for word in self._forbidden):
            return None
        if replaces:
            body = json.dumps({**json.loads(body), "max_tokens": 3}).encode()
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Any:
            return given.pop() if given else await receive()

        return again


async def _refuse(send: Any) -> None:
    body = b'{"error": {"message": "No.", "code": "forbidden_word"}}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _changing(send: Any, wish: str) -> Any:
    seen = 0

    async def changed(message: Any) -> None:
        nonlocal seen
        if message["type"] == "http.response.body":
            seen += 1
            if wish == "break" and seen > 1:
                raise RuntimeError("the policy fails in the middle")
            if wish == "mark":
                body = message.get("body", b"")
                message = {**message, "body": body.replace(b'"object":', b'"Object":')}
        await send(message)
        if wish == "linger" and message["type"] == "http.response.body":
            await asyncio.sleep(5)  # to tell somebody of it, say

    return changed
