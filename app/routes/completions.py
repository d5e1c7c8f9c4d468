"""POST /v1/completions and /v1/completions/render."""

from fastapi import APIRouter

from app.answering import Answering
from app.dependencies import ReadyEngine

router = APIRouter()


@router.post("/v1/completions", response_model=None)
async def completions(engine: ReadyEngine) -> Answering:
    """Create a completion, streamed or whole."""
    return Answering(engine, engine.serving.completions.completion)


@router.post("/v1/completions/render", response_model=None)
async def render(engine: ReadyEngine) -> Answering:
    """What the engine would be given for it: token ids and sampling parameters."""
    return Answering(engine, engine.serving.inspection.render_completion)
