"""Refuses parameters of path and query that are not what the route declares.

Apart from `app.errors`, which is imported before FastAPI is.
"""

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from app.errors import response_to
from engine.errors import InvalidRequestError


async def on_bad_parameter(request: Request, error: Exception) -> Response:
    """FastAPI's handler; its own would answer 422 in a shape of its own."""
    assert isinstance(error, RequestValidationError)  # registered for this class alone
    first = error.errors()[0]
    param = str(first["loc"][-1])
    return response_to(InvalidRequestError(f"{param}: {first['msg']}", param), request.scope)
