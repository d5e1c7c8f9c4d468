"""HTTP's metrics, as prometheus-fastapi-instrumentator names and counts them.

vLLM's own server has them from the same library, and dashboards know them. Its middleware would
match each request's route a second time, so it is told what the access log knows.
"""

from collections.abc import Iterable

from prometheus_fastapi_instrumentator import metrics
from starlette.types import Scope

_instrument = metrics.default()

Headers = Iterable[tuple[bytes, bytes]]


class _Sized:
    """What the library asks of requests and responses: how long they say that they are."""

    __slots__ = ("headers",)

    def __init__(self, headers: Headers) -> None:
        length = next((value for name, value in headers if name == b"content-length"), b"")
        self.headers = {"Content-Length": int(length) if length.isdigit() else 0}


def observe_http(scope: Scope, status: int, answered_with: Headers, took_s: float) -> None:
    """Count a request, under the path of its route; what has none is `none`."""
    assert _instrument is not None  # nobody else has registered them
    route = scope.get("route")
    _instrument(
        metrics.Info(
            request=_Sized(scope["headers"]),  # type: ignore[arg-type]  # all that is asked of it
            response=_Sized(answered_with),  # type: ignore[arg-type]  # as above
            method=scope["method"] if route is not None else "none",
            modified_handler=route.path if route is not None else "none",
            modified_status=str(status),
            modified_duration=took_s,
        )
    )
