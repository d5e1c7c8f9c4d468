"""POST /v1/ranking, /v1/rerank and /v1/score."""

from fastapi import APIRouter

from app.answering import Answering
from app.dependencies import ReadyEngine

router = APIRouter()


@router.post("/v1/ranking", response_model=None)
async def ranking(engine: ReadyEngine) -> Answering:
    """Passages by how well they answer a query, with raw logits, in NIM's shape."""
    return Answering(engine, engine.serving.scoring.rank)


@router.post("/v1/rerank", response_model=None)
async def rerank(engine: ReadyEngine) -> Answering:
    """Documents by how relevant they are to a query, in the shape of Jina and Cohere."""
    return Answering(engine, engine.serving.scoring.rerank)


@router.post("/v1/score", response_model=None)
async def score(engine: ReadyEngine) -> Answering:
    """A score for each pair of texts, in vLLM's shape."""
    return Answering(engine, engine.serving.scoring.score)
