"""Middleware of whoever runs the server: policies, guardrails, bookkeeping of their own."""

from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import response_to
from app.health import PROBES
from app.middleware_file import read_makers
from app.relay import relay_streams
from app.wire import wire_of
from engine import EngineError


class OwnMiddleware:
    """All that the file names, in front of the routes.

    Probes go past it: they come without a key, and a policy that fails is no reason for a restart.
    """

    _routes: ASGIApp

    application: ASGIApp | None = None
    """What a request's `app` is for them, as Starlette's middleware knows it."""

    def __init__(self, file: Path) -> None:
        """Make it all; raises `FilesUnusableError`."""
        first: ASGIApp = self._go_on
        for maker in reversed(read_makers(file)):
            first = maker.make(first)
        self._first = first

    def in_front_of(self, app: ASGIApp) -> ASGIApp:
        """Lead to `app`, which comes later than the settings are judged."""
        self._routes = app
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with all that it is answered with on its way back through `send`."""
        if scope["method"] in ("GET", "HEAD") and scope["path"] in PROBES:
            await self._routes(scope, receive, send)
        else:
            relay_streams(scope)
            scope["app"] = self.application
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have an answer, also where a middleware lets through what `receive` raises.

        That is a refusal, of a body that is too large; Starlette's middleware wrap it in a group.
        """
        begun = False
        refused: EngineError | None = None

        async def observe(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        async def read() -> Message:
            nonlocal refused
            try:
                return await receive()
            except EngineError as error:
                refused = error
                raise

        try:
            await self._first(scope, read, observe)
        except Exception:
            if begun or refused is None:
                raise
            await response_to(refused, scope)(scope, receive, send)
        else:
            if not begun and wire_of(scope).is_open:
                raise RuntimeError("a middleware of NIM_MIDDLEWARE_CONFIG_PATH sent no answer")

    async def _go_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._routes(scope, receive, send)
