"""Calls the routes that generate without FastAPI's and Starlette's machinery in between.

Matching a route, solving its dependencies and three layers around it took a tenth of the CPU of a
short request. What they do for these routes is known beforehand: the ready engine is put in, and
an `EngineError` becomes an answer.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.answering import Answering
from app.dependencies import ready_engine
from app.errors import response_to
from engine import Engine, EngineError

_Handler = Callable[[Engine], Awaitable[Answering]]


class DirectRoutes:
    """Innermost; passes on what is not for one of these routes, and they are in the router too."""

    def __init__(self, app: ASGIApp, engine: Engine, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._engine = engine
        self._routes: dict[str, APIRoute] = {
            route.path: route
            for route in routes
            if isinstance(route, APIRoute) and _is_direct(route)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        route = self._routes.get(scope["path"]) if scope["method"] == "POST" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route  # as the router does
        handler: _Handler = route.endpoint
        try:
            _ = self._engine.serving  # raises why there is none, as `ready_engine` does
            answering = await handler(self._engine)
            await answering(scope, receive, send)
        except EngineError as error:
            await response_to(error, scope)(scope, receive, send)


def _is_direct(route: APIRoute) -> bool:
    """Whether it takes the ready engine and nothing else, and makes its whole answer by itself."""
    needs = route.dependant
    parameters = (*needs.path_params, *needs.query_params, *needs.header_params)
    return (
        route.methods == {"POST"}
        and [dependency.call for dependency in needs.dependencies] == [ready_engine]
        and not parameters
        and inspect.signature(route.endpoint).return_annotation is Answering
    )
