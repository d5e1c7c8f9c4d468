"""The middleware, outermost first, each with the reason for its place."""

from typing import TYPE_CHECKING

from starlette.middleware import Middleware

from app.keys import KeyRing
from app.middleware.access_log import AccessLog
from app.middleware.body_limit import BodyLimit
from app.middleware.bug import Bug
from app.middleware.cors import Cors
from app.middleware.in_turn import InTurn
from app.middleware.load_report import LoadReport
from app.middleware.own import OwnMiddleware
from app.middleware.require_key import RequireKey
from app.settings import Settings
from engine import Engine

if TYPE_CHECKING:
    from app.observability.tracing import Tracing


def stack(
    settings: Settings,
    keys: KeyRing | None,
    engine: Engine,
    *,
    tracing: "Tracing | None",
    own: OwnMiddleware | None,
) -> list[Middleware]:
    """The order is the list's; without `keys`, whoever comes may use the server."""
    together = settings.max_bodies_mib << 20
    cors = Middleware(
        Cors,
        allow_origins=settings.cors_allow_origins,
        allow_methods=settings.cors_allow_methods,
        allow_headers=settings.cors_allow_headers,
        expose_headers=settings.cors_expose_headers,
        max_age=settings.cors_max_age_s,
        allow_credentials=settings.cors_allow_credentials,
    )
    return [
        Middleware(AccessLog, tracing),  # sees what the client sees
        Middleware(InTurn, engine),  # before anything is done
        cors,  # a page may read errors too, and ask about every route
        Middleware(Bug),  # inside it, so that the log sees its answer too
        *([Middleware(RequireKey, keys)] if keys else []),  # before anything is read
        Middleware(LoadReport, engine),  # only for those who may come in
        # Raises in the application, whose handlers know how to say it.
        Middleware(BodyLimit, settings.max_body_size, together),
        *([Middleware(own.in_front_of)] if own else []),  # sees nobody who is not let in
    ]
