"""GET /v1/health/live, /ready and /startup; `app.front` answers them until this is imported."""

from fastapi import APIRouter
from starlette.responses import Response

from app.dependencies import ServerHealth
from app.health import HealthBody, Report
from app.openapi import RETRY_AFTER

router = APIRouter(
    responses={
        200: {"model": HealthBody},
        503: {
            "model": HealthBody,
            "description": "Not now; the body has the state and the reason.",
            "headers": RETRY_AFTER,
        },
    }
)


@router.get("/v1/health/live", response_model=None)
async def live(health: ServerHealth) -> Response:
    """Whether a restart would help: only a dead engine says so."""
    return _answer(health.live())


@router.get("/v1/health/ready", response_model=None)
async def ready(health: ServerHealth) -> Response:
    """Whether requests are taken now."""
    return _answer(health.ready())


@router.get("/v1/health/startup", response_model=None)
async def startup(health: ServerHealth) -> Response:
    """Whether the model has been loaded."""
    return _answer(health.startup())


def _answer(report: Report) -> Response:
    return Response(report.body, report.status, headers=report.headers)
