"""GET /v1/models and /v1/models/{id}."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from app.dependencies import ReadyEngine

router = APIRouter()


@router.get("/v1/models", response_model=None)
async def list_models(engine: ReadyEngine) -> Mapping[str, Any]:
    """The models that requests may name."""
    return {"object": "list", "data": engine.serving.models()}


@router.get("/v1/models/{name:path}", response_model=None)
async def get_model(name: str, engine: ReadyEngine) -> Mapping[str, Any]:
    """One of them; its name may contain slashes."""
    return engine.serving.model(name)
