"""POST /v1/completions."""

from fastapi import APIRouter

from app.answering import Answering
from app.dependencies import ReadyEngine

router = APIRouter()


@router.post("/v1/completions", response_model=None)
async def completions(engine: ReadyEngine) -> Answering:
    """Create a completion, streamed or whole."""
    return Answering(engine, engine.serving.completion)
