"""POST /v1/messages and /v1/messages/count_tokens: Anthropic's dialect."""

from fastapi import APIRouter

from app.answering import Answering
from app.dependencies import ReadyEngine

router = APIRouter()


@router.post("/v1/messages", response_model=None)
async def messages(engine: ReadyEngine) -> Answering:
    """Create a message, streamed or whole."""
    return Answering(engine, engine.serving.messages.create)


@router.post("/v1/messages/count_tokens", response_model=None)
async def count_tokens(engine: ReadyEngine) -> Answering:
    """How many tokens the same request would begin with."""
    return Answering(engine, engine.serving.messages.count_tokens)
