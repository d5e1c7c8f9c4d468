"""GET /v1/metrics."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.responses import PlainTextResponse, Response

from app.observability.nim_names import WithNimNames
from app.observability.whole_line import WholeLine

router = APIRouter()
_ALL = WithNimNames(WholeLine(REGISTRY))


@router.get("/v1/metrics", response_class=PlainTextResponse)
async def metrics() -> Response:
    """VLLM's metrics, some by two names, and ours, in Prometheus' text format."""
    return Response(generate_latest(_ALL), media_type=CONTENT_TYPE_LATEST)
