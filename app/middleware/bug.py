"""Turns an exception that nobody expected into an answer, and into a line that somebody reads."""

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import bug_response
from app.reply import reply_to

log = logging.getLogger(__name__)


class Bug:
    """Innermost, so that the answer has its id and its line in the access log like any other."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer 500 if that raises before anything has been sent."""
        try:
            await self._app(scope, receive, send)
        except Exception:
            log.exception("request.bug")
            if reply_to(scope).status:
                raise  # uvicorn cuts the connection: the client must not take it for an answer
            await bug_response(scope)(scope, receive, send)
