"""GET /ping and POST /invocations, which SageMaker calls.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from fastapi import APIRouter
from starlette.responses import Response

from app.answering import Answering
from app.dependencies import ReadyEngine, ServerHealth
from app.routes.health import RESPONSES, answer

router = APIRouter()


@router.get("/ping", response_model=None, responses=RESPONSES)
async def ping(health: ServerHealth) -> Response:
    """Whether requests are taken now, as /v1/health/ready says it."""
    return answer(health.ready())


@router.post("/invocations", response_model=None)
async def invocations(engine: ReadyEngine) -> Answering:
    """A chat completion, or whatever else the body is a request for."""
    return Answering(engine, engine.serving.invoke)
