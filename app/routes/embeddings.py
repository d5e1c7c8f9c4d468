"""POST /v1/embeddings."""

from fastapi import APIRouter

from app.answering import Answering
from app.dependencies import ReadyEngine

router = APIRouter()


@router.post("/v1/embeddings", response_model=None)
async def embeddings(engine: ReadyEngine) -> Answering:
    """Vectors of texts, token ids or a chat."""
    return Answering(engine, engine.serving.embeddings.embed)
