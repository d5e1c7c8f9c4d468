"""POST /v1/load_lora_adapter and /v1/unload_lora_adapter."""

from fastapi import APIRouter

from app.answering import Answering
from app.dependencies import ReadyEngine

router = APIRouter()


@router.post("/v1/load_lora_adapter", response_model=None)
async def load(engine: ReadyEngine) -> Answering:
    """Load an adapter from below NIM_PEFT_SOURCE."""
    return Answering(engine, engine.serving.dynamic_adapters.load)


@router.post("/v1/unload_lora_adapter", response_model=None)
async def unload(engine: ReadyEngine) -> Answering:
    """Forget an adapter; what runs on it goes on."""
    return Answering(engine, engine.serving.dynamic_adapters.unload)
