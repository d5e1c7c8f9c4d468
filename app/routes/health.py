"""GET /v1/health/live, /ready and /startup: read the state, await nothing."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from app.dependencies import AnyEngine
from engine import Engine, EngineState

router = APIRouter()

_STARTED = (EngineState.READY, EngineState.STALLED, EngineState.DRAINING)
_RETRY_AFTER_S = "5"


@router.get("/v1/health/live", response_model=None)
async def live(engine: AnyEngine) -> JSONResponse:
    """Whether a restart would help: only a dead engine says so."""
    return _answer(engine, "live", engine.states.state is not EngineState.FAILED)


@router.get("/v1/health/ready", response_model=None)
async def ready(engine: AnyEngine) -> JSONResponse:
    """Whether requests are taken now."""
    return _answer(engine, "ready", engine.states.state is EngineState.READY)


@router.get("/v1/health/startup", response_model=None)
async def startup(engine: AnyEngine) -> JSONResponse:
    """Whether the model has been loaded."""
    return _answer(engine, "started", engine.states.state in _STARTED)


def _answer(engine: Engine, claim: str, holds: bool) -> JSONResponse:
    states = engine.states
    # NIM's body; scripts grep for the quoted word, so a refusal must not contain it.
    word = claim if holds else f"not_{claim}"
    body: dict[str, Any] = {
        "object": "health.response",
        "message": word,
        "status": word,
        "state": states.state.name,
        "state_seconds": round(states.seconds, 3),
        "reason": states.reason,
        "requests": engine.inflight.count,
    }
    if holds:
        return JSONResponse(body)
    return JSONResponse(body, 503, headers={"retry-after": _RETRY_AFTER_S})
