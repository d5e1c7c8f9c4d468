"""Routes that generate are called directly, as long as that leaves nothing out."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.types import Message, Receive, Scope, Send

from app.answering import Answering
from app.dependencies import ReadyEngine
from app.middleware.direct_routes import DirectRoutes
from app.observability.metrics import EngineMetrics
from app.routes import GUARDED, PUBLIC, SAGEMAKER
from engine import Engine
from engine.state import StateMachine


def reaches_the_router(app: FastAPI, method: str, path: str) -> bool:
    """Whether a request goes on; the engine is not ready."""
    reached = False

    async def router(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal reached
        reached = True

    async def receive() -> Message:
        raise AssertionError("nobody may read before the engine is ready")

    async def send(message: Message) -> None:
        assert message.get("status", 503) == 503

    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": []}

    async def ask() -> None:
        engine = Engine(StateMachine(lambda *_: None), EngineMetrics(), lambda: None)
        await DirectRoutes(router, engine, app.routes)(scope, receive, send)
        engine._scratch.cleanup()  # `stop` would end the processes of other tests

    asyncio.run(ask())
    return reached


def served() -> FastAPI:
    app = FastAPI()
    for router in (*PUBLIC, *GUARDED, *SAGEMAKER):
        app.include_router(router)
    return app


def with_route(dependency: Any) -> FastAPI:
    router = APIRouter(dependencies=[Depends(dependency)] if dependency else [])

    @router.post("/new", response_model=None)
    async def new(engine: ReadyEngine) -> Answering:
        raise AssertionError(f"{engine} is asked for by a request that was refused")

    app = FastAPI()
    app.include_router(router)
    return app


def test_requests_that_generate_are_answered_before_the_router() -> None:
    app = served()
    for path in (
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/messages",
        "/v1/embeddings",
        "/invocations",
    ):
        assert not reaches_the_router(app, "POST", path)


def test_all_else_goes_on() -> None:
    app = served()
    for method, path in (
        ("GET", "/v1/chat/completions"),
        ("OPTIONS", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/nothing"),
        ("GET", "/v1/health/live"),
        ("GET", "/ping"),
        ("GET", "/v1/models"),
        ("POST", "/v1/responses/resp_1/cancel"),
    ):
        assert reaches_the_router(app, method, path)


def test_no_dependency_of_a_route_is_left_out() -> None:
    async def prove(key: Annotated[str, Depends(lambda: "")]) -> None:
        del key

    assert not reaches_the_router(with_route(None), "POST", "/new")
    assert reaches_the_router(with_route(prove), "POST", "/new")
