"""The middleware, outermost first, each with the reason for its place."""

from starlette.middleware import Middleware

from app.middleware.access_log import AccessLog
from app.middleware.body_limit import BodyLimit
from app.middleware.bug import Bug


def stack(largest_body_bytes: int) -> list[Middleware]:
    """The order is the list's; `largest_body_bytes` 0 is any size."""
    limit = [Middleware(BodyLimit, largest_body_bytes)] if largest_body_bytes else []
    return [
        Middleware(AccessLog),  # sees what the client sees
        Middleware(Bug),  # inside it, so that the log sees its answer too
        *limit,  # raises in the application, whose handlers know how to say it
    ]
