"""The middleware, outermost first, each with the reason for its place."""

from starlette.middleware import Middleware

from app.middleware.access_log import AccessLog
from app.middleware.bug import Bug
from app.middleware.request_id import RequestId


def stack() -> list[Middleware]:
    """The order is the list's."""
    return [
        Middleware(RequestId),  # first, so that every answer and every line below has the id
        Middleware(AccessLog),  # sees what the client sees
        Middleware(Bug),  # last, so that the two above see its answer too
    ]
