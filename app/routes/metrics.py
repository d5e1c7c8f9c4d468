"""GET /v1/metrics."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.responses import PlainTextResponse, Response

router = APIRouter()


@router.get("/v1/metrics", response_class=PlainTextResponse)
async def metrics() -> Response:
    """Everything in the registry, vLLM's metrics and ours, in Prometheus' text format."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
