"""CORS: which pages of other origins may use the server."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from app.reply import reply_to


class Cors(CORSMiddleware):
    """Starlette's, at no cost for who is no page: most clients are programs, and name no origin."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; caches are told that pages may get other headers."""
        if any(name == b"origin" for name, _ in scope["headers"]):
            await super().__call__(scope, receive, send)
            return
        reply_to(scope).add(b"vary", b"Origin")
        await self.app(scope, receive, send)
