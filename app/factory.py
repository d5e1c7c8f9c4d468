"""Puts routes, handlers and middleware together; no I/O, no globals."""

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp

from app.about import About
from app.errors import on_engine_error, on_http_error
from app.health import Health
from app.keys import KeyRing
from app.middleware import stack
from app.middleware.direct_routes import DirectRoutes
from app.middleware.own import OwnMiddleware
from app.openapi import Document
from app.parameters import on_bad_parameter
from app.routes import GUARDED, PUBLIC, SAGEMAKER
from app.settings import Settings
from engine import Engine, EngineError

if TYPE_CHECKING:
    from app.observability.tracing import Tracing


def create_app(
    engine: Engine,
    health: Health,
    about: About,
    settings: Settings,
    *,
    keys: KeyRing | None,
    tracing: "Tracing | None",
    own: OwnMiddleware | None,
) -> ASGIApp:
    """The ASGI application in front of `engine`."""
    app = _Routed(
        title="unigate",
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={
            EngineError: on_engine_error,
            HTTPException: on_http_error,
            RequestValidationError: on_bad_parameter,
        },
    )
    app.state.engine = engine
    app.state.health = health
    app.state.about = about
    for router in (*PUBLIC, *GUARDED, *(SAGEMAKER if settings.sagemaker_mode else ())):
        app.include_router(router)
    app.state.document = Document(app.routes, has_keys=keys is not None)
    if own is not None:
        own.application = app
    outermost: ASGIApp = DirectRoutes(app, engine, app.routes)
    for layer in reversed(stack(settings, keys, engine, tracing=tracing, own=own)):
        outermost = layer.cls(outermost, *layer.args, **layer.kwargs)
    return outermost


class _Routed(FastAPI):
    """The routes, without what FastAPI puts around them for bugs: `Bug` does that, and says it in
    the client's dialect.
    """

    def build_middleware_stack(self) -> ASGIApp:
        outermost = super().build_middleware_stack()
        assert isinstance(outermost, ServerErrorMiddleware)
        return outermost.app
