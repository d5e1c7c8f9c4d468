"""POST /tokenize and /detokenize."""

from fastapi import APIRouter

from app.answering import Answering
from app.dependencies import ReadyEngine

router = APIRouter()


@router.post("/tokenize", response_model=None)
async def tokenize(engine: ReadyEngine) -> Answering:
    """Token ids of a text (`prompt`) or of a chat (`messages`)."""
    return Answering(engine, engine.serving.inspection.tokenize)


@router.post("/detokenize", response_model=None)
async def detokenize(engine: ReadyEngine) -> Answering:
    """The text of token ids (`tokens`)."""
    return Answering(engine, engine.serving.inspection.detokenize)
