"""Lets those that ask for work in so many at a time, and probes and pages at once.

Two hundred requests that arrive together would each go as far as to where they have to wait, in
one turn of the event loop; here they wait before anything is done for them.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from engine import Engine
from engine.account import account


class InTurn:
    """Whoever has waited here need not wait again in the same turn; `Account.turn` says so."""

    def __init__(self, app: ASGIApp, engine: Engine) -> None:
        self._app = app
        self._turnstile = engine.turnstile

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when it is its turn."""
        mine = account.get(None)  # nobody keeps one of who asks for health, by whatever method
        if mine is not None and scope["method"] == "POST":
            mine.turn = await self._turnstile.enter()
        await self._app(scope, receive, send)
