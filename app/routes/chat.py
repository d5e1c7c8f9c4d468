"""POST /v1/chat/completions."""

from fastapi import APIRouter

from app.answering import Answering
from app.dependencies import ReadyEngine

router = APIRouter()


@router.post("/v1/chat/completions", response_model=None)
async def chat(engine: ReadyEngine) -> Answering:
    """Create a chat completion, streamed or whole."""
    return Answering(engine, engine.serving.chat_completion)
