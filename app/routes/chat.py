"""POST /v1/chat/completions and /v1/chat/completions/render."""

from fastapi import APIRouter

from app.answering import Answering
from app.dependencies import ReadyEngine

router = APIRouter()


@router.post("/v1/chat/completions", response_model=None)
async def chat(engine: ReadyEngine) -> Answering:
    """Create a chat completion, streamed or whole."""
    return Answering(engine, engine.serving.completions.chat_completion)


@router.post("/v1/chat/completions/render", response_model=None)
async def render(engine: ReadyEngine) -> Answering:
    """What the engine would be given for it: token ids and sampling parameters."""
    return Answering(engine, engine.serving.inspection.render_chat)
