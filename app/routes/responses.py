"""POST /v1/responses; GET, DELETE and cancel of one that was kept."""

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import APIRouter

from app.answering import Answering, read_anything
from app.dependencies import ReadyEngine
from engine import Answer, Engine

router = APIRouter()


@router.post("/v1/responses", response_model=None)
async def create(engine: ReadyEngine) -> Answering:
    """Create a response, streamed, whole or in the background."""
    return Answering(engine, engine.serving.responses.create)


@router.get("/v1/responses/{response_id}", response_model=None)
async def retrieve(
    engine: ReadyEngine,
    response_id: str,
    stream: bool = False,  # a parameter of the query
    starting_after: int | None = None,
) -> Answering:
    """A response that was kept: whole, or its events behind a given one."""
    ask = partial(
        engine.serving.responses.retrieve, response_id, streamed=stream, after=starting_after
    )
    return _answering(engine, ask)


@router.post("/v1/responses/{response_id}/cancel", response_model=None)
async def cancel(engine: ReadyEngine, response_id: str) -> Answering:
    """End a response in the background."""
    return _answering(engine, partial(engine.serving.responses.cancel, response_id))


@router.delete("/v1/responses/{response_id}", response_model=None)
async def delete(engine: ReadyEngine, response_id: str) -> Answering:
    """Forget a response."""
    return _answering(engine, partial(engine.serving.responses.delete, response_id))


def _answering(engine: Engine, ask: Callable[[], Awaitable[Answer]]) -> Answering:
    async def without_body(_: bytes) -> Answer:
        return await ask()

    return Answering(engine, without_body, read_anything)
