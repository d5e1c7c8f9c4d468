"""The middleware, outermost first, each with the reason for its place."""

from starlette.middleware import Middleware

from app.middleware.access_log import AccessLog
from app.middleware.bug import Bug


def stack() -> list[Middleware]:
    """The order is the list's."""
    return [
        Middleware(AccessLog),  # sees what the client sees
        Middleware(Bug),  # last, so that the log sees its answer too
    ]
