"""GET /v1/health/live, /ready and /startup; `app.front` answers them until this is imported."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.dependencies import ServerHealth
from app.health import HealthBody, Report
from app.openapi import RETRY_AFTER

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": HealthBody},
    503: {
        "model": HealthBody,
        "description": "Not now; the body has the state and the reason.",
        "headers": RETRY_AFTER,
    },
}

router = APIRouter(responses=RESPONSES)


@router.get("/v1/health/live", response_model=None)
async def live(health: ServerHealth) -> Response:
    """Whether a restart would help: only a dead engine says so."""
    return answer(health.live())


@router.get("/v1/health/ready", response_model=None)
async def ready(health: ServerHealth) -> Response:
    """Whether requests are taken now."""
    return answer(health.ready())


@router.get("/v1/health/startup", response_model=None)
async def startup(health: ServerHealth) -> Response:
    """Whether the model has been loaded."""
    return answer(health.startup())


def answer(report: Report) -> Response:
    """The report as an answer."""
    return Response(report.body, report.status, headers=report.headers)
