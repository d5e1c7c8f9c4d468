"""Turns an exception that nobody expected into an answer, and into a line that somebody reads."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import bug_response

log = logging.getLogger(__name__)


class Bug:
    """Innermost, so that the answer has its id and its line in the access log like any other."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer 500 if that raises before anything has been sent."""
        begun = False

        async def observe(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, observe)
        except Exception:
            log.exception("request.bug")
            if begun:
                raise  # uvicorn cuts the connection: the client must not take it for an answer
            await bug_response(scope)(scope, receive, send)
