"""Gives every answer an `x-request-id`: the client's own, or a new one."""

import os
import re

from starlette.types import ASGIApp, Receive, Scope, Send

from app.dialect import ANTHROPIC, dialect_of
from app.reply import Reply, set_reply

# What may be echoed and logged: no spaces, no control characters, no novels.
_ACCEPTABLE = re.compile(rb"[\x21-\x7e]{1,128}")
_NAME = b"x-request-id"
# What Anthropic's clients call it.
_MESSAGES_NAME = b"request-id"


class RequestId:
    """Outermost of all, before the application: every answer and every line of the log has the id.

    It is put into `scope["state"]["request_id"]`; the engine never learns it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under its id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _NAME), b"")
        request_id = given if _ACCEPTABLE.fullmatch(given) else os.urandom(16).hex().encode()
        reply = Reply(send)
        set_reply(scope, reply)
        scope["state"]["request_id"] = request_id.decode()
        reply.add(_NAME, request_id)
        if dialect_of(scope["path"]) is ANTHROPIC:
            reply.add(_MESSAGES_NAME, request_id)
        try:
            await self._app(scope, receive, reply.send)
        finally:
            reply.end()
